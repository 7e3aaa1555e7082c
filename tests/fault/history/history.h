// What happened in a run, in one order: what was sent, answered, read, delivered and confirmed, and
// the faults meanwhile. The checker and the measurement of gaps read it; a failing run writes it to
// a file. Recording is thread-safe; reading only when everybody who records has ended.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "protocol/base/ids.h"
#include "tests/integration/support/delivery_ledger.h"

namespace andyx::test::fault {

// Indexes into the lists of Cast.
using ReaderId = std::uint16_t;
using SubscriptionIndex = std::uint16_t;
using ConsumerId = std::uint16_t;  // counts those of all subscriptions

// Of a record that carries no id of ours.
inline constexpr MessageId kNobody{.producer = ~0u, .sequence = ~0u};

// Key and payload of a message, as 64 bits.
std::uint64_t content_of(std::string_view payload, std::string_view key);
// A payload that carries its id (see id_in) and is all its own, so that bytes of another message
// show.
std::string message_text(MessageId id, std::size_t size_bytes);

// ---- Events. A "producer" is one session: who opens again is another one.

struct Sent {
  MessageId id;
  std::uint64_t content = 0;
};
enum class Outcome : std::uint8_t { kCommitted, kNotStored, kMaybeStored };
struct Answered {
  MessageId id;
  Outcome outcome = Outcome::kCommitted;
  std::uint32_t partition = 0;  // of kCommitted, as the next
  Offset offset = kNoOffset;    // kNoOffset: stored, and where is not known any more
};
// A reader asks from here on; the records up to its ReadEnd follow without gaps.
struct ReadFrom {
  ReaderId reader = 0;
  std::uint32_t partition = 0;
  Offset offset = 0;
};
struct Record {
  std::uint32_t partition = 0;
  Offset offset = 0;
  MessageId id;
  std::uint64_t content = 0;
};
struct ReadRecord {
  ReaderId reader = 0;
  Record record;
};
struct ReadEnd {
  ReaderId reader = 0;
  std::uint32_t partition = 0;
  Offset start = 0, committed = 0;  // of the partition, as this answer said
};
struct Delivered {
  SubscriptionIndex subscription = 0;
  ConsumerId consumer = 0;
  Record record;
};
// A poll that began when `events_before` were recorded had nothing to give: whatever this consumer
// gets later came in later.
struct PollEmpty {
  ConsumerId consumer = 0;
  std::uint64_t events_before = 0;
};
struct Confirmed {
  SubscriptionIndex subscription = 0;
  std::uint32_t partition = 0;
  Offset first = 0, last = 0;
};
struct FaultBegun {
  std::uint32_t fault = 0;  // counts from 1
  std::string kind;         // for the table of gaps
  std::uint32_t at_ms = 0;  // in the history's time; it is written down a little later
};
// After healing: was everything writable, with full in-sync sets, in time?
struct Recovery {
  bool in_time = true;
  std::string text;  // how long it took, or what is missing
};
// No fault any more: what was acknowledged before has to be on every copy soon.
struct Healed {};
// Of a topic whose copies are observers: a partition's record as the metadata have it now.
struct RecordSeen {
  std::uint32_t partition = 0;
  std::uint32_t version = 0;  // counts the changes of the record
  NodeId main = 0;            // 0: none
  std::vector<NodeId> observers;
};
// An observer's log is on its disk up to here, as its main knows.
struct ObserverSeen {
  std::uint32_t partition = 0;
  NodeId node = 0;
  Offset durable = 0;
};
// An operator makes this node main, whatever it holds.
struct Forced {
  std::uint32_t partition = 0;
  NodeId node = 0;
};
struct Note {
  std::string text;
};

using Event =
    std::variant<Sent, Answered, ReadFrom, ReadRecord, ReadEnd, Delivered, PollEmpty, Confirmed,
                 FaultBegun, Recovery, Healed, RecordSeen, ObserverSeen, Forced, Note>;
struct Entry {
  std::uint32_t time_ms = 0;  // since the history began
  Event event;
};

// Who takes part.
struct Cast {
  struct Subscription {
    std::string name;
    Order order = Order::kNone;  // kNone or kPartition
  };
  struct Reader {
    std::string name;
    bool final = false;  // reads everything, once, after the last recovery
  };
  std::uint32_t partitions = 0;
  std::vector<Subscription> subscriptions;
  std::vector<Reader> readers;
};

class History {
 public:
  explicit History(Cast cast);

  void add(Event event);
  void add_all(std::vector<Event> events);   // one after the other, nothing between
  void restore(std::vector<Entry> entries);  // instead of what was recorded, with their times
  std::uint64_t size() const;
  std::uint32_t now_ms() const;

  const Cast& cast() const { return cast_; }
  const std::vector<Entry>& entries() const { return entries_; }  // when nobody records any more

  // One event a line. False where the file cannot be written.
  bool write(const std::string& path) const;

 private:
  const Cast cast_;
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  mutable std::mutex mutex_;
  std::vector<Entry> entries_;
};

}  // namespace andyx::test::fault
