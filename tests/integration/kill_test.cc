// kill -9 at random moments of a run with producers and consumers: after every restart each
// acknowledged message is there, once, in order for each key, and no confirmed answer is forgotten.
// ANDYX_SEED repeats a run's choices, ANDYX_KILLS sets how many kills hit a producer at work.
#include <doctest/doctest.h>

#include <deque>
#include <iostream>
#include <random>
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

class KillRun {
 public:
  explicit KillRun(std::uint64_t seed) : random_(seed) {
    server_.start();
    RawConnection connection = open();
    topic_id_ = connection.create_topic("killed", kPartitions);
    for (const ProducerStyle& style : kStyles) {
      const auto id = static_cast<std::uint32_t>(producers_.size());
      producers_.emplace_back(book_, server_.address(), "killed", id, style, random_());
    }
    consumers_.emplace_back(book_, server_.address(), "killed",
                            ConsumerStyle{.subscription = "flow", .late_percent = 20}, random_());
    consumers_.emplace_back(
        book_, server_.address(), "killed",
        ConsumerStyle{.subscription = "strict", .mode = client::SubscriptionMode::kResilient},
        random_());
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
    // The flow catches up with all that is stored: nothing is stuck, nothing left out.
    CHECK(wait_until([&] { return failed() || drained(); }, Millis(120'000)));
    for (ConsumerLoad& consumer : consumers_) consumer.stop();
    judge(take_promises());
  }

  void print_summary(std::uint64_t kills, std::uint64_t hits) {
    const std::scoped_lock lock(book_.mutex);
    std::cout << kills << " kills, " << hits << " at a producer at work, "
              << book_.messages.messages_stored() << " messages stored, " << book_.messages.mark()
              << " acknowledged, " << consumers_[0].ledger().redeliveries() << " redelivered"
              << std::endl;
  }

  bool failed() {
    const std::scoped_lock lock(book_.mutex);
    std::size_t count = book_.messages.violations().count() + book_.failures.count();
    for (const ConsumerLoad& consumer : consumers_) count += consumer.ledger().violations().count();
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
    for (const ConsumerLoad& consumer : consumers_) {
      auto& counts = promises.confirmed.emplace_back();
      for (std::uint32_t partition = 0; partition < kPartitions; ++partition) {
        counts.push_back(consumer.ledger().confirmed_count(partition));
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
    const std::vector<std::string> subscriptions = {"flow", "strict"};
    for (std::size_t i = 0; i < subscriptions.size(); ++i) {
      const auto cursors = describe_cursors(connection, kTopicPath, subscriptions[i]);
      REQUIRE(cursors.size() == kPartitions);
      for (std::uint32_t partition = 0; partition < kPartitions; ++partition) {
        INFO("subscription ", subscriptions[i], " partition ", partition);
        CHECK(cursors[partition].floor + cursors[partition].answered_above_floor >=
              promises.confirmed[i][partition]);
      }
    }
    const std::scoped_lock lock(book_.mutex);
    book_.messages.require_stored(promises.acknowledged);
    CHECK_MESSAGE(book_.messages.violations().count() == 0, book_.messages.violations().text());
    CHECK_MESSAGE(book_.failures.count() == 0, book_.failures.text());
    for (const ConsumerLoad& consumer : consumers_) {
      const Violations& violations = consumer.ledger().violations();
      CHECK_MESSAGE(violations.count() == 0, violations.text());
    }
  }

  bool drained() {
    const std::scoped_lock lock(book_.mutex);
    for (std::uint32_t partition = 0; partition < kPartitions; ++partition) {
      const Offset end = book_.messages.stored_end(partition);
      if (consumers_[0].ledger().delivered_end(partition) < end) return false;
      if (consumers_[0].ledger().confirmed_count(partition) < end) return false;
    }
    return true;
  }

  std::mt19937_64 random_;
  ServerProcess server_;
  TopicId topic_id_ = 0;
  Book book_;
  std::deque<ProducerLoad> producers_;
  std::deque<ConsumerLoad> consumers_;
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
