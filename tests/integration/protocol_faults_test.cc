// Bad input on the wire against a real server: an error frame where possible, that connection
// closed, everyone else untouched, nothing stored, memory bounded.
#include <doctest/doctest.h>

#include <random>
#include <string>

#include "protocol/base/limits.h"
#include "tests/integration/support/raw_connection.h"
#include "tests/integration/support/seed.h"
#include "tests/integration/support/server_process.h"

namespace andyx::test {
namespace {

// Somebody who behaves well beside the fault, on a connection opened before it.
class Witness {
 public:
  explicit Witness(ServerProcess& server) : server_(server), connection_(server.port()) {
    connection_.hello();
    partition_.topic_id = connection_.create_topic("witness");
  }

  // Still served, on the old connection and on a new one, and only this witness's messages are
  // stored.
  void require_untouched() {
    REQUIRE(server_.running());
    REQUIRE(connection_.produce_text(partition_, "untouched") == stored_++);
    RawConnection fresh(server_.port());
    fresh.hello();
    REQUIRE(fresh.committed_offset(partition_) == stored_);
  }

  RawConnection::Partition partition() const { return partition_; }
  std::uint64_t server_rss_bytes() { return connection_.rss_bytes(); }

 private:
  ServerProcess& server_;
  RawConnection connection_;
  RawConnection::Partition partition_;
  Offset stored_ = 0;
};

struct Fixture {
  ServerProcess server;
  Fixture() { server.start(); }

  RawConnection connect_and_hello() {
    RawConnection connection(server.port());
    connection.hello();
    return connection;
  }
};

Bytes ping_frame(std::uint64_t id) {
  return make_frame<protocol::Ping>(id,
                                    [](Builder& builder) { return protocol::CreatePing(builder); });
}

Bytes length_prefix(std::uint32_t length) {
  return {static_cast<std::uint8_t>(length), static_cast<std::uint8_t>(length >> 8),
          static_cast<std::uint8_t>(length >> 16), static_cast<std::uint8_t>(length >> 24)};
}

TEST_CASE_FIXTURE(Fixture, "random bytes end their own connection only") {
  Witness witness(server);
  std::mt19937_64 random(printed_seed());
  for (int round = 0; round < 200; ++round) {
    RawConnection connection(server.port());
    if (round % 2 == 1) connection.hello();
    Bytes noise(1 + random() % 2'000);
    for (std::uint8_t& byte : noise) byte = static_cast<std::uint8_t>(random());
    // Every fourth claims a length that would be allowed, so that verification has to refuse it.
    if (round % 4 >= 2 && noise.size() > 12) {
      const Bytes prefix = length_prefix(static_cast<std::uint32_t>(noise.size() - 4));
      std::copy(prefix.begin(), prefix.end(), noise.begin());
    }
    connection.send(noise);
    connection.end_sending();
    REQUIRE_MESSAGE(connection.wait_closed(), "round ", round);
  }
  witness.require_untouched();
}

TEST_CASE_FIXTURE(Fixture, "text of another protocol is refused with a frame that says so") {
  Witness witness(server);
  RawConnection connection(server.port());
  const std::string text = "GET / HTTP/1.1\r\n\r\n";
  connection.send(Bytes(text.begin(), text.end()));
  require_refused(connection, {ErrorCode::kBadFrame, ErrorCode::kFrameTooLarge});
  witness.require_untouched();
}

TEST_CASE_FIXTURE(Fixture, "a truncated frame is dropped with its connection") {
  Witness witness(server);
  const Bytes whole = ping_frame(7);
  for (std::size_t cut = 1; cut < whole.size(); ++cut) {
    RawConnection connection = connect_and_hello();
    connection.send(ByteSpan(whole).first(cut));
    connection.end_sending();
    REQUIRE_MESSAGE(connection.wait_closed(), "cut after ", cut, " bytes");
  }
  witness.require_untouched();
}

TEST_CASE_FIXTURE(Fixture, "a length over the limit is refused before anything is received") {
  Witness witness(server);
  SUBCASE("before hello") {
    RawConnection connection(server.port());
    connection.send(length_prefix(limits::kMaxRequestBytesBeforeHello + 1));
    require_refused(connection, {ErrorCode::kFrameTooLarge});
  }
  SUBCASE("after hello") {
    RawConnection connection = connect_and_hello();
    connection.send(length_prefix(limits::kMaxFrameBytes + 1));
    require_refused(connection, {ErrorCode::kFrameTooLarge});
  }
  SUBCASE("the largest number") {
    RawConnection connection = connect_and_hello();
    connection.send(length_prefix(0xFFFFFFFF));
    require_refused(connection, {ErrorCode::kFrameTooLarge});
  }
  SUBCASE("too short for a frame") {
    RawConnection connection = connect_and_hello();
    connection.send(length_prefix(3));
    require_refused(connection, {ErrorCode::kBadFrame});
  }
  witness.require_untouched();
}

TEST_CASE_FIXTURE(Fixture, "a frame that fails verification is refused") {
  Witness witness(server);
  SUBCASE("root offset leads outside") {
    RawConnection connection = connect_and_hello();
    Bytes frame = ping_frame(7);
    frame[4] = frame[5] = 0xFF;
    connection.send(frame);
    require_refused(connection, {ErrorCode::kBadFrame});
  }
  SUBCASE("a required field is missing") {
    RawConnection connection = connect_and_hello();
    Builder builder;
    protocol::TopicDeleteBuilder body(builder);
    const auto start = body.start_;
    const flatbuffers::Offset<protocol::TopicDelete> table(builder.EndTable(start));
    builder.FinishSizePrefixed(
        protocol::CreateFrame(builder, 7, protocol::Body::TopicDelete, table.Union()));
    connection.send({builder.GetBufferPointer(), builder.GetSize()});
    require_refused(connection, {ErrorCode::kBadFrame});
  }
  witness.require_untouched();
}

TEST_CASE_FIXTURE(Fixture, "an unknown or null body is refused") {
  Witness witness(server);
  RawConnection connection = connect_and_hello();
  Builder builder;
  SUBCASE("a type from the future") {
    const auto body = protocol::CreatePing(builder);
    builder.FinishSizePrefixed(
        protocol::CreateFrame(builder, 7, static_cast<protocol::Body>(250), body.Union()));
  }
  SUBCASE("a type without a body") {
    builder.FinishSizePrefixed(protocol::CreateFrame(builder, 7, protocol::Body::Ping));
  }
  SUBCASE("no type at all") {
    builder.FinishSizePrefixed(protocol::CreateFrame(builder, 7, protocol::Body::NONE));
  }
  connection.send({builder.GetBufferPointer(), builder.GetSize()});
  require_refused(connection, {ErrorCode::kUnknownBody});
  witness.require_untouched();
}

TEST_CASE_FIXTURE(Fixture, "an answer sent as if it were a request is refused") {
  Witness witness(server);
  RawConnection connection = connect_and_hello();
  connection.send(make_frame<protocol::ProduceReply>(
      7, [](Builder& builder) { return protocol::CreateProduceReply(builder, 1, 2, 3); }));
  require_refused(connection, {ErrorCode::kUnknownBody, ErrorCode::kBadFrame});
  witness.require_untouched();
}

TEST_CASE_FIXTURE(Fixture, "hello: missing, without a common version, for another cluster") {
  Witness witness(server);
  RawConnection connection(server.port());
  SUBCASE("a request comes first") {
    connection.send(ping_frame(7));
    require_refused(connection, {ErrorCode::kHelloRequired});
  }
  SUBCASE("no common version") {
    connection.send(make_frame<protocol::Hello>(
        7, [](Builder& builder) { return protocol::CreateHelloDirect(builder, 1'000, 1'001); }));
    require_refused(connection, {ErrorCode::kUnsupportedVersion});
  }
  SUBCASE("versions the wrong way round") {
    connection.send(make_frame<protocol::Hello>(
        7, [](Builder& builder) { return protocol::CreateHelloDirect(builder, 5, 1); }));
    require_refused(connection, {ErrorCode::kUnsupportedVersion, ErrorCode::kBadArgument});
  }
  SUBCASE("another cluster is pinned") {
    connection.send(make_frame<protocol::Hello>(7, [](Builder& builder) {
      return protocol::CreateHelloDirect(builder, 1, 1, "raw-test", "0", "some-other-cluster");
    }));
    require_refused(connection, {ErrorCode::kWrongCluster});
  }
  witness.require_untouched();
}

TEST_CASE_FIXTURE(Fixture, "a client from the future is answered in the version that both speak") {
  RawConnection connection(server.port());
  const Received answer = connection.request<protocol::Hello>(
      [](Builder& builder) { return protocol::CreateHelloDirect(builder, 1, 1'000); });
  REQUIRE(answer.as<protocol::HelloReply>() != nullptr);
  CHECK(answer.as<protocol::HelloReply>()->version() == 1);
  connection.ping();
}

TEST_CASE_FIXTURE(Fixture, "requests with wrong arguments are refused and the connection goes on") {
  Witness witness(server);
  RawConnection connection = connect_and_hello();
  const auto partition = witness.partition();
  const auto read_at = [&](TopicId topic, std::uint32_t index, Offset offset) {
    return connection.request<protocol::Read>(
        [&](Builder& builder) { return protocol::CreateRead(builder, topic, index, 0, offset); });
  };
  require_error(connection.produce({partition.topic_id + 999, 0}, text_batch("x")),
                ErrorCode::kUnknownTopic);
  require_error(connection.produce({partition.topic_id, 1}, text_batch("x")),
                ErrorCode::kUnknownPartition);
  require_error(read_at(partition.topic_id + 999, 0, 0), ErrorCode::kUnknownTopic);
  require_error(read_at(partition.topic_id, 1, 0), ErrorCode::kUnknownPartition);
  require_error(read_at(partition.topic_id, 0, 1'000'000), ErrorCode::kOffsetOutOfRange);
  require_error(connection.request<protocol::Answer>([](Builder& builder) {
    const protocol::OffsetRange range(0, 0);
    const auto ranges = builder.CreateVectorOfStructs(&range, 1);
    return protocol::CreateAnswer(builder, 4'711, protocol::AnswerKind::acknowledge, ranges);
  }),
                ErrorCode::kUnknownStream);
  require_error(connection.request<protocol::TopicCreate>([](Builder& builder) {
    return protocol::CreateTopicCreateDirect(builder, "default/default/default/none", 0);
  }),
                ErrorCode::kBadArgument);
  connection.ping();
  witness.require_untouched();
}

TEST_CASE("one connection too many is told so, and there is room again after one has left") {
  ServerProcess server({.flags = {"--max-connections", "4"}, .environment = {}, .data_dir = {}});
  server.start();
  std::vector<RawConnection> taken;
  for (int i = 0; i < 4; ++i) taken.emplace_back(server.port()).hello();
  for (int i = 0; i < 3; ++i) {
    RawConnection over(server.port());
    require_refused(over, {ErrorCode::kTooManyConnections});
  }
  for (RawConnection& connection : taken) connection.ping();
  taken.pop_back();
  CHECK(wait_until([&] {
    RawConnection again(server.port());
    again.send(make_frame<protocol::Hello>(
        1, [](Builder& builder) { return protocol::CreateHelloDirect(builder, 1, 1); }));
    const std::optional<Received> answer = again.receive();
    return answer && answer->as<protocol::HelloReply>() != nullptr;
  }));
}

}  // namespace
}  // namespace andyx::test
