// The wall clock of a running server jumps, hours ahead and back (support/clock_shim.cc): nothing
// is lost, nothing stands still, and what runs by the steady clock does not notice.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "andyx/client.h"
#include "protocol/net/loop.h"
#include "tests/integration/support/cli.h"

namespace andyx::test {
namespace {

constexpr TimeUs kSecond = 1'000'000, kMinute = 60 * kSecond, kHour = 60 * kMinute;

std::string shim() {
  const char* path = std::getenv("ANDYX_CLOCK_SHIM");
  REQUIRE_MESSAGE(path != nullptr, "ANDYX_CLOCK_SHIM is not set: run the suite through meson test");
  return path;
}

// The wall clock of a server that has `environment`.
class WallClock {
 public:
  WallClock() {
    write_file(path_, std::string(sizeof(std::int64_t), '\0'));
    const int fd = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
    REQUIRE(fd >= 0);
    void* mapped = mmap(nullptr, sizeof(std::int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ::close(fd);
    REQUIRE(mapped != MAP_FAILED);
    shift_us_ = static_cast<std::atomic<std::int64_t>*>(mapped);
  }
  ~WallClock() { munmap(shift_us_, sizeof(std::int64_t)); }
  WallClock(const WallClock&) = delete;
  WallClock& operator=(const WallClock&) = delete;

  std::vector<std::string> environment() const {
    return {"LD_PRELOAD=" + shim(), "CLOCK_SHIM_FILE=" + path_};
  }
  void jump(TimeUs by_us) { shift_us_->fetch_add(by_us); }
  TimeUs now_us() const { return net::wall_time_us() + shift_us_->load(); }

 private:
  TempDir directory_;
  std::string path_ = directory_.file("shift");
  std::atomic<std::int64_t>* shift_us_ = nullptr;
};

struct Got {
  std::string payload;
  Offset offset = 0;
  TimeUs append_time_us = 0;
  std::uint32_t delivery_count = 0;
};

class Reader {
 public:
  Reader(client::Client& client, client::ConsumerOptions options)
      : consumer_(attach(client, std::move(options))) {}
  client::Consumer* operator->() { return &consumer_; }

  std::optional<Got> next(Millis deadline = kGenerous) {
    client::Message message;
    const bool found = wait_until(
        [&] {
          if (rest_.next(message)) return true;
          auto batch = consumer_.poll(20);
          REQUIRE_MESSAGE(batch.has_value(), batch.error().message);
          rest_ = std::move(*batch);
          return rest_.next(message);
        },
        deadline);
    if (!found) return std::nullopt;
    return Got{std::string(message.payload), message.offset, message.append_time_us,
               message.delivery_count};
  }
  // Takes and acknowledges.
  std::string take() {
    const auto got = next();
    if (!got) return "(nothing came)";
    acknowledge(*got);
    return got->payload;
  }
  void acknowledge(const Got& got) {
    consumer_.answer(client::AnswerKind::kAcknowledge, 0, {got.offset, got.offset});
    REQUIRE(consumer_.flush_answers());
  }
  bool nothing_comes() { return !next(Millis(300)).has_value(); }

 private:
  static client::Consumer attach(client::Client& client, client::ConsumerOptions options) {
    options.topic = "t";
    options.subscription = "s";
    options.mode = client::SubscriptionMode::kNonresilient;
    options.start = client::Start::earliest();
    auto consumer = client.subscribe(std::move(options));
    REQUIRE_MESSAGE(consumer.has_value(), consumer.error().message);
    return std::move(*consumer);
  }
  client::Consumer consumer_;
  client::MessageBatch rest_;
};

struct Running {
  WallClock clock;
  ServerProcess server{{.environment = clock.environment()}};
  std::optional<client::Client> client;
  std::optional<client::Producer> producer;

  explicit Running(client::ProducerOptions options = {}) {
    server.start();
    auto connected = client::Client::connect({.servers = {server.address()}});
    REQUIRE(connected.has_value());
    client = std::move(*connected);
    REQUIRE(client->admin().create_topic("t"));
    options.topic = "t";
    options.linger_ms = 0;
    auto opened = client->producer(std::move(options));
    REQUIRE(opened.has_value());
    producer = std::move(*opened);
  }
  // `after_us`: deliver at that time from now, by the server's clock; 0: at once.
  client::Delivered produce(const std::string& payload, TimeUs after_us = 0) {
    const auto sent = producer->send_and_wait(
        {.payload = payload, .deliver_at_us = after_us == 0 ? 0 : clock.now_us() + after_us});
    REQUIRE_MESSAGE(sent.has_value(), sent.error().message);
    return *sent;
  }
  client::SubscriptionPartitionInfo partition() {
    const auto described = client->admin().describe_subscription("t", "s");
    REQUIRE(described.has_value());
    REQUIRE(described->partitions.size() == 1);
    return described->partitions.front();
  }
  std::uint64_t lag() { return partition().lag_messages; }
  std::uint64_t delayed() { return partition().delayed; }
};

}  // namespace

TEST_CASE("append times never go back, and look-ups by time go on") {
  Running running;
  Reader consumer(*running.client, {});
  TimeUs last_us = 0, highest_us = 0;
  int sent = 0;
  for (const TimeUs by_us : {TimeUs{0}, 3 * kHour, -6 * kHour, 4 * kHour, -kHour, 2 * kMinute}) {
    running.clock.jump(by_us);
    highest_us = std::max(highest_us, running.clock.now_us());
    for (int i = 0; i < 3; ++i) {
      const TimeUs at_us = running.produce("m" + std::to_string(sent)).append_time_us;
      CHECK(at_us >= last_us);
      CHECK(at_us >= highest_us);  // the partition's own clock: the latest that it has seen
      last_us = at_us;
      const auto got = consumer.next();
      REQUIRE(got);
      CHECK(got->payload == "m" + std::to_string(sent));
      CHECK(got->append_time_us == at_us);
      consumer.acknowledge(*got);
      ++sent;
    }
  }
  CHECK(running.lag() == 0);
  const auto found =
      running.client->admin().lookup_offset("t", 0, client::Start::time(highest_us - kHour));
  REQUIRE(found.has_value());
  CHECK(found->offset == 3);  // the first one after the first jump
  running.server.kill_now();
  running.clock.jump(-24 * kHour);
  running.server.start();
  CHECK(running.produce("after a restart").append_time_us >= last_us);
  CHECK(consumer.take() == "after a restart");
}

TEST_CASE("delayed messages follow the wall clock, ahead and back: each once, none lost") {
  Running running;
  Reader consumer(*running.client, {});
  running.produce("in an hour", kHour);
  running.produce("in five hours", 5 * kHour);
  CHECK(consumer.nothing_comes());
  running.clock.jump(2 * kHour);  // and nothing else happens
  CHECK(consumer.take() == "in an hour");
  CHECK(consumer.nothing_comes());

  running.clock.jump(-90 * kMinute);
  running.produce("later", 6 * kHour);
  running.produce("now");
  CHECK(consumer.take() == "now");
  // The clock of the partition does not go back: what it has passed is due.
  running.produce("passed already", 10 * kMinute);
  CHECK(consumer.take() == "passed already");
  CHECK(consumer.nothing_comes());

  running.server.kill_now();
  running.clock.jump(-24 * kHour);
  running.server.start();
  CHECK(consumer.nothing_comes());
  CHECK(running.delayed() == 2);
  running.clock.jump(24 * kHour + 5 * kHour);
  CHECK(consumer.take() == "in five hours");
  CHECK(consumer.nothing_comes());
  running.clock.jump(3 * kHour);
  CHECK(consumer.take() == "later");
  CHECK(consumer.nothing_comes());
  CHECK(running.lag() == 0);
  CHECK(running.delayed() == 0);
}

TEST_CASE("soft retention keeps what a subscription needs, whatever the clock says") {
  Running running;
  const auto start = [&] {
    return running.client->admin().lookup_offset("t", 0, client::Start::earliest())->offset;
  };
  client::RetentionPolicy policy;
  policy.soft_ms = kHour / 1'000;
  REQUIRE(running.client->admin().scopes().set_retention("default/default/default/t", policy));
  Reader consumer(*running.client, {});
  for (int i = 0; i < 10; ++i) running.produce("m" + std::to_string(i));
  for (int i = 0; i < 5; ++i) REQUIRE(consumer.take() == "m" + std::to_string(i));
  CHECK(start() == 0);
  running.clock.jump(5 * kHour);
  CHECK(wait_until([&] { return start() == 5; }));
  running.produce("new");
  running.clock.jump(-10 * kHour);
  running.produce("newer");
  for (int i = 5; i < 10; ++i) {
    CHECK(start() <= static_cast<Offset>(i));
    CHECK(consumer.take() == "m" + std::to_string(i));
  }
  CHECK(consumer.take() == "new");
  running.clock.jump(20 * kHour);
  CHECK(wait_until([&] { return start() == 11; }));
  CHECK(consumer.take() == "newer");
  CHECK(wait_until([&] { return start() == 12; }));
}

TEST_CASE("ack timeouts, delays of unacknowledged messages and sessions run by the steady clock") {
  constexpr std::uint32_t kTimeoutMs = 2'000;
  Running running;
  Reader consumer(*running.client, {.name = "me", .ack_timeout_ms = kTimeoutMs});
  const auto attached_us = [&] {
    const auto described = running.client->admin().describe_subscription("t", "s");
    REQUIRE(described.has_value());
    REQUIRE(described->consumers.size() == 1);
    return described->consumers.front().attached_us;
  };
  const TimeUs attached_before_us = attached_us();
  for (const TimeUs by_us : {3 * kHour, -6 * kHour}) {
    INFO("jump by hours: ", by_us / kHour);
    running.produce("m");
    const auto sent = Clock::now();
    REQUIRE(consumer.next());
    running.clock.jump(by_us);
    const auto again = consumer.next();
    REQUIRE(again);
    CHECK(again->delivery_count == 2);
    CHECK(Clock::now() - sent >= Millis(kTimeoutMs - 100));
    const auto asked = Clock::now();
    consumer->answer(client::AnswerKind::kUnacknowledge, 0, {again->offset, again->offset}, 1'000);
    REQUIRE(consumer->flush_answers());
    running.clock.jump(-by_us / 2);
    const auto last = consumer.next();
    REQUIRE(last);
    CHECK(Clock::now() - asked >= Millis(900));
    consumer.acknowledge(*last);
  }
  CHECK(running.lag() == 0);
  CHECK(attached_us() == attached_before_us);
}

TEST_CASE("a single producer keeps its place, and gets on after a start with a clock set back") {
  Running running({.name = "p", .instance = client::ProducerInstance::kSingle});
  Reader consumer(*running.client, {.type = client::SubscriptionType::kShared});
  const Cli cli(running.server);
  const std::vector<std::string> intrude = {"produce", "t",          "--producer",
                                            "p",       "--instance", "single"};
  int sent = 0;
  const auto goes_on = [&] {
    for (int i = 0; i < 3; ++i, ++sent) {
      running.produce("m" + std::to_string(sent));
      CHECK(consumer.take() == "m" + std::to_string(sent));
    }
    cli.refused(ErrorCode::kProducerBusy, intrude, "x\n");
  };
  goes_on();
  for (const TimeUs by_us : {30 * kHour, -60 * kHour}) {  // producers are forgotten after 24 hours
    running.clock.jump(by_us);
    goes_on();
  }
  const auto incarnation = [&] { return cli.json({"node", "status"}).at("incarnation"); };
  std::uint64_t before = incarnation();
  for (const TimeUs by_us : {-48 * kHour, TimeUs{0}, 96 * kHour}) {
    running.server.kill_now();
    running.clock.jump(by_us);
    running.server.start();
    goes_on();
    const std::uint64_t now = incarnation();
    CHECK(now > before);
    before = now;
  }
  CHECK(running.lag() == 0);
}

}  // namespace andyx::test
