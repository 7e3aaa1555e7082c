#include "tests/server/replication/test_cluster.h"

#include "common_generated.h"
#include "frame_generated.h"
#include "protocol/frame/frame_verify.h"
#include "server/log_ids.h"
#include "server/metadata/partition_replication.h"
#include "server/partition/due_row.h"
#include "server/replication/internal_log_record.h"

namespace andyx::server::testing {
namespace {

SharedBytes joined(const frame::OutFrame& frame) {
  SharedBytes whole = SharedBytes::allocate(frame.size_bytes());
  std::uint8_t* to = std::copy_n(frame.head.data(), frame.head.size(), whole.mutable_data());
  for (const SharedBytes& piece : frame.payload) to = std::copy_n(piece.data(), piece.size(), to);
  std::fill_n(to, frame.padding, std::uint8_t{0});
  return whole;
}

std::vector<frame::OutFrame> one_frame(frame::OutFrame frame) {
  std::vector<frame::OutFrame> frames;
  frames.push_back(std::move(frame));
  return frames;
}

const protocol::Frame& parsed(const SharedBytes& bytes) {
  const auto frame = frame::verify_frame(bytes.span());
  if (!frame) std::abort();
  return **frame;
}

class TestLinks final : public NodeLinks {
 public:
  TestLinks(TestCluster& cluster, NodeId self) : cluster_(cluster), self_(self) {}

  void image_moved(const Image&) override {}
  void call(NodeId, const Fill&, std::uint32_t, Done) override { std::abort(); }
  void call(const net::Address&, const Fill&, std::uint32_t, Done) override { std::abort(); }
  bool tell(NodeId to, const Fill& fill) override {
    return cluster_.fetch(self_, to, joined(writer_.write(0, fill)));
  }

 private:
  TestCluster& cluster_;
  NodeId self_;
  frame::FrameWriter writer_;
};

// From a main to the replica that asked.
class TestLink final : public ReplicaLink {
 public:
  TestLink(TestCluster& cluster, NodeId main, NodeId replica)
      : cluster_(cluster), main_(main), replica_(replica) {}
  void send(std::vector<frame::OutFrame> frames) override {
    for (const auto& frame : frames) cluster_.push(main_, replica_, joined(frame));
  }
  bool takes_more() const override { return true; }

 private:
  TestCluster& cluster_;
  NodeId main_, replica_;
};

}  // namespace

TestCluster::TestCluster(NodeId nodes, Copies copies, DiskKind kind) : kind_(kind) {
  partition_ = {.partition_id = kPartition,
                .main = copies.replicas.front(),
                .replicas = copies.replicas,
                .in_sync = copies.in_sync,
                .observers = copies.observers,
                .min_in_sync = copies.min_in_sync};
  topic_.id = kTopic;
  topic_.name = *TopicName::parse("replicated");
  for (NodeId id = 1; id <= nodes; ++id) {
    disks_[id] = std::make_unique<KeptDisk>(kind_);
    nodes_[id] = {.id = id, .incarnation = ++next_incarnation_, .host = "test", .alive = true};
  }
  for (NodeId id = 1; id <= nodes; ++id) start(id);
}

TestCluster::~TestCluster() {
  while (!members_.empty()) kill(members_.begin()->first);
}

// ---- Nodes ----

void TestCluster::start(NodeId id) {
  auto member = std::make_unique<Member>();
  Node& node = member->node;
  std::shared_ptr<const Image> image;
  {
    const std::lock_guard lock(mutex_);
    NodeRecord& known = nodes_.at(id);
    if (position_ > 0) {
      auto record = record_locked();
      known.incarnation = ++next_incarnation_;
      known.alive = true;
      node_registered(record, id, known.incarnation, wiped_.erase(id) == 0);
      store_locked(record);
    }
    node.incarnation = known.incarnation;
    publish_locked();
    image = image_locked();
  }
  node.config.node_id = id;
  node.config.cores = 1;
  node.shard = disks_.at(id)->open();
  node.read_pool = std::make_unique<ReadPool>(2, 1'000);
  node.replication = this;
  node.make_links = [this, id](net::Loop&, NodeLinks::Events&) {
    return std::make_unique<TestLinks>(*this, id);
  };
  node.loops.push_back(std::make_unique<CoreLoop>(node, 0, *net::Loop::create()));
  member->thread = std::thread([loop = &member->loop()] { loop->run(); });
  std::promise<Status> opened;
  member->loop().net_loop().post([&] { opened.set_value(member->loop().open_partitions(image)); });
  REQUIRE(opened.get_future().get());
  const std::lock_guard lock(mutex_);
  members_[id] = std::move(member);
  links_up_locked();
  publish_locked();
}

void TestCluster::links_up_locked() {
  for (const auto& [here, member] : members_) {
    CoreLoop& loop = member->loop();
    for (const auto& [there, other] : members_) {
      if (here == there || cuts_.contains({here, there})) continue;
      loop.net_loop().post([&loop, node = there] { loop.pulls().on_up(node); });
    }
  }
}

void TestCluster::kill(NodeId id) {
  std::unique_ptr<Member> member;
  {
    const std::lock_guard lock(mutex_);
    member = std::move(members_.at(id));
    members_.erase(id);
    for (auto& [other, running] : members_) {
      running->loop().net_loop().post([loop = &running->loop(), id] {
        loop->pulls().on_down(id, {ErrorCode::kConnectionLost, "killed"});
      });
    }
  }
  member->loop().stop();
  member->thread.join();
  member->node.read_pool.reset();
  CHECK(member->node.shard->close());
  member->loop().release();
}

void TestCluster::wipe(NodeId id) {
  disks_[id] = std::make_unique<KeptDisk>(kind_);
  wiped_.insert(id);
}

void TestCluster::cut(NodeId a, NodeId b) {
  const std::lock_guard lock(mutex_);
  cuts_.insert({a, b});
  cuts_.insert({b, a});
  for (const auto& [here, there] : {std::pair(a, b), std::pair(b, a)}) {
    if (!members_.contains(here)) continue;
    CoreLoop& loop = members_.at(here)->loop();
    loop.net_loop().post(
        [&loop, node = there] { loop.pulls().on_down(node, {ErrorCode::kConnectionLost, "cut"}); });
  }
}

void TestCluster::heal() {
  const std::lock_guard lock(mutex_);
  cuts_.clear();
  links_up_locked();
  publish_locked();
}

TestCluster::Member* TestCluster::reach(NodeId from, NodeId to) {
  if (cuts_.contains({from, to}) || !members_.contains(from)) return nullptr;
  const auto found = members_.find(to);
  return found == members_.end() ? nullptr : found->second.get();
}

bool TestCluster::fetch(NodeId from, NodeId to, SharedBytes frame) {
  const std::lock_guard lock(mutex_);
  Member* const member = reach(from, to);
  if (member == nullptr) return false;
  auto link = std::make_shared<TestLink>(*this, to, from);
  return member->loop().net_loop().post([loop = &member->loop(), link, frame = std::move(frame)] {
    const auto& body = *parsed(frame).body_as_ReplicaFetch();
    for (const auto* entry : *body.entries()) {
      auto* partition = loop->find_copy(entry->partition_id());
      const FetchEntry asked{.replica = body.node_id(),
                             .incarnation = body.incarnation(),
                             .main_epoch = entry->main_epoch(),
                             .request = entry->request(),
                             .fetch_offset = entry->fetch_offset(),
                             .last_epoch = entry->last_epoch(),
                             .durable = entry->durable(),
                             .progress_only = entry->progress_only()};
      if (partition != nullptr)
        partition->replicated_log(entry->internal())
            .fetch(asked, link, body.max_bytes(), body.max_wait_ms());
      else if (!asked.progress_only)
        link->send(one_frame(refusal_of(entry->partition_id(), entry->internal(), asked)));
    }
  });
}

void TestCluster::push(NodeId from, NodeId to, SharedBytes frame) {
  const std::lock_guard lock(mutex_);
  Member* const member = reach(from, to);
  if (member == nullptr) return;
  member->loop().net_loop().post([loop = &member->loop(), from, frame = std::move(frame)] {
    loop->pulls().on_push(from, {frame, &parsed(frame)});
  });
}

// ---- The controller ----

std::shared_ptr<const Image> TestCluster::image_locked() {
  auto image = std::make_shared<Image>();
  image->position = position_;
  for (const auto& [id, node] : nodes_) image->nodes.put(std::make_shared<const NodeRecord>(node));
  auto topic = std::make_shared<Topic>(topic_);
  topic->set_partitions({partition_});
  const std::shared_ptr<const Topic> made = topic;
  image->topics.put(made);
  image->topics_by_id.put(made);
  return image;
}

ReplicationRecord TestCluster::record_locked() {
  return replication_record(*image_locked(), partition_);
}

ReplicationRecord TestCluster::record() {
  const std::lock_guard lock(mutex_);
  return record_locked();
}

void TestCluster::store_locked(const ReplicationRecord& record) {
  partition_.main = record.main;
  partition_.main_epoch = record.main_epoch;
  partition_.version = record.version;
  partition_.in_sync = record.in_sync;
  partition_.eligible = record.eligible;
  for (const ReplicaMember& member : record.replicas) {
    nodes_.at(member.node).alive = member.alive;
    nodes_.at(member.node).incarnation = member.incarnation;
  }
}

void TestCluster::publish_locked() {
  ++position_;
  const auto image = image_locked();
  for (auto& [id, member] : members_) {
    member->loop().net_loop().post([loop = &member->loop(), image] { loop->apply_image(image); });
  }
}

void TestCluster::lose(NodeId id) {
  const std::lock_guard lock(mutex_);
  auto record = record_locked();
  session_lost(record, id);
  store_locked(record);
  publish_locked();
}

void TestCluster::find(NodeId id) {
  const std::lock_guard lock(mutex_);
  auto record = record_locked();
  session_found(record, id);
  store_locked(record);
  publish_locked();
}

void TestCluster::elect(NodeId id) {
  const std::lock_guard lock(mutex_);
  auto record = record_locked();
  REQUIRE(elect_main(record, id));
  store_locked(record);
  publish_locked();
}

void TestCluster::change(const std::function<void(PartitionRecord&)>& change) {
  const std::lock_guard lock(mutex_);
  change(partition_);
  ++partition_.version;
  publish_locked();
}

void TestCluster::subscribe(protocol::StartKind from) {
  const std::lock_guard lock(mutex_);
  SubscriptionRecord record;
  record.id = kSubscription;
  record.name = "s";
  record.start_kind = from;
  record.mode = protocol::SubscriptionMode::nonresilient;
  record.initial_partitions = 1;
  topic_.subscriptions.put(std::make_shared<const SubscriptionRecord>(std::move(record)));
  publish_locked();
}

void TestCluster::propose_in_sync(TopicId, std::uint32_t, const SetProposal& proposal) {
  const std::lock_guard lock(mutex_);
  ++proposals_;
  auto record = record_locked();
  if (!change_in_sync(record, proposal)) return;
  store_locked(record);
  publish_locked();
}

void TestCluster::ask_new_epoch(TopicId, std::uint32_t, MainEpoch epoch) {
  const std::lock_guard lock(mutex_);
  auto record = record_locked();
  if (record.main_epoch != epoch || !elect_main(record, record.main)) return;
  store_locked(record);
  publish_locked();
}

void TestCluster::pulls_failing(PartitionId, bool failing) {
  const std::lock_guard lock(mutex_);
  failing_ = failing;
}

// ---- What goes on there ----

void TestCluster::run(NodeId id, const std::function<void(CoreLoop&)>& work) {
  CoreLoop& loop = members_.at(id)->loop();
  std::promise<void> done;
  loop.net_loop().post([&] {
    work(loop);
    done.set_value();
  });
  done.get_future().wait();
}

bool TestCluster::until(NodeId id, const std::function<bool(Partition&)>& condition) {
  return andyx::test::wait_until([&] {
    bool holds = false;
    run(id, [&](CoreLoop& loop) {
      auto* copy = loop.find_copy(kPartition);
      holds = copy != nullptr && condition(*copy);
    });
    return holds;
  });
}

std::string TestCluster::payload(std::uint64_t sequence, std::size_t bytes) {
  std::string text = "message " + std::to_string(sequence) + " ";
  text.resize(std::max(bytes, text.size()), 'x');
  return text;
}

SharedBytes TestCluster::batch(std::uint64_t sequence, std::size_t bytes, TimeUs deliver_at_us) {
  batch::BatchBuilder builder;
  const std::string text = payload(sequence, bytes);
  if (!builder.add({.payload = text, .deliver_at_us = deliver_at_us})) std::abort();
  return builder.build({.producer_id = kProducer, .sequence = sequence});
}

Status TestCluster::begin_produce(NodeId id, std::uint64_t sequence,
                                  std::shared_future<Status>& stored) {
  auto outcome = std::make_shared<std::promise<Status>>();
  stored = outcome->get_future().share();
  Status found;
  run(id, [&](CoreLoop& loop) {
    auto* copy = loop.find_copy(kPartition);
    if (copy == nullptr) {
      found = fail(ErrorCode::kUnknownPartition, "no copy");
      return;
    }
    copy->append_internal(batch(sequence),
                          [outcome](const Status& status) { outcome->set_value(status); });
  });
  return found;
}

Status TestCluster::produce(NodeId id, std::uint64_t sequence, std::size_t bytes) {
  return produce_batch(id, batch(sequence, bytes));
}

Status TestCluster::produce_delayed(NodeId id, std::uint64_t sequence, TimeUs deliver_at_us) {
  return produce_batch(id, batch(sequence, 100, deliver_at_us));
}

Status TestCluster::produce_batch(NodeId id, SharedBytes batch) {
  auto outcome = std::make_shared<std::promise<Status>>();
  auto stored = outcome->get_future();
  run(id, [&](CoreLoop& loop) {
    loop.find_copy(kPartition)->append_internal(std::move(batch), [outcome](const Status& status) {
      outcome->set_value(status);
    });
  });
  if (stored.wait_for(andyx::test::kGenerous) != std::future_status::ready)
    return fail(ErrorCode::kInternal, "no answer");
  return stored.get();
}

void TestCluster::produce_lightly(NodeId id, std::uint64_t sequence) {
  run(id, [&](CoreLoop& loop) {
    SharedBytes bytes = batch(sequence);
    const auto header = *batch::read_header(bytes.span());
    loop.find_copy(kPartition)
        ->produce(header, std::move(bytes), 0, protocol::Acks::main, Reply(loop, 0, 0, 0));
  });
}

std::size_t TestCluster::due_rows(NodeId id) {
  std::size_t rows = 0;
  CHECK(disks_.at(id)->shard().scan(storage::Table::kCursor, due_prefix(kPartition),
                                    [&](std::string_view, std::string_view) {
                                      ++rows;
                                      return true;
                                    }));
  return rows;
}

std::vector<std::string> TestCluster::log(NodeId id, storage::LogId log) {
  std::vector<std::string> messages;
  auto& shard = disks_.at(id)->shard();
  const auto state = shard.log_state(log).value_or(storage::LogState{});
  for (Offset from = state.start_offset; from < state.end_offset;) {
    const auto batches = shard.read(log, from, 1 << 20);
    REQUIRE(batches);
    for (const SharedBytes& bytes : *batches) {
      auto reader = batch::BatchReader::open(bytes.span());
      REQUIRE(reader);
      batch::Record record;
      for (std::uint32_t i = 0; i < reader->count(); ++i) {
        REQUIRE(reader->read(i, record));
        messages.emplace_back(record.payload);
      }
      from = reader->header().end_offset();
    }
  }
  return messages;
}

LocalCopy TestCluster::copy(NodeId id, bool internal) {
  LocalCopy copy;
  run(id,
      [&](CoreLoop& loop) { copy = loop.find_copy(kPartition)->replicated_log(internal).copy(); });
  return copy;
}

}  // namespace andyx::server::testing
