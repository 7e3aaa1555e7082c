// Values that producer, consumer and administration share. Any thread.
#pragma once

#include <cstdint>

#include "protocol/base/error.h"
#include "protocol/base/ids.h"
#include "protocol/batch/batch_format.h"
#include "protocol/batch/batch_reader.h"

namespace andyx::client {

using batch::Compression;
using Header = batch::RecordHeader;  // name and value, views

// When a message is answered: on receipt, durable on its main, committed (durable on the in-sync
// set).
enum class Acks : std::uint8_t { kNone = 0, kMain = 1, kQuorum = 2 };

// Of a producer with a name: any number of them at a time, or one, which fences those before it.
enum class ProducerInstance : std::uint8_t { kMultiple = 0, kSingle = 1 };

enum class SubscriptionType : std::uint8_t { kUnique = 0, kFailover = 1, kShared = 2 };
enum class SubscriptionMode : std::uint8_t { kResilient = 0, kNonresilient = 1 };

// A position in a topic: the first or next message, an offset, or the first message that was
// appended at or after a time (microseconds since 1970).
struct Start {
  enum class Kind : std::uint8_t { kEarliest = 0, kLatest = 1, kOffset = 2, kTime = 3 };
  Kind kind = Kind::kEarliest;
  std::int64_t value = 0;

  static Start earliest() { return {}; }
  static Start latest() { return {.kind = Kind::kLatest}; }
  static Start offset(Offset at) {
    return {.kind = Kind::kOffset, .value = static_cast<std::int64_t>(at)};
  }
  static Start time(TimeUs at) { return {.kind = Kind::kTime, .value = at}; }
};

// Offsets first..last, both included.
struct OffsetRange {
  Offset first = 0;
  Offset last = 0;
  std::uint64_t count() const { return last - first + 1; }
};

}  // namespace andyx::client
