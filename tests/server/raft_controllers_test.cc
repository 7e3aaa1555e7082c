// Controllers of several nodes over one metadata log on Raft.
#include <doctest/doctest.h>

#include <set>
#include <thread>

#include "server/metadata/controller.h"
#include "server/metadata/wish.h"
#include "tests/server/metadata_commands.h"
#include "tests/server/raft_logs.h"

namespace andyx::server::test {
namespace {

using raft::wait_until;

class Nodes;

// The way to the controllers of the other nodes, without a network.
class DirectPeer final : public ControllerPeer {
 public:
  DirectPeer(Nodes& nodes, NodeId self) : nodes_(nodes), self_(self) {}
  void propose(NodeId to, const Uuid& command_id, std::vector<std::uint8_t> wish,
               Done done) override;

 private:
  Nodes& nodes_;
  const NodeId self_;
};

class Nodes {
 public:
  explicit Nodes(NodeId count) : logs_(count) {
    for (NodeId id = 1; id <= count; ++id) nodes_[id];
    std::vector<std::thread> starting;
    for (NodeId id = 1; id <= count; ++id) starting.emplace_back([this, id] { start(id); });
    for (auto& one : starting) one.join();
    for (auto& [id, node] : nodes_) REQUIRE(node.started);
  }
  ~Nodes() {
    for (auto& [id, node] : nodes_) stop(id);
  }

  void start(NodeId id) {
    Node& node = nodes_[id];
    node.loop = std::move(*net::Loop::create());
    node.peer = std::make_unique<DirectPeer>(*this, id);
    auto log = logs_.open(id);
    node.log = log.get();
    ControllerOptions options;
    options.node = {id, {1, id}, ++node.incarnation, "127.0.0.1", static_cast<std::uint16_t>(id)};
    options.bootstrap_cluster = {7, 7};
    options.peer = node.peer.get();
    options.snapshot_entries = 20;
    auto made = std::make_unique<Controller>(*node.loop, std::move(log), options);
    Controller* controller = made.get();
    controller->on_failed([&node](const Error& error) { node.failed = error.message; });
    controller->on_role([&node](bool leading) { node.roles += leading ? 1 : -1; });
    node.thread = std::thread([loop = node.loop.get()] { loop->run(); });
    {
      const std::lock_guard lock(mutex_);
      node.controller = std::move(made);
    }
    std::promise<Status> ready;
    controller->start([&](Status status) { ready.set_value(std::move(status)); });
    node.started = ready.get_future().get().has_value();
  }

  // As a process that ends: what is under way is lost.
  void stop(NodeId id) {
    Node& node = nodes_[id];
    if (!node.loop) return;
    std::unique_ptr<Controller> controller;
    {
      const std::lock_guard lock(mutex_);
      controller = std::move(node.controller);
    }
    node.log = nullptr;
    node.loop->stop();
    node.thread.join();
    controller.reset();
    node.loop.reset();
    node.peer.reset();
  }

  // Any thread. False: the node is down.
  bool with(NodeId id, const std::function<void(Controller&)>& work) {
    const std::lock_guard lock(mutex_);
    auto& controller = nodes_.at(id).controller;
    if (controller) work(*controller);
    return controller != nullptr;
  }
  Controller* at(NodeId id) { return nodes_.at(id).controller.get(); }
  RaftMetadataLog& log(NodeId id) { return *nodes_.at(id).log; }
  int roles(NodeId id) { return nodes_.at(id).roles; }

  Result<std::shared_ptr<const Topic>> create(NodeId id, const std::string& name) {
    std::promise<Result<std::shared_ptr<const Topic>>> answer;
    at(id)->create_topic(topic_name(name), 1, [&](auto r) { answer.set_value(std::move(r)); });
    return answer.get_future().get();
  }
  NodeId wait_for_leader() {
    NodeId leader = 0;
    wait_until("a controller leads", [&] {
      for (auto& [id, node] : nodes_) {
        if (node.controller && node.controller->leading()) leader = id;
      }
      return leader != 0;
    });
    return leader;
  }
  void wait_for_equal() {
    wait_until("all images are the same", [&] {
      std::set<std::pair<Position, std::uint64_t>> images;
      for (auto& [id, node] : nodes_) {
        if (!node.controller) continue;
        const auto image = node.controller->image();
        images.emplace(image->position, image->hash());
      }
      return images.size() == 1;
    });
    for (auto& [id, node] : nodes_) CHECK(node.failed == "");
  }

 private:
  struct Node {
    std::unique_ptr<net::Loop> loop;
    std::unique_ptr<DirectPeer> peer;
    std::unique_ptr<Controller> controller;  // under mutex_ but for the test's own thread
    RaftMetadataLog* log = nullptr;
    std::thread thread;
    std::uint64_t incarnation = 0;
    bool started = false;
    std::string failed;
    std::atomic<int> roles = 0;
  };
  RaftLogs logs_;
  std::mutex mutex_;
  std::map<NodeId, Node> nodes_;
};

void DirectPeer::propose(NodeId to, const Uuid& command_id, std::vector<std::uint8_t> wish,
                         Done done) {
  // As of a connection: what a node that ends leaves unanswered is lost, and that is heard.
  struct Owed {
    Done done;
    ~Owed() {
      if (done) done(fail(ErrorCode::kConnectionLost, "the node has ended"));
    }
    void answer(Result<ProposalAnswer> result) { std::exchange(done, nullptr)(std::move(result)); }
  };
  auto owed = std::make_shared<Owed>(std::move(done));
  // Any node may know: the next one.
  const bool up = nodes_.with(to != 0 ? to : self_ % 3 + 1, [&](Controller& controller) {
    controller.propose_for(command_id, wish, [owed](Result<ProposalAnswer> result) {
      owed->answer(std::move(result));
    });
  });
  if (!up) owed->answer(fail(ErrorCode::kUnreachable, "the node is down"));
}

TEST_CASE("every node takes changes, whoever leads, and all have the same image") {
  Nodes nodes(3);
  const NodeId leader = nodes.wait_for_leader();
  for (int i = 0; i < 60; ++i) {  // with snapshots and trimming on all of them
    const NodeId at = static_cast<NodeId>(i % 3 + 1);
    const auto created = nodes.create(at, "t" + std::to_string(i));
    REQUIRE_MESSAGE(created.has_value(), created.error().message);
    // What was answered is seen by who asked.
    CHECK(nodes.at(at)->image()->find_topic((*created)->id));
  }
  const auto twice = nodes.create(leader % 3 + 1, "t0");
  REQUIRE_FALSE(twice);
  CHECK(twice.error().code == ErrorCode::kTopicExists);
  nodes.wait_for_equal();
  CHECK(nodes.at(1)->image()->topics.size() == 60);
  CHECK(nodes.at(1)->image()->nodes.size() == 3);
  wait_until("all know who leads", [&] {
    return nodes.at(1)->leader() == nodes.at(2)->leader() &&
           nodes.at(2)->leader() == nodes.at(3)->leader() && nodes.at(3)->leader() != 0;
  });
}

TEST_CASE("when the leader hands over, it follows, and changes go on everywhere") {
  Nodes nodes(3);
  for (int round = 0; round < 3; ++round) {
    const NodeId leader = nodes.wait_for_leader();
    const ControllerEpoch epoch = nodes.at(leader)->epoch();
    const NodeId next = leader % 3 + 1;
    nodes.log(leader).transfer_leader(next);
    wait_until("the next one leads", [&] { return nodes.at(next)->leading(); });
    wait_until("the former one follows", [&] { return !nodes.at(leader)->leading(); });
    CHECK(nodes.at(next)->epoch() > epoch);
    for (NodeId id = 1; id <= 3; ++id) {
      const auto created = nodes.create(id, std::to_string(round) + "-" + std::to_string(id));
      CHECK_MESSAGE(created.has_value(), created.error().message);
    }
  }
  nodes.wait_for_equal();
  CHECK(nodes.at(1)->image()->topics.size() == 9);
  int leading = 0;
  for (NodeId id = 1; id <= 3; ++id) leading += nodes.roles(id);
  CHECK(leading == 1);
}

TEST_CASE("a leader that dies amid changes loses none that was answered, and comes back") {
  Nodes nodes(3);
  const NodeId leader = nodes.wait_for_leader();
  std::atomic<int> answered = 0, created = 0;
  constexpr int kTopics = 200;
  for (int i = 0; i < kTopics; ++i) {
    const NodeId at = i % 2 == 0 ? leader % 3 + 1 : (leader + 1) % 3 + 1;
    nodes.at(at)->create_topic(topic_name("t" + std::to_string(i)), 1, [&](const auto& result) {
      created += result.has_value();
      ++answered;
    });
    if (i == kTopics / 2) nodes.stop(leader);
  }
  wait_until("all are answered", [&] { return answered == kTopics; });
  CHECK(created == kTopics);
  for (int i = 0; i < 50; ++i) {
    REQUIRE(nodes.create(nodes.wait_for_leader(), "more" + std::to_string(i)));
  }
  nodes.start(leader);
  nodes.wait_for_equal();
  CHECK(nodes.at(leader)->image()->topics.size() == kTopics + 50);
}

TEST_CASE("what is passed on to a node that does not lead is answered with the one that does") {
  Nodes nodes(3);
  const NodeId leader = nodes.wait_for_leader();
  const NodeId other = leader % 3 + 1;
  const auto propose = [&](NodeId at, const Uuid& id) {
    std::promise<Result<ProposalAnswer>> answer;
    nodes.at(at)->propose_for(id, encode_wish(ReserveProducerIdsCommand{10}),
                              [&](auto r) { answer.set_value(std::move(r)); });
    return answer.get_future().get();
  };
  wait_until("it knows the leader", [&] { return nodes.at(other)->leader() == leader; });
  const auto refused = propose(other, {1, 1});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kNotController);
  CHECK(refused.error().node == leader);
  const auto first = propose(leader, {1, 1});
  REQUIRE(first);
  CHECK(first->version <= nodes.at(leader)->image()->position);
  const auto again = propose(leader, {1, 1});
  REQUIRE(again);
  CHECK(again->result == first->result);  // applied once
  CHECK(propose(leader, {1, 2})->result == first->result + 10);
  std::promise<Result<ProposalAnswer>> damaged;
  nodes.at(leader)->propose_for({1, 3}, {}, [&](auto r) { damaged.set_value(std::move(r)); });
  CHECK(damaged.get_future().get().error().code == ErrorCode::kBadArgument);
}

}  // namespace
}  // namespace andyx::server::test
