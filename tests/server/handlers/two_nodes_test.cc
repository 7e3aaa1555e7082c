// Coordinators and handlers over two nodes, with real links between them.
#include "tests/server/handlers/two_nodes.h"

#include "server/subscription/coordinator.h"
#include "tests/integration/support/raw_connection.h"

namespace andyx::server::test {
namespace {

using protocol::Body;
using Cluster = TestCluster;

// A consumer at the coordinator on a node.
std::uint64_t attach(TestNode& at, const Cluster& cluster, const std::string& name,
                     std::uint64_t session) {
  std::uint64_t epoch = 0;
  at.run([&] {
    auto coordinator = at.loop().coordinator(Cluster::kTopic, cluster.subscription());
    REQUIRE_MESSAGE(coordinator.has_value(), coordinator.error().message);
    auto attached = (*coordinator)
                        ->attach({.name = name, .session = session, .connection = session},
                                 {&at.loop(), session, "test", 0});
    REQUIRE(attached.has_value());
    epoch = attached->attach_epoch;
  });
  return epoch;
}

// The epoch under which the consumer has the partition; 0: it has it not.
std::uint64_t grant(TestNode& at, std::uint64_t attachment, std::uint32_t partition) {
  const auto* coordinator = at.loop().find_coordinator(Cluster::kSubscription);
  REQUIRE(coordinator != nullptr);
  for (const auto& one : coordinator->core().grants(attachment)) {
    if (one.partition == partition) return one.epoch;
  }
  return 0;
}
std::uint64_t granted(TestNode& at, std::uint64_t attachment, std::uint32_t partition) {
  std::uint64_t epoch = 0;
  at.run([&] { epoch = grant(at, attachment, partition); });
  return epoch;
}

Subscription& subscription_of(TestNode& at, std::uint32_t partition) {
  auto* found = at.loop().find_partition(5 + partition);
  REQUIRE(found != nullptr);
  return *found->find_subscription(Cluster::kSubscription);
}

// A message on a partition, committed.
void produce(TestNode& at, std::uint32_t partition) {
  batch::BatchBuilder builder;
  REQUIRE(builder.add({.payload = "payload"}));
  at.run([&] {
    SharedBytes bytes = builder.build({});
    const auto header = *batch::read_header(bytes.span());
    at.loop()
        .find_partition(5 + partition)
        ->produce(header, std::move(bytes), 0, protocol::Acks::main, Reply(at.loop(), 0, 0, 0));
  });
  REQUIRE(at.until(
      [&] { return at.loop().find_partition(5 + partition)->core().committed_offset() == 1; }));
}

// A stream of that epoch on a partition that holds one message, which is delivered to it.
void hold_a_message(TestNode& at, std::uint32_t partition, std::uint64_t epoch) {
  produce(at, partition);
  at.run([&] {
    subscription_of(at, partition)
        .open_stream({&at.loop(), 0, 1, std::make_shared<DeliveryGate>()},
                     {.attach_epoch = epoch, .credit_bytes = 1 << 20, .credit_messages = 10},
                     Reply(at.loop(), 0, 0, 0));
  });
  REQUIRE(at.until([&] { return subscription_of(at, partition).core().stats().in_flight == 1; }));
}

TEST_CASE("a partition on another node changes its consumer when that node has drained it") {
  Cluster cluster;
  cluster.publish(cluster.next({{1, 1}, {2, 1}}));
  REQUIRE(cluster.two.until([&] { return subscription_of(cluster.two, 1).ready(); }));
  const auto alice = attach(cluster.one, cluster, "alice", 11);
  const auto before = granted(cluster.one, alice, 1);
  REQUIRE(before > first_coordinator_epoch(1));
  hold_a_message(cluster.two, 1, before);

  const auto bob = attach(cluster.one, cluster, "bob", 22);
  // Alice holds a message there: taken from her, and not yet Bob's.
  REQUIRE(cluster.one.until([&] { return grant(cluster.one, alice, 1) == 0; }));
  CHECK(granted(cluster.one, bob, 1) == 0);
  cluster.two.run([&] {
    const std::vector<OffsetRange> first{{0, 0}};
    subscription_of(cluster.two, 1)
        .answer({0, 1}, protocol::AnswerKind::acknowledge, first, 0,
                Reply(cluster.two.loop(), 0, 0, 0));
  });
  REQUIRE(cluster.one.until([&] { return grant(cluster.one, bob, 1) != 0; }));
  CHECK(granted(cluster.one, bob, 1) > before);
  CHECK(granted(cluster.one, alice, 0) != 0);
}

TEST_CASE("a revocation goes to the next main when the one that had the partition is lost") {
  Cluster cluster;
  cluster.publish(cluster.next({{1, 1}, {2, 1}}));
  REQUIRE(cluster.two.until([&] { return subscription_of(cluster.two, 1).ready(); }));
  const auto alice = attach(cluster.one, cluster, "alice", 11);
  hold_a_message(cluster.two, 1, granted(cluster.one, alice, 1));
  const auto bob = attach(cluster.one, cluster, "bob", 22);
  REQUIRE(cluster.one.until([&] { return grant(cluster.one, alice, 1) == 0; }));
  CHECK(granted(cluster.one, bob, 1) == 0);
  // Node 2 never answers: the next image makes node 1 main, where nobody holds anything.
  cluster.two.kill();
  Cluster::publish(cluster.one, cluster.next({{1, 1}, {1, 2}}));
  REQUIRE(cluster.one.until([&] { return grant(cluster.one, bob, 1) != 0; }));
}

TEST_CASE("a coordinator ends where its partition's main ends, and begins higher at the next one") {
  Cluster cluster;
  cluster.publish(cluster.next({{1, 1}, {2, 1}}));
  const auto alice = attach(cluster.one, cluster, "alice", 11);
  cluster.two.run([&] {
    const auto other = cluster.two.loop().coordinator(Cluster::kTopic, cluster.subscription());
    REQUIRE_FALSE(other.has_value());
    CHECK(other.error().code == ErrorCode::kNotMain);
    CHECK(other.error().node == 1);
  });
  cluster.publish(cluster.next({{2, 2}, {2, 1}}));
  cluster.one.run([&] {
    CHECK(cluster.one.loop().find_coordinator(Cluster::kSubscription) == nullptr);
    const auto here = cluster.one.loop().coordinator(Cluster::kTopic, cluster.subscription());
    REQUIRE_FALSE(here.has_value());
    CHECK(here.error().node == 2);
  });
  CHECK(attach(cluster.two, cluster, "alice", 11) > alice);
  // The same node again, in a later epoch: another one may have been main in between.
  const auto image = cluster.next({{2, 4}, {2, 1}});
  cluster.publish(image);
  cluster.two.run(
      [&] { CHECK(cluster.two.loop().find_coordinator(Cluster::kSubscription) == nullptr); });
}

TEST_CASE("a barrier over the mains waits for the node that does not know the metadata yet") {
  Cluster cluster;
  cluster.publish(cluster.next({{1, 1}, {2, 1}}));
  const auto fence = cluster.next({{1, 1}, {2, 1}});
  Cluster::publish(cluster.one, fence);
  std::atomic<int> outcome{0};
  const auto await = [&](std::uint32_t within_ms) {
    outcome = 0;
    cluster.one.run([&] {
      await_mains(cluster.one.loop(), Cluster::kTopic, within_ms,
                  [&](const Status& known) { outcome = known ? 1 : -1; });
    });
  };
  await(100);  // node 2 says no after limits::kNodeAwaitMs
  REQUIRE(cluster.one.until([&] { return outcome != 0; }));
  CHECK(outcome == -1);
  await(60'000);
  Cluster::publish(cluster.two, fence);
  REQUIRE(cluster.one.until([&] { return outcome != 0; }));
  CHECK(outcome == 1);
}

TEST_CASE("a subscription is ready on other nodes' partitions only when it is known there") {
  Cluster cluster;
  cluster.publish(cluster.next({{1, 1}, {2, 1}}));
  const auto ready = [&](SubscriptionId id, std::vector<std::uint32_t> partitions) {
    return cluster.one.ask(2, [&](flatbuffers::FlatBufferBuilder& builder) {
      return node_body(Body::SubscriptionReady, protocol::CreateSubscriptionReadyDirect(
                                                    builder, Cluster::kTopic, id, &partitions, 1));
    });
  };
  CHECK(ready(Cluster::kSubscription, {1}).has_value());
  const auto unknown = ready(77, {1});
  REQUIRE_FALSE(unknown.has_value());
  CHECK(unknown.error().code == ErrorCode::kUnknownSubscription);
  const auto not_main = ready(Cluster::kSubscription, {0, 1});
  REQUIRE_FALSE(not_main.has_value());
  CHECK(not_main.error().code == ErrorCode::kNotMain);
}

TEST_CASE("a topic is described with what its mains know, and why what is missing is missing") {
  Cluster cluster;
  NodeRecord dead;
  dead.id = 3;
  dead.host = "127.0.0.1";
  dead.port = 1;  // nobody listens there
  cluster.add_node(dead);
  cluster.publish(cluster.next({{1, 1}, {2, 1}, {3, 1}, {0, 1}}));
  REQUIRE(cluster.one.until([&] { return subscription_of(cluster.one, 0).ready(); }));
  hold_a_message(cluster.one, 0, 5);
  const auto answer = cluster.one.ask(2, [](flatbuffers::FlatBufferBuilder& builder) {
    return node_body(Body::TopicDescribe, protocol::CreateTopicDescribeDirect(builder, "orders"));
  });
  REQUIRE_MESSAGE(answer.has_value(), answer.error().message);
  const auto* partitions = answer->frame->body_as_TopicReply()->topics()->Get(0)->partitions();
  REQUIRE(partitions->size() == 4);
  CHECK(partitions->Get(0)->committed_offset() == 1);  // from node 1
  CHECK(partitions->Get(0)->note() == nullptr);
  CHECK(partitions->Get(1)->note() == nullptr);
  REQUIRE(partitions->Get(2)->note() != nullptr);
  CHECK(partitions->Get(2)->note()->str().find("main node 3 does not answer") == 0);
  REQUIRE(partitions->Get(3)->note() != nullptr);
  CHECK(partitions->Get(3)->note()->str() == "it has no main now");
}

TEST_CASE("a subscription is described with its consumers, from the node that coordinates it") {
  Cluster cluster;
  NodeRecord dead;
  dead.id = 3;
  dead.host = "127.0.0.1";
  dead.port = 1;
  cluster.add_node(dead);
  cluster.publish(cluster.next({{1, 1}, {2, 1}, {3, 1}}));
  attach(cluster.one, cluster, "alice", 11);
  const auto answer = cluster.one.ask(2, [](flatbuffers::FlatBufferBuilder& builder) {
    return node_body(Body::SubscriptionDescribe,
                     protocol::CreateSubscriptionDescribeDirect(builder, "orders", "s"));
  });
  REQUIRE_MESSAGE(answer.has_value(), answer.error().message);
  const auto* info = answer->frame->body_as_SubscriptionReply()->subscriptions()->Get(0);
  REQUIRE(info->consumers()->size() == 1);
  CHECK(info->consumers()->Get(0)->name()->str() == "alice");
  REQUIRE(info->partitions()->size() == 3);
  CHECK(info->partitions()->Get(1)->attached_consumer()->str() == "alice");
  // Nobody has a stream there: its main says so itself.
  CHECK(info->partitions()->Get(0)->blocked()->str().find("main") == std::string::npos);
  CHECK(info->partitions()->Get(2)->blocked()->str().find("main node 3 does not answer") == 0);
}

TEST_CASE("a dead letter is stored on another node, once, however often it is sent") {
  Cluster cluster;
  cluster.publish(cluster.next({{1, 1}, {2, 1}}));
  batch::BatchBuilder builder;
  REQUIRE(builder.add({.payload = "letter"}));
  const SharedBytes batch = builder.build({.producer_id = kInternalProducers | 9, .sequence = 0});
  for (int round = 0; round < 2; ++round) {
    const auto stored = cluster.one.ask(2, [&](flatbuffers::FlatBufferBuilder& fbb) {
      auto bytes = fbb.CreateVector(batch.data(), batch.size());
      return node_body(Body::Produce, protocol::CreateProduce(fbb, Cluster::kTopic, 1, 1,
                                                              protocol::Acks::quorum, bytes));
    });
    REQUIRE_MESSAGE(stored.has_value(), stored.error().message);
    CHECK(stored->frame->body_type() == Body::Done);
  }
  cluster.two.run(
      [&] { CHECK(cluster.two.loop().find_partition(6)->core().committed_offset() == 1); });
}

TEST_CASE("a reset reaches every partition at its main, asked of any node") {
  Cluster cluster;
  cluster.publish(cluster.next({{1, 1}, {2, 1}}));
  REQUIRE(cluster.one.until([&] { return subscription_of(cluster.one, 0).ready(); }));
  REQUIRE(cluster.two.until([&] { return subscription_of(cluster.two, 1).ready(); }));
  produce(cluster.one, 0);
  produce(cluster.two, 1);
  const auto floors = [&] {
    std::pair<Offset, Offset> at;
    cluster.one.run([&] { at.first = subscription_of(cluster.one, 0).core().floor(); });
    cluster.two.run([&] { at.second = subscription_of(cluster.two, 1).core().floor(); });
    return at;
  };
  const auto before = floors();
  const auto reset = [&](protocol::StartKind kind, std::int32_t partition) {
    return cluster.one.ask(2, [&](flatbuffers::FlatBufferBuilder& builder) {
      const protocol::Start to(kind, 0);
      return node_body(Body::SubscriptionReset, protocol::CreateSubscriptionResetDirect(
                                                    builder, "orders", "s", &to, partition));
    });
  };
  const auto latest = reset(protocol::StartKind::latest, -1);
  REQUIRE_MESSAGE(latest.has_value(), latest.error().message);
  CHECK(floors() == std::pair<Offset, Offset>{1, 1});
  CHECK(floors() != before);
  // One of them alone, which the asked node is not the main of.
  const auto one = reset(protocol::StartKind::earliest, 0);
  REQUIRE_MESSAGE(one.has_value(), one.error().message);
  CHECK(floors() == std::pair<Offset, Offset>{0, 1});
  const auto unknown = reset(protocol::StartKind::earliest, 2);
  REQUIRE_FALSE(unknown.has_value());
  CHECK(unknown.error().code == ErrorCode::kUnknownPartition);
}

TEST_CASE("a client's question about a partition is passed on to its main, whose answer comes") {
  Cluster cluster;
  cluster.publish(cluster.next({{1, 1}, {2, 1}}));
  produce(cluster.two, 1);
  andyx::test::RawConnection client(cluster.one.record().port);
  client.hello();
  const auto look_up = [&](std::uint32_t partition) {
    return client.request<protocol::LookupOffset>([&](flatbuffers::FlatBufferBuilder& builder) {
      const protocol::Start latest(protocol::StartKind::latest, 0);
      return protocol::CreateLookupOffset(builder, Cluster::kTopic, partition, &latest);
    });
  };
  const auto answer = look_up(1);
  REQUIRE(answer.as<protocol::LookupOffsetReply>() != nullptr);
  CHECK(answer.as<protocol::LookupOffsetReply>()->offset() == 1);
  CHECK(look_up(0).as<protocol::LookupOffsetReply>()->offset() == 0);  // by itself

  // It waits until the other node knows the metadata by which it asks.
  const auto next = cluster.next({{1, 1}, {2, 1}});
  Cluster::publish(cluster.one, next);
  std::thread later([&] { Cluster::publish(cluster.two, next); });
  CHECK(look_up(1).as<protocol::LookupOffsetReply>() != nullptr);
  later.join();

  cluster.two.kill();
  const auto lost = look_up(1);
  REQUIRE(lost.as<protocol::ErrorReply>() != nullptr);
  CHECK(lost.as<protocol::ErrorReply>()->message()->str().find("node 2: ") == 0);
}

}  // namespace
}  // namespace andyx::server::test
