// Clients that take memory or time from others: claims without bytes, no reading, silence. Bounded,
// and nobody else notices.
#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

#include "protocol/base/limits.h"
#include "protocol/batch/batch_builder.h"
#include "tests/integration/support/raw_connection.h"
#include "tests/integration/support/server_process.h"

namespace andyx::test {
namespace {

using limits::kMiB;

Bytes megabyte_batch() {
  std::mt19937_64 random(1);
  std::string payload(kMiB, '\0');
  for (char& byte : payload) byte = static_cast<char>(random());
  return text_batch(payload);
}

struct Backlog {
  ServerProcess server;
  RawConnection::Partition partition;

  // `megabytes` of messages that do not compress.
  explicit Backlog(int megabytes) {
    server.start();
    RawConnection connection(server.port());
    connection.hello();
    partition.topic_id = connection.create_topic("backlog");
    const Bytes batch = megabyte_batch();
    for (int i = 0; i < megabytes; ++i) {
      REQUIRE(connection.produce(partition, batch).as<protocol::ProduceReply>() != nullptr);
    }
  }

  // Somebody else produces and reads, in small pieces.
  void require_served() {
    RawConnection other(server.port());
    other.hello();
    const Offset before = other.committed_offset(partition);
    REQUIRE(other.produce_text(partition, "small") == before);
    const Received answer = other.request<protocol::Read>([&](Builder& builder) {
      return protocol::CreateRead(builder, partition.topic_id, 0, 0, before);
    });
    REQUIRE(answer.as<protocol::ReadReply>() != nullptr);
    REQUIRE(answer.as<protocol::ReadReply>()->batches()->size() > 0);
  }
};

// What a connection may hold (its send queue) and the reads under way for it; far under what an
// unbounded server would take in these tests.
constexpr std::size_t kAllowedGrowth = 128 * kMiB;

TEST_CASE("200 connections that claim 8 MiB and send nothing take little memory") {
  Backlog backlog(1);
  const std::size_t before = backlog.server.rss_bytes();
  std::vector<RawConnection> claims;
  const Bytes prefix = {0, 0, 0x80, 0};  // 8 MiB
  for (int i = 0; i < 200; ++i) {
    RawConnection& connection = claims.emplace_back(backlog.server.port());
    connection.hello();
    Bytes bytes = make_frame<protocol::Ping>(
        7, [](Builder& builder) { return protocol::CreatePing(builder); });
    bytes.insert(bytes.end(), prefix.begin(), prefix.end());
    REQUIRE(connection.send(bytes));
    REQUIRE(connection.receive().has_value());  // the pong: the claim was received with the ping
  }
  backlog.require_served();
  const std::size_t after = backlog.server.rss_bytes();
  CHECK_MESSAGE(after < before + kAllowedGrowth, "from ", before / kMiB, " to ", after / kMiB,
                " MiB");
}

TEST_CASE("a client that asks for much and stops reading is bounded, and served when it reads") {
  constexpr int kRequests = 400;
  Backlog backlog(2);
  const std::size_t before = backlog.server.rss_bytes();
  RawConnection greedy(backlog.server.port());
  greedy.hello();
  for (int i = 0; i < kRequests; ++i) {
    REQUIRE(greedy.send(make_frame<protocol::Read>(1'000 + i, [&](Builder& builder) {
      return protocol::CreateRead(builder, backlog.partition.topic_id, 0, 0, 0, kMiB);
    })));
  }
  std::size_t highest = 0;
  for (int i = 0; i < 50; ++i) {
    backlog.require_served();
    highest = std::max(highest, backlog.server.rss_bytes());
  }
  CHECK_MESSAGE(highest < before + kAllowedGrowth, "from ", before / kMiB, " to ", highest / kMiB,
                " MiB");
  // What was asked for comes when it is read, in whatever order; or the server had ended it.
  int answers = 0;
  while (answers < kRequests && greedy.receive()) ++answers;
  CHECK((answers == kRequests || greedy.closed()));
  backlog.require_served();
}

TEST_CASE("a consumer with all the credit that stops reading is bounded, and loses its place") {
  Backlog backlog(200);
  const std::size_t before = backlog.server.rss_bytes();
  RawConnection greedy(backlog.server.port());
  greedy.hello();
  const auto subscribe = [](RawConnection& connection, std::uint64_t session) {
    return connection.request<protocol::Subscribe>([session](Builder& builder) {
      const protocol::Start earliest(protocol::StartKind::earliest, 0);
      return protocol::CreateSubscribeDirect(
          builder, "default/default/default/backlog", "greedy", protocol::SubscriptionType::unique,
          protocol::SubscriptionMode::nonresilient, &earliest, true, "greedy", session);
    });
  };
  const Received attached = subscribe(greedy, 4'711);
  const auto* attach = attached.as<protocol::SubscribeReply>();
  REQUIRE(attach != nullptr);
  const Received opened = greedy.request<protocol::StreamOpen>([&](Builder& builder) {
    return protocol::CreateStreamOpen(builder, attach->topic_id(), 0, attach->subscription_id(),
                                      attach->partition_epochs()->Get(0), 1,
                                      limits::kMaxCreditBytes, limits::kMaxCreditMessages);
  });
  REQUIRE(opened.as<protocol::StreamOpenReply>() != nullptr);
  std::size_t highest = 0;
  for (int i = 0; i < 50; ++i) {
    backlog.require_served();
    highest = std::max(highest, backlog.server.rss_bytes());
  }
  CHECK_MESSAGE(highest < before + kAllowedGrowth, "from ", before / kMiB, " to ", highest / kMiB,
                " MiB");
  // The server does not read from it now; still it cannot keep others away for ever.
  RawConnection next(backlog.server.port());
  next.hello();
  CHECK(wait_until([&] { return subscribe(next, 4'712).as<protocol::SubscribeReply>() != nullptr; },
                   Millis(4 * limits::kConsumerSessionMs)));
}

TEST_CASE("requests in flight beyond the bound are refused, or wait for room") {
  Backlog backlog(1);
  RawConnection greedy(backlog.server.port());
  greedy.hello();
  const Offset end = greedy.committed_offset(backlog.partition);
  for (std::uint32_t i = 0; i < 2 * limits::kMaxInFlightRequestsPerConnection; ++i) {
    const bool sent = greedy.send(make_frame<protocol::Read>(1'000 + i, [&](Builder& builder) {
      return protocol::CreateRead(builder, backlog.partition.topic_id, 0, 0, end, 1'000, 1'000);
    }));
    if (!sent) break;
  }
  std::optional<Received> answer = greedy.receive();
  REQUIRE(answer.has_value());
  if (answer->as<protocol::ErrorReply>() != nullptr) {
    require_error(*answer, ErrorCode::kTooManyRequests);
  } else {
    CHECK(answer->as<protocol::ReadReply>() != nullptr);
  }
  backlog.require_served();
}

TEST_CASE("a connection that never says hello is closed, and those that say hello stay") {
  Backlog backlog(1);
  RawConnection silent(backlog.server.port());
  RawConnection polite(backlog.server.port());
  polite.hello();
  CHECK(silent.wait_closed(Millis(3 * limits::kHandshakeTimeoutMs)));
  polite.ping();
}

TEST_CASE("a silent client is closed after the idle timeout, one that pings stays") {
  ServerProcess server({.flags = {"--idle-timeout-ms", "1000"}});
  server.start();
  RawConnection silent(server.port());
  silent.hello();
  RawConnection polite(server.port());
  polite.hello();
  std::optional<Received> farewell;
  CHECK(wait_until([&] {
    polite.ping();
    farewell = silent.receive(Millis(50));
    return farewell.has_value();
  }));
  REQUIRE(farewell.has_value());
  require_error(*farewell, ErrorCode::kIdleTimeout);
  CHECK(silent.wait_closed());
  polite.ping();
}

}  // namespace
}  // namespace andyx::test
