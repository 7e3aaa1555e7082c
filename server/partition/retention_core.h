// When the oldest messages of a partition go. Pure: no I/O, no clock; says what has to be looked up
// in storage and takes the answers. One thread (the partition's loop).
//
// Judged by append time alone, which never decreases within a partition: a wall clock that jumps
// back deletes nothing early. One that jumps forward does expire what is old by it; when it comes
// back, what has not gone by then stays. A batch has one
// append time: it goes when all of its messages have expired. Size counts the bytes of whole
// batches; the newest batch always stays.
#pragma once

#include <cstdint>
#include <optional>

#include "protocol/base/ids.h"
#include "server/metadata/settings.h"

namespace andyx::server {

class RetentionCore {
 public:
  // What was appended up to `end` was there when the partition was opened.
  explicit RetentionCore(Offset end) : end_(end) {}

  void set_policy(const RetentionPolicy& policy);
  bool active() const { return soft_.set() || hard_.set() || max_bytes_.has_value(); }

  // A batch has become durable.
  void appended(Offset end, TimeUs append_time_us, std::uint64_t size_bytes);

  // The time, before each look: what has expired by a clock that was ahead has not.
  void clock(TimeUs now_us);

  // What to look up now; nothing when the time of nothing has come.
  struct Look {
    std::uint64_t policy = 0;                              // which it belongs to
    std::uint64_t appended = 0;                            // bytes by then
    std::optional<TimeUs> soft_before_us, hard_before_us;  // the first batch of this time or later
    std::optional<std::uint64_t> max_bytes;  // the first batch from which at most so many are left
    explicit operator bool() const { return soft_before_us || hard_before_us || max_bytes; }
  };
  Look look(TimeUs now_us) const;

  struct TimeFound {
    Offset offset = 0;                     // of that first batch; the end where there is none
    std::optional<TimeUs> append_time_us;  // its own; nothing where there is none
  };
  struct SizeFound {
    Offset offset = 0;
    std::uint64_t bytes = 0;  // from there on
  };
  struct Found {
    std::optional<TimeFound> soft, hard;
    std::optional<SizeFound> size;
  };
  // Answers of another policy are ignored.
  void found(const Look& look, const Found& found);

  // Where the log may start now. Soft retention goes no further than `needed`.
  Offset start(Offset needed) const;
  // Up to here the answer of start() can come to depend on `needed`.
  Offset soft_start() const { return soft_.expired_to; }

 private:
  struct Expiry {
    std::int64_t ms = kNotSet;
    Offset expired_to = 0;  // what lies below was appended before before_us
    bool known = false;     // what lies at expired_to
    TimeUs before_us = 0;
    std::optional<TimeUs> oldest_us;  // the append time of the batch there; nothing: none yet

    bool set() const { return ms != kNotSet; }
    void set_ms(std::int64_t wanted_ms);
    void appended(TimeUs append_time_us);
    void clock(TimeUs now_us);
    std::optional<TimeUs> look(TimeUs now_us) const;
    void found(TimeUs before, const TimeFound& found, Offset end);
  };

  Offset end_;
  RetentionPolicy policy_;
  std::uint64_t policy_changes_ = 0;
  Expiry soft_, hard_;
  std::optional<std::uint64_t> max_bytes_;
  Offset oversize_to_ = 0;
  bool counted_ = false;          // what lies from oversize_to_ on
  std::uint64_t bytes_ = 0;       // so much, or more
  std::uint64_t appended_ = 0;    // ever
  std::uint64_t counted_at_ = 0;  // of appended_
};

}  // namespace andyx::server
