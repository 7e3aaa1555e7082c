// A consumer that vanishes with a million messages in flight: what it held goes to the next one,
// each message once, and the server neither grows nor stands still.
#include <doctest/doctest.h>
#include <signal.h>

#include <string>
#include <vector>

#include "andyx/client.h"
#include "protocol/base/limits.h"
#include "tests/integration/support/cli.h"

namespace andyx::test {
namespace {

// A partition delivers up to 200,000 ahead of what is answered (two for each range that its
// answered set has room for), so that it takes six for a million.
constexpr std::uint32_t kPartitions = 6;
static_assert(kPartitions * 2 * limits::kMaxAnsweredRanges >= 1'000'000);
constexpr std::uint64_t kMessages = 1'000'000;
// Of the server, from before the first consumer until the last answer: what a connection may have
// queued, what is read ahead, and the heap's slack. A million records of even 100 bytes are over
// it.
constexpr std::size_t kMaxGrowthBytes = 64 * limits::kMiB;

std::string holder_binary() {
  const char* path = std::getenv("ANDYX_HOLDER_BIN");
  REQUIRE_MESSAGE(path != nullptr, "ANDYX_HOLDER_BIN is not set: run the suite through meson test");
  return path;
}

struct State {
  std::uint64_t in_flight = 0, lag = 0, waiting = 0;
  bool idle = true;  // there is nothing to deliver, in any partition
};

State state_of(client::Client& client, const std::string& topic) {
  const auto described = client.admin().describe_subscription(topic, "s");
  REQUIRE_MESSAGE(described.has_value(), described.error().message);
  State sum;
  for (const auto& partition : described->partitions) {
    sum.in_flight += partition.in_flight;
    sum.lag += partition.lag_messages;
    sum.waiting += partition.waiting_redelivery;
    sum.idle = sum.idle && partition.blocked == "nothing to deliver";
  }
  return sum;
}

void produce(client::Client& client, const std::string& topic, std::uint64_t messages) {
  auto producer = client.producer({.topic = topic});
  REQUIRE(producer.has_value());
  for (std::uint64_t i = 0; i < messages; ++i) REQUIRE(producer->send({.payload = "0123456789"}));
  REQUIRE(producer->flush());
}

// Attaches as soon as the place is free: of a unique subscription when the other one has gone.
client::Consumer take_place(client::Client& client, const std::string& topic,
                            client::SubscriptionType type) {
  std::optional<client::Consumer> consumer;
  wait_until([&] {
    auto attached = client.subscribe({.topic = topic,
                                      .subscription = "s",
                                      .name = "heir",
                                      .type = type,
                                      .mode = client::SubscriptionMode::kNonresilient,
                                      .create = false});
    if (!attached) REQUIRE(attached.error().code == ErrorCode::kSubscriptionBusy);
    if (attached) consumer = std::move(*attached);
    return consumer.has_value();
  });
  REQUIRE_MESSAGE(consumer.has_value(), "the subscription stays busy");
  return std::move(*consumer);
}

class Heir {
 public:
  explicit Heir(client::Consumer consumer) : consumer_(std::move(consumer)) {}

  // Takes and acknowledges until all are there; false when none comes for a long time.
  bool take_all(ServerProcess& server) {
    std::uint64_t total = 0;
    Clock::time_point last = Clock::now();
    while (total < kMessages && Clock::now() - last < kGenerous) {
      auto batch = consumer_.poll(100);
      REQUIRE_MESSAGE(batch.has_value(), batch.error().message);
      if (batch->empty()) continue;
      last = Clock::now();
      total += note(*batch);
      consumer_.acknowledge(*batch);
      if (++batches_ % 64 == 0) peak_ = std::max(peak_, server.rss_bytes());
    }
    REQUIRE(consumer_.flush_answers());
    return total == kMessages;
  }
  // Nothing comes twice.
  void expect_no_more() {
    const auto batch = consumer_.poll(300);
    REQUIRE(batch.has_value());
    CHECK(batch->empty());
    CHECK(repeated_ == 0);
    CHECK(consumer_.stats().answers_refused == 0);
  }
  std::uint64_t redelivered() const { return redelivered_; }
  std::size_t peak_rss_bytes() const { return peak_; }

 private:
  std::uint64_t note(client::MessageBatch& batch) {
    std::uint64_t messages = 0;
    client::Message message;
    while (batch.next(message)) {
      auto& seen = seen_[message.partition];
      if (seen.size() <= message.offset) seen.resize(message.offset + 1);
      if (seen[message.offset]) ++repeated_;
      seen[message.offset] = true;
      if (message.delivery_count > 1) ++redelivered_;
      ++messages;
    }
    REQUIRE(batch.status());
    return messages;
  }

  client::Consumer consumer_;
  std::vector<bool> seen_[kPartitions];
  std::uint64_t repeated_ = 0, redelivered_ = 0, batches_ = 0;
  std::size_t peak_ = 0;
};

enum class End { kKilled, kSilent };

void vanish(const std::string& type_name, End how) {
  ServerProcess server;
  server.start();
  const Cli cli(server);
  cli.ok({"topic", "create", "t", "--partitions", std::to_string(kPartitions)});
  cli.ok({"subscription", "create", "t", "s", "--type", type_name, "--mode", "nonresilient",
          "--from", "earliest"});
  auto client = client::Client::connect({.servers = {server.address()}});
  REQUIRE(client.has_value());
  produce(*client, "t", kMessages);
  const std::size_t rss_before = server.rss_bytes();

  Process holder({.argv = {holder_binary(), server.address(), "t", "s", type_name,
                           std::to_string(kMessages)}});
  REQUIRE_MESSAGE(wait_until([&] { return !holder.out().empty() || !holder.running(); }),
                  "the holder never had all messages");
  REQUIRE(holder.out() == "holds " + std::to_string(kMessages) + "\n");
  CHECK(state_of(*client, "t").in_flight == kMessages);
  const std::size_t rss_held = server.rss_bytes();

  const auto gone = Clock::now();
  if (how == End::kKilled) {
    holder.kill_now();
  } else {
    holder.send_signal(SIGSTOP);  // its connection stays open, and nothing comes of it
  }
  const auto type =
      type_name == "shared" ? client::SubscriptionType::kShared : client::SubscriptionType::kUnique;
  Heir heir(take_place(*client, "t", type));
  REQUIRE(heir.take_all(server));
  if (how == End::kSilent)  // not before its session was over
    CHECK(Clock::now() - gone >= Millis(limits::kConsumerSessionMs / 2));
  heir.expect_no_more();
  CHECK(heir.redelivered() == kMessages);

  const State after = state_of(*client, "t");
  CHECK(after.lag == 0);
  CHECK(after.in_flight == 0);
  CHECK(after.waiting == 0);
  CHECK(after.idle);
  const std::size_t peak = std::max({rss_held, heir.peak_rss_bytes(), server.rss_bytes()});
  MESSAGE(type_name, ": RSS ", rss_before / limits::kMiB, " MiB before, ", rss_held / limits::kMiB,
          " with all in flight, at most ", peak / limits::kMiB);
  CHECK(peak < rss_before + kMaxGrowthBytes);
  // It goes on.
  cli.ok({"produce", "t"}, "one more\n");
  CHECK(wait_until([&] { return state_of(*client, "t").in_flight == 1; }));
  CHECK(server.terminate().value_or(-1) == 0);
}

}  // namespace

TEST_CASE("killed with a million in flight: the next consumer gets each of them once") {
  SUBCASE("shared") { vanish("shared", End::kKilled); }
  SUBCASE("unique") { vanish("unique", End::kKilled); }
}

TEST_CASE("silent with a million in flight: the next consumer gets each when the session is over") {
  SUBCASE("shared") { vanish("shared", End::kSilent); }
  SUBCASE("unique") { vanish("unique", End::kSilent); }
}

}  // namespace andyx::test
