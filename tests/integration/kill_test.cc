// kill -9 at random moments of a run with producers and consumers: after every restart each
// acknowledged message is there, once, in order for each key, and no confirmed answer is forgotten.
// ANDYX_SEED repeats a run's choices, ANDYX_KILLS sets how many kills hit a producer at work.
#include <doctest/doctest.h>

#include <deque>
#include <iostream>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/integration/support/load.h"
#include "tests/integration/support/raw_connection.h"
#include "tests/integration/support/seed.h"
#include "tests/integration/support/server_process.h"
#include "tests/integration/support/topic_reader.h"

namespace andyx::test {
namespace {

constexpr std::uint32_t kPartitions = 4;
constexpr Offset kPoisonEvery = 100;
constexpr const char* kTopicPath = "default/default/default/killed";

const std::vector<ProducerStyle> kStyles = {
    {.keyed = true},  // a batch for each message, nearly
    {.keyed = true, .linger_ms = 2, .compression = client::Compression::kLz4},
    {.keyed = false, .linger_ms = 1, .batch_bytes = 1'000},
    {.keyed = false,
     .linger_ms = 3,
     .max_payload_bytes = 4'000,
     .compression = client::Compression::kZstd,
     .acks = client::Acks::kQuorum},
};

// Every type and mode, with answers of all kinds. The consumers of one subscription share a ledger.
std::vector<ConsumerStyle> consumer_styles() {
  using Type = client::SubscriptionType;
  using Mode = client::SubscriptionMode;
  const auto ledger = [](Order order) { return std::make_shared<SubscriptionLedger>(order); };
  return {
      {.subscription = "flow", .late_percent = 20},
      {.subscription = "strict",
       .mode = Mode::kResilient,
       .skip_percent = 10,
       .unacknowledge_percent = 5},
      {.subscription = "spare", .type = Type::kFailover, .late_percent = 10},
      {.subscription = "careful",
       .type = Type::kFailover,
       .mode = Mode::kResilient,
       .unacknowledge_percent = 5},
      {.subscription = "spread",
       .type = Type::kShared,
       .skip_percent = 5,
       .unacknowledge_percent = 5,
       .ledger = ledger(Order::kNone),
       .late_percent = 10},
      {.subscription = "turns", .type = Type::kShared, .mode = Mode::kResilient},
      {.subscription = "keys",
       .type = Type::kShared,
       .key_ordered = true,
       .unacknowledge_percent = 2,
       .ledger = ledger(Order::kKey)},
      {.subscription = "poison",
       .type = Type::kShared,
       .poison_every = kPoisonEvery,
       .ledger = ledger(Order::kNone)},
  };
}

class KillRun {
 public:
  explicit KillRun(std::uint64_t seed) : random_(seed) {
    server_.start();
    RawConnection connection = open();
    topic_id_ = connection.create_topic("killed", kPartitions);
    dead_topic_id_ = connection.create_topic("killed.dead", kPartitions);
    for (const ProducerStyle& style : kStyles) {
      const auto id = static_cast<std::uint32_t>(producers_.size());
      producers_.emplace_back(book_, server_.address(), "killed", id, style, random_());
    }
    for (const ConsumerStyle& style : consumer_styles()) {
      subscriptions_.push_back(style);
      const int consumers = style.type == client::SubscriptionType::kUnique ? 1 : 2;
      for (int i = 0; i < consumers; ++i)
        consumers_.emplace_back(book_, server_.address(), "killed", style, random_());
    }
  }

  // One kill and restart. True when the kill hit producers that had been served and had more under
  // way.
  bool kill_and_judge() {
    const std::uint64_t acknowledged_before = acknowledged();
    if (random_() % 4 != 0) {
      REQUIRE_MESSAGE(wait_until([&] { return all_acknowledged_since_start() || failed(); }),
                      "a producer is not served after a restart");
    }
    std::this_thread::sleep_for(Millis(random_() % 200));  // the random moment
    server_.kill_now();
    const bool hit = acknowledged() > acknowledged_before && in_flight() > 0;
    const Promises promises = take_promises();
    if (random_() % 8 == 0) {  // and again, while it recovers
      server_.launch();
      std::this_thread::sleep_for(Millis(random_() % 100));
      server_.kill_now();
      ++book_.run;
    }
    note_acknowledged();
    server_.start();
    judge(promises);
    return hit;
  }

  // Ends the load and judges everything.
  void finish() {
    for (ProducerLoad& producer : producers_) producer.stop();
    RawConnection connection = open();
    read_back(connection);
    // Flows catch up with all that is stored, the others go on: nothing is stuck, nothing left out.
    for (const ConsumerStyle& style : subscriptions_) {
      INFO("subscription ", style.subscription);
      if (style.mode == client::SubscriptionMode::kResilient) {
        CHECK(wait_until([&] { return failed() || goes_on(style); }, Millis(60'000)));
      } else {
        CHECK(wait_until([&] { return failed() || lag(style) == 0; }, Millis(120'000)));
      }
    }
    judge_dead_letters();
    for (ConsumerLoad& consumer : consumers_) consumer.stop();
    judge(take_promises());
  }

  void print_summary(std::uint64_t kills, std::uint64_t hits) {
    const std::scoped_lock lock(book_.mutex);
    std::cout << kills << " kills, " << hits << " at a producer at work, "
              << book_.messages.messages_stored() << " messages stored, " << book_.messages.mark()
              << " acknowledged, redelivered:";
    for (const ConsumerStyle& style : subscriptions_)
      std::cout << ' ' << style.subscription << ' ' << style.ledger->redeliveries();
    std::cout << ", dead letters " << dead_letters_ << std::endl;
  }

  bool failed() {
    const std::scoped_lock lock(book_.mutex);
    std::size_t count = book_.messages.violations().count() + book_.failures.count();
    for (const ConsumerStyle& style : subscriptions_) count += style.ledger->violations().count();
    return count > 0;
  }

 private:
  // What had been promised before a kill.
  struct Promises {
    std::size_t acknowledged = 0;                       // a mark in the ledger
    std::vector<std::vector<std::uint64_t>> confirmed;  // by consumer and partition
  };

  RawConnection open() {
    RawConnection connection(server_.port());
    connection.hello();
    return connection;
  }

  std::uint64_t acknowledged() const {
    std::uint64_t total = 0;
    for (const ProducerLoad& producer : producers_) total += producer.acknowledged();
    return total;
  }

  std::uint64_t in_flight() const {
    std::uint64_t total = 0;
    for (const ProducerLoad& producer : producers_) total += producer.in_flight();
    return total;
  }

  void note_acknowledged() {
    acknowledged_at_start_.clear();
    for (const ProducerLoad& producer : producers_) {
      acknowledged_at_start_.push_back(producer.acknowledged());
    }
  }

  bool all_acknowledged_since_start() const {
    for (std::size_t i = 0; i < producers_.size(); ++i) {
      const std::uint64_t at_start =
          i < acknowledged_at_start_.size() ? acknowledged_at_start_[i] : 0;
      if (producers_[i].acknowledged() == at_start) return false;
    }
    return true;
  }

  Promises take_promises() {
    const std::scoped_lock lock(book_.mutex);
    ++book_.run;
    Promises promises{.acknowledged = book_.messages.mark(), .confirmed = {}};
    for (const ConsumerStyle& style : subscriptions_) {
      auto& counts = promises.confirmed.emplace_back();
      for (std::uint32_t partition = 0; partition < kPartitions; ++partition) {
        counts.push_back(style.ledger->confirmed_count(partition));
      }
    }
    return promises;
  }

  void read_back(RawConnection& connection) {
    for (std::uint32_t partition = 0; partition < kPartitions; ++partition) {
      Offset from = 0;
      {
        const std::scoped_lock lock(book_.mutex);
        from = book_.messages.stored_end(partition);
      }
      read_partition(connection, {topic_id_, partition}, from, [&](const batch::Record& record) {
        const std::scoped_lock lock(book_.mutex);
        book_.messages.stored(partition, record.offset, record.payload, record.key);
      });
    }
  }

  void judge(const Promises& promises) {
    RawConnection connection = open();
    read_back(connection);
    for (std::size_t i = 0; i < subscriptions_.size(); ++i) {
      const std::string& name = subscriptions_[i].subscription;
      const auto cursors = describe_cursors(connection, kTopicPath, name);
      REQUIRE(cursors.size() == kPartitions);
      for (std::uint32_t partition = 0; partition < kPartitions; ++partition) {
        INFO("subscription ", name, " partition ", partition);
        CHECK(cursors[partition].floor + cursors[partition].answered_above_floor >=
              promises.confirmed[i][partition]);
      }
    }
    const std::scoped_lock lock(book_.mutex);
    book_.messages.require_stored(promises.acknowledged);
    CHECK_MESSAGE(book_.messages.violations().count() == 0, book_.messages.violations().text());
    CHECK_MESSAGE(book_.failures.count() == 0, book_.failures.text());
    for (const ConsumerStyle& style : subscriptions_) {
      const Violations& violations = style.ledger->violations();
      CHECK_MESSAGE(violations.count() == 0, style.subscription, ": ", violations.text());
    }
  }

  std::uint64_t lag(const ConsumerStyle& style) {
    RawConnection connection = open();
    std::uint64_t lag = 0;
    for (const auto& cursor : describe_cursors(connection, kTopicPath, style.subscription))
      lag += cursor.lag_messages;
    return lag;
  }

  // Less to do than before, or nothing.
  bool goes_on(const ConsumerStyle& style) {
    const std::uint64_t lag_now = lag(style);
    const auto [before, first] = lag_before_.try_emplace(style.subscription, lag_now);
    return lag_now == 0 || (!first && lag_now < before->second);
  }

  // Each poisoned message is a dead letter once, and nothing else is one.
  void judge_dead_letters() {
    RawConnection connection = open();
    std::set<std::pair<std::uint32_t, std::string>> seen;
    for (std::uint32_t partition = 0; partition < kPartitions; ++partition) {
      Offset poisoned = 0;
      {
        const std::scoped_lock lock(book_.mutex);
        poisoned = (book_.messages.stored_end(partition) + kPoisonEvery - 1) / kPoisonEvery;
      }
      Offset letters = 0;
      read_partition(connection, {dead_topic_id_, partition}, 0, [&](const batch::Record& record) {
        std::string offset;
        for (const auto& header : record.headers)
          if (header.name == "andyx-dead-offset") offset = header.value;
        CHECK(seen.emplace(partition, offset).second);
        CHECK(std::stoull(offset) % kPoisonEvery == 0);
        ++letters;
      });
      CHECK(letters == poisoned);
      dead_letters_ += letters;
    }
  }

  std::mt19937_64 random_;
  ServerProcess server_;
  TopicId topic_id_ = 0, dead_topic_id_ = 0;
  Book book_;
  std::deque<ProducerLoad> producers_;
  std::vector<ConsumerStyle> subscriptions_;
  std::deque<ConsumerLoad> consumers_;
  std::map<std::string, std::uint64_t> lag_before_;
  std::uint64_t dead_letters_ = 0;
  std::vector<std::uint64_t> acknowledged_at_start_;
};

TEST_CASE(
    "after kill -9 every acknowledged message is there, once, in order, and so are the cursors") {
  const std::uint64_t wanted = environment_number("ANDYX_KILLS", 50);
  KillRun run(printed_seed());
  std::uint64_t kills = 0, hits = 0;
  while (hits < wanted && kills < 3 * wanted && !run.failed()) {
    INFO("kill ", kills);
    ++kills;
    if (run.kill_and_judge()) ++hits;
  }
  CHECK_MESSAGE(hits == wanted, "too few kills hit a producer at work");
  if (!run.failed()) run.finish();
  run.print_summary(kills, hits);
}

}  // namespace
}  // namespace andyx::test
