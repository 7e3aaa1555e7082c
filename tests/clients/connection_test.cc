#include <atomic>

#include "andyx/client.h"
#include "tests/clients/fake_server.h"

namespace andyx::client {
namespace {

using protocol::Body;
using test::FakeServer;

ClientOptions to(std::initializer_list<std::string> servers) {
  return {.servers = servers, .backoff_min_ms = 1, .backoff_max_ms = 20};
}

std::string nobody() { return net::claim_address({"127.0.0.1", 0}).value().address().text(); }

}  // namespace

TEST_CASE("nobody listens: unreachable, after the connect timeout") {
  auto options = to({nobody()});
  options.connect_timeout_ms = 100;
  const auto client = Client::connect(options);
  REQUIRE_FALSE(client.has_value());
  CHECK(client.error().code == ErrorCode::kUnreachable);
}

TEST_CASE("the first server that answers is used") {
  FakeServer server;
  const auto client = Client::connect(to({nobody(), nobody(), server.address()}));
  CHECK(client.has_value());
}

TEST_CASE("an address that is none is refused at once") {
  CHECK(Client::connect(to({"nonsense"})).error().code == ErrorCode::kBadArgument);
  CHECK(Client::connect(to({})).error().code == ErrorCode::kBadArgument);
}

TEST_CASE("a server that refuses hello for good ends the connecting at once, with its reason") {
  FakeServer server;
  server.intercept([](FakeServer::Session& session, const protocol::Frame& frame) {
    session.error(frame.correlation_id(), ErrorCode::kWrongCluster, "this is another cluster");
    return true;
  });
  const auto client = Client::connect(to({server.address()}));
  REQUIRE_FALSE(client.has_value());
  CHECK(client.error().code == ErrorCode::kWrongCluster);
  CHECK(client.error().message == "this is another cluster");
}

TEST_CASE("an answer reaches whom asked, an error with its code") {
  FakeServer server;
  auto client = Client::connect(to({server.address()})).value();
  const auto topics = client.admin().list_topics();
  REQUIRE(topics.has_value());
  REQUIRE(topics->size() == 1);
  CHECK(topics->front().topic == test::kTopic);
  CHECK(client.admin().delete_topic("t").has_value());
  CHECK(client.admin().describe_topic("t").error().code == ErrorCode::kInternal);
  CHECK(client.admin().delete_topic("bad name").error().code == ErrorCode::kBadName);
}

TEST_CASE("a read-only request outlives a restart of the server") {
  FakeServer server;
  auto client = Client::connect(to({server.address()})).value();
  std::atomic<int> asked{0};
  server.intercept([&](FakeServer::Session& session, const protocol::Frame& frame) {
    if (frame.body_type() != Body::TopicList || asked++ > 0) return false;
    session.connection->close(0, Error{});
    return true;
  });
  CHECK(client.admin().list_topics().has_value());
  CHECK(asked == 2);
}

TEST_CASE("a change that may have been made is not sent twice") {
  FakeServer server;
  auto client = Client::connect(to({server.address()})).value();
  std::atomic<int> asked{0};
  server.intercept([&](FakeServer::Session& session, const protocol::Frame& frame) {
    if (frame.body_type() != Body::TopicDelete) return false;
    ++asked;
    session.connection->close(0, Error{});
    return true;
  });
  CHECK(client.admin().delete_topic("t").error().code == ErrorCode::kConnectionLost);
  CHECK(asked == 1);
}

TEST_CASE("a retriable error is tried again, until the request's timeout") {
  FakeServer server;
  auto options = to({server.address()});
  options.request_timeout_ms = 300;
  auto client = Client::connect(options).value();
  std::atomic<int> refuse{2};
  server.intercept([&](FakeServer::Session& session, const protocol::Frame& frame) {
    if (frame.body_type() == Body::TopicList && refuse-- > 0) {
      session.error(frame.correlation_id(), ErrorCode::kOverloaded, "too much to do");
      return true;
    }
    return false;
  });
  CHECK(client.admin().list_topics().has_value());
  refuse = 1'000'000;
  const auto refused = client.admin().list_topics();
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == ErrorCode::kTimedOut);
  CHECK(refused.error().message.find("too much to do") != std::string::npos);
}

TEST_CASE("closing the client ends those who wait") {
  FakeServer server;
  auto client = Client::connect(to({server.address()})).value();
  net::Slot<bool> asked;
  server.intercept([&](FakeServer::Session&, const protocol::Frame& frame) {
    if (frame.body_type() == Body::TopicList) asked.put(true);
    return true;
  });
  std::thread waiter([&, admin = client.admin()]() mutable {
    CHECK(admin.list_topics().error().code == ErrorCode::kShuttingDown);
  });
  asked.take();
  client.close();
  waiter.join();
  CHECK(client.admin().list_topics().error().code == ErrorCode::kShuttingDown);
}

TEST_CASE("a list that says that there is more, and has nothing more, is an error") {
  FakeServer server;
  auto client = Client::connect({.servers = {server.address()}}).value();
  std::atomic<int> asked = 0;
  server.intercept([&](FakeServer::Session& session, const protocol::Frame& root) {
    const auto* list = root.body_as_TopicList();
    if (list == nullptr) return false;
    const bool first = asked++ == 0;
    CHECK(list->after()->str() == (first ? "" : "a/b/c/d"));
    session.reply(root.correlation_id(), Body::TopicReply, [&](auto& b) {
      std::vector<flatbuffers::Offset<protocol::TopicInfo>> topics;
      if (first) topics.push_back(protocol::CreateTopicInfoDirect(b, "a/b/c/d"));
      return protocol::CreateTopicReplyDirect(b, &topics, true);
    });
    return true;
  });
  CHECK(client.admin().list_topics().error().code == ErrorCode::kInternal);
  CHECK(asked == 2);
}

}  // namespace andyx::client
