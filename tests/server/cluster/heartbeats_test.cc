#include "server/cluster/heartbeats.h"

#include <doctest/doctest.h>

#include "tests/server/cluster/fake_node.h"

namespace andyx::server::test {
namespace {

using protocol::Body;

// A node that is the controller, or says who is.
struct Controlling {
  FakeNode node;
  bool leads = true;
  NodeId says = 0;  // where it does not
  std::optional<ErrorCode> refuses;
  bool silent = false;
  std::uint32_t beats = 0;
  NodeReport last;

  explicit Controlling(NodeId id)
      : node(id, [this](auto& session, const auto& frame) { serve(session, frame); }) {}
  ~Controlling() { node.end(); }

  void serve(FakeNode::Session& session, const protocol::Frame& frame) {
    const auto* beat = frame.body_as_NodeHeartbeat();
    REQUIRE(beat != nullptr);
    CHECK(beat->node_id() == 9);
    CHECK(beat->incarnation() == 4);
    ++beats;
    last.version = beat->version();
    last.stopping = beat->stopping();
    last.metadata_stopped = beat->metadata_stopped()->str();
    if (const auto* load = beat->load()) {
      last.load = MeasuredLoad{load->in_rate(), load->out_rate(), load->stored_bytes(), {}, {}};
      for (const auto* share : *load->busiest())
        last.load->busiest.push_back({share->partition_id(), share->amount()});
      for (const auto* share : *load->largest())
        last.load->largest.push_back({share->partition_id(), share->amount()});
    }
    last.failing_pulls.assign(beat->failing_pulls()->begin(), beat->failing_pulls()->end());
    const auto id = frame.correlation_id();
    if (silent) return;
    if (refuses) return session.error(id, *refuses, "refused");
    if (!leads) return session.error(id, ErrorCode::kNotController, "not here", says);
    session.send(id, Body::NodeHeartbeatReply, [&](auto& b) {
      return protocol::CreateNodeHeartbeatReplyDirect(b, node.id, 77, 123, 1'500, "differs");
    });
  }
  std::uint32_t seen() {
    return node.on([this] { return beats; });
  }
};

struct Beating {
  net::LoopThread thread;
  std::unique_ptr<NodeLinks> links;
  std::shared_ptr<MetadataPeers> peers;
  std::unique_ptr<Heartbeats> heartbeats;
  const MeasuredLoad load{7, 8, 9, {{3, 70}, {4, 5}}, {{5, 9}}};
  NodeReport report{
      .version = 55, .failing_pulls = {3, 4}, .metadata_stopped = "it went back", .load = load};
  NodeId leader = 0;
  std::vector<NodeSessions::Answer> heard;  // on the loop, as the next
  std::vector<ErrorCode> refused;

  explicit Beating(const Image& image, NodeSessions* local = nullptr) {
    thread.on([&] {
      links = NodeLinks::create(thread.loop(), {.self = 9, .incarnation = 4});
      links->image_moved(image);
      peers = MetadataPeers::create(*links, 9, {});
      peers->image_moved(image);
      heartbeats = std::make_unique<Heartbeats>(
          thread.loop(), peers,
          HeartbeatsOptions{.self = 9, .incarnation = 4, .interval_ms = 10, .timeout_ms = 60'000},
          Heartbeats::Inputs{.report = [this] { return report; },
                             .leader = [this] { return leader; },
                             .local = local,
                             .heard = [this](const auto& answer) { heard.push_back(answer); },
                             .refused = [this](const Error& e) { refused.push_back(e.code); }});
    });
  }
  ~Beating() {
    thread.on([&] {
      heartbeats.reset();
      peers->close();
      links.reset();
    });
  }
  void start() {
    thread.on([&] { heartbeats->start(); });
  }
  std::size_t answers() {
    return thread.on([&] { return heard.size(); });
  }
};

TEST_CASE("heartbeats go to the controller, and when it was heard of is known") {
  Controlling one(1);
  Beating beating(image_of({&one.node}));
  CHECK(beating.heartbeats->heard_controller_ms() == 0);
  const auto before_ms = net::boottime_ns() / 1'000'000;
  beating.start();
  wait_until([&] { return beating.answers() >= 3; });
  CHECK(beating.heartbeats->heard_controller_ms() >= before_ms);
  CHECK(beating.heartbeats->heard_controller_ms() <= net::boottime_ns() / 1'000'000);
  beating.thread.on([&] {
    CHECK(beating.heard.front().controller == 1);
    CHECK(beating.heard.front().epoch == 77);
    CHECK(beating.heard.front().tail == 123);
    CHECK(beating.heard.front().session_ms == 1'500);
    CHECK(beating.heard.front().astray == "differs");
  });
  one.node.on([&] {
    CHECK(one.last.version == 55);
    CHECK(one.last.failing_pulls == std::vector<PartitionId>{3, 4});
    CHECK_FALSE(one.last.stopping);
    CHECK(one.last.metadata_stopped == "it went back");
    REQUIRE(one.last.load.has_value());
    CHECK(*one.last.load == beating.load);
  });
}

TEST_CASE("it is the time of sending that counts: an unanswered one moves nothing") {
  Controlling one(1);
  Beating beating(image_of({&one.node}));
  beating.start();
  wait_until([&] { return beating.answers() >= 1; });
  one.node.on([&] { one.silent = true; });
  const auto beats = one.seen();
  wait_until([&] { return one.seen() >= beats + 3; });
  const auto heard_ms =
      beating.thread.on([&] { return beating.heartbeats->heard_controller_ms(); });
  const auto count = one.seen();
  wait_until([&] { return net::boottime_ns() / 1'000'000 > heard_ms + 100; });
  CHECK(beating.heartbeats->heard_controller_ms() == heard_ms);
  CHECK(one.seen() <= count + 4);  // not more and more of them
}

TEST_CASE("a node that is not the controller says who is; else the others are asked") {
  Controlling one(1), two(2), three(3);
  one.leads = false;
  two.leads = false;
  SUBCASE("it knows") { one.says = 3; }
  SUBCASE("it does not") {}
  SUBCASE("it is away") { one.node.stop(); }
  Beating beating(image_of({&one.node, &two.node, &three.node}));
  beating.start();
  wait_until([&] { return beating.answers() >= 2; });
  beating.thread.on([&] { CHECK(beating.heard.back().controller == 3); });
  // And after a change of the controller.
  const auto seen = one.seen() + two.seen();
  wait_until([&] { return three.seen() >= 5; });
  CHECK(one.seen() + two.seen() <= seen + 2);  // it goes there at once
  three.node.on([&] { three.leads = false; });
  two.node.on([&] { two.leads = true; });
  wait_until(
      [&] { return beating.thread.on([&] { return beating.heard.back().controller; }) == 2; });
}

TEST_CASE("what the local metadata knows of the leader comes first") {
  Controlling one(1), two(2);
  Beating beating(image_of({&one.node, &two.node}));
  SUBCASE("known") { beating.leader = 2; }
  SUBCASE("one that the image does not have is not asked") {
    beating.leader = 77;
    one.leads = false;
    one.says = 2;
  }
  beating.start();
  wait_until([&] { return beating.answers() >= 3; });
  CHECK(one.seen() <= (beating.leader == 2 ? 0u : 4u));
  CHECK(beating.thread.on([&] { return beating.refused.empty(); }));
}

TEST_CASE("a node that was replaced is told, whatever the other nodes say") {
  Controlling one(1), two(2), three(3);
  one.leads = false;
  two.refuses = ErrorCode::kNodeConflict;
  three.leads = false;
  Beating beating(image_of({&one.node, &two.node, &three.node}));
  beating.start();
  wait_until([&] { return beating.thread.on([&] { return !beating.refused.empty(); }); });
  CHECK(beating.refused.front() == ErrorCode::kNodeConflict);
  CHECK(beating.heartbeats->heard_controller_ms() == 0);
}

struct Local final : NodeSessions {
  Result<Answer> answer = fail(ErrorCode::kNotController, "not here");
  std::uint32_t beats = 0;
  Result<Answer> heartbeat(NodeId node, std::uint64_t, const NodeReport&) override {
    CHECK(node == 9);
    ++beats;
    return answer;
  }
  void connection_closed(NodeId, std::uint64_t) override {}
};

TEST_CASE("the controller's own heartbeat needs no connection") {
  Controlling one(1);
  Local local;
  Beating beating(image_of({&one.node}), &local);
  beating.start();
  wait_until([&] { return beating.answers() >= 1; });  // it does not lead yet
  beating.thread.on([&] { local.answer = NodeSessions::Answer{.controller = 9}; });
  wait_until(
      [&] { return beating.thread.on([&] { return beating.heard.back().controller; }) == 9; });
  const auto seen = one.seen();
  const auto answers = beating.answers();
  wait_until([&] { return beating.answers() >= answers + 5; });
  CHECK(one.seen() <= seen + 4);  // those that were under way
}

}  // namespace
}  // namespace andyx::server::test
