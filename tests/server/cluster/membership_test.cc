#include "server/cluster/membership.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "tests/server/cluster/fake_node.h"

namespace andyx::server::test {
namespace {

using protocol::Body;

JoinRequest request_to(std::vector<net::Address> addresses) {
  return {.node = {.node_id = 5,
                   .disk_id = {1, 2},
                   .incarnation = 3,
                   .host = "here",
                   .port = 6540,
                   .peer_port = 7540,
                   .roles = kBrokerRole | kMetadataRole,
                   .intact = false},
          .cluster_id = {},
          .addresses = std::move(addresses),
          .call_timeout_ms = 60'000,
          .pause_ms = 5};
}

void welcome(FakeNode::Session& session, const protocol::Frame& frame) {
  const auto* join = frame.body_as_NodeJoin();
  REQUIRE(join != nullptr);
  CHECK(join->node_id() == 5);
  CHECK(join->disk_id()->str() == Uuid{1, 2}.text());
  CHECK(join->incarnation() == 3);
  CHECK(join->host()->str() == "here");
  CHECK(join->port() == 6540);
  CHECK(join->peer_port() == 7540);
  CHECK(join->roles() == (kBrokerRole | kMetadataRole));
  CHECK_FALSE(join->intact());
  session.send(frame.correlation_id(), Body::NodeJoinReply, [](auto& b) {
    return protocol::CreateNodeJoinReplyDirect(b, kCluster.text().c_str(), 42);
  });
}
FakeNode::Serve refuse_with(ErrorCode code) {
  return [code](auto& session, const auto& frame) {
    session.error(frame.correlation_id(), code, "refused by the test");
  };
}

Result<Joined> join(const JoinRequest& request) {
  const std::atomic<bool> cancelled{false};
  return join_cluster(request, cancelled);
}

TEST_CASE("a node joins by the first address that takes it in") {
  FakeNode away(1, welcome), busy(2, refuse_with(ErrorCode::kNoController)), good(3, welcome);
  away.stop();
  const auto joined = join(request_to({away.address(), busy.address(), good.address()}));
  REQUIRE_MESSAGE(joined.has_value(), joined.error().message);
  CHECK(joined->cluster_id == kCluster);
  CHECK(joined->version == 42);
}

TEST_CASE("it goes on until somebody answers") {
  std::uint32_t asked = 0;
  FakeNode node(1, [&](auto& session, const auto& frame) {
    if (++asked < 4)
      return session.error(frame.correlation_id(), ErrorCode::kNoController, "not yet");
    welcome(session, frame);
  });
  CHECK(join(request_to({node.address()})).has_value());
  CHECK(asked == 4);
}

TEST_CASE("what no other node would answer otherwise ends it") {
  auto code = ErrorCode::kNodeConflict;
  SUBCASE("taken") {}
  SUBCASE("wrong cluster") { code = ErrorCode::kWrongCluster; }
  SUBCASE("version") { code = ErrorCode::kUnsupportedVersion; }
  SUBCASE("full") { code = ErrorCode::kLimitReached; }
  FakeNode node(1, refuse_with(code)), other(2, welcome);
  const auto joined = join(request_to({node.address(), other.address()}));
  REQUIRE_FALSE(joined.has_value());
  CHECK(joined.error().code == code);
  CHECK(joined.error().message.find(node.address().text()) != std::string::npos);
  CHECK(joined.error().message.find("refused by the test") != std::string::npos);
}

TEST_CASE("a version that nobody speaks is found out by the hello") {
  FakeNode node(1, welcome);
  node.on_hello = [](auto& session, std::uint64_t id) {
    session.error(id, ErrorCode::kUnsupportedVersion, "this server speaks version 9");
    return true;
  };
  const auto joined = join(request_to({node.address()}));
  REQUIRE_FALSE(joined.has_value());
  CHECK(joined.error().code == ErrorCode::kUnsupportedVersion);
}

TEST_CASE("a member joins no other cluster: both ids are named") {
  FakeNode node(1, welcome);
  auto request = request_to({node.address()});
  request.cluster_id = {8, 8};
  const auto joined = join(request);
  REQUIRE_FALSE(joined.has_value());
  CHECK(joined.error().code == ErrorCode::kWrongCluster);
  CHECK(joined.error().message.find(kCluster.text()) != std::string::npos);
  CHECK(joined.error().message.find(request.cluster_id.text()) != std::string::npos);
}

TEST_CASE("an answer that is none is as good as none") {
  FakeNode node(1, [](auto& session, const auto& frame) { session.done(frame.correlation_id()); });
  FakeNode damaged(2, [](auto& session, const auto& frame) {
    session.send(frame.correlation_id(), Body::NodeJoinReply,
                 [](auto& b) { return protocol::CreateNodeJoinReplyDirect(b, "no id", 42); });
  });
  FakeNode good(3, welcome);
  CHECK(join(request_to({node.address(), damaged.address(), good.address()})).has_value());
}

TEST_CASE("joining can be cancelled") {
  FakeNode node(1, [](auto&, const auto&) {});
  std::atomic<bool> cancelled{false};
  auto request = request_to({node.address()});
  auto outcome = std::async(std::launch::async, [&] { return join_cluster(request, cancelled); });
  wait_until([&] { return node.on([&] { return node.hellos; }) > 0; });
  cancelled = true;
  REQUIRE(outcome.wait_for(net::kPatience) == std::future_status::ready);
  CHECK(outcome.get().error().code == ErrorCode::kShuttingDown);
  CHECK(join_cluster(request_to({}), cancelled).error().code == ErrorCode::kBadArgument);
}

TEST_CASE("the addresses of the other nodes are kept") {
  const auto directory =
      std::filesystem::temp_directory_path() / ("andyx-known-nodes-" + std::to_string(::getpid()));
  std::filesystem::create_directories(directory);
  CHECK(read_known_nodes(directory).empty());
  FakeNode one(1, welcome), two(2, welcome), self(5, welcome);
  const auto others = other_nodes(image_of({&one, &two, &self}), 5);
  REQUIRE(others.size() == 2);
  CHECK(others[0].node == 1);
  CHECK(others[0].address.text() == one.address().text());
  CHECK(others[1].address.text() == two.address().text());
  REQUIRE(write_known_nodes(directory, others).has_value());
  CHECK(read_known_nodes(directory) == others);
  std::ofstream(directory / "nodes", std::ios::app) << "damaged\n\n7 1.2.3.4:5 6\n8 nowhere 1\n";
  const auto known = read_known_nodes(directory);
  REQUIRE(known.size() == 3);
  CHECK(known[2] == KnownNode{7, {"1.2.3.4", 5}, 6});
  CHECK(write_known_nodes(directory / "none", others).error().code == ErrorCode::kIo);
  std::filesystem::remove_all(directory);
}

TEST_CASE("ids are read as they are written") {
  const Uuid id{0x0123456789abcdef, 0xfedcba9876543210};
  CHECK(Uuid::parse(id.text()) == id);
  CHECK_FALSE(Uuid::parse("").has_value());
  CHECK_FALSE(Uuid::parse(id.text() + "0").has_value());
  CHECK_FALSE(Uuid::parse("0123456789ABCDEF0123456789abcdef").has_value());
}

}  // namespace
}  // namespace andyx::server::test
