// The message ids that a partition has taken lately, so that a producer that repeats itself is told
// instead of stored twice. Ids are known by their hash (record batch: message_id_hash).
//
// Pure: no IO, no clock. One thread (the partition's loop). Rebuilt from the log at start; bounded
// by the window, judged by append time, and by limits::kMaxDedupIdsPerPartition: the oldest go
// first.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <unordered_map>
#include <vector>

#include "protocol/base/ids.h"

namespace andyx::server {

// A message of a batch whose id is known already.
struct RepeatedMessage {
  std::uint32_t index = 0;    // in the batch
  Offset offset = kNoOffset;  // where the first one is; kNoOffset: earlier in the same batch

  bool operator==(const RepeatedMessage&) const = default;
};

class DedupWindow {
 public:
  // 0 switches it off and forgets all.
  void set_window(std::uint32_t window_ms);
  bool on() const { return window_ms_ != 0; }

  // Forgets what is older than the window.
  void expire(TimeUs now_us);
  // The messages of a batch that repeat one in the window or one before them in the batch; `ids`
  // are those of all its messages, 0 for none.
  std::vector<RepeatedMessage> find(std::span<const std::uint64_t> ids) const;
  // A batch that is appended; in log order.
  void record(std::span<const std::uint64_t> ids, Offset base_offset, TimeUs append_time_us);
  // The log was cut: messages from `from` on never happened.
  void rollback(Offset from);

  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::uint64_t id = 0;
    Offset offset = 0;
    TimeUs append_time_us = 0;
  };
  void forget(const Entry& entry);

  std::uint32_t window_ms_ = 0;
  std::deque<Entry> entries_;                          // in log order
  std::unordered_map<std::uint64_t, Offset> offsets_;  // of entries_, by id
};

}  // namespace andyx::server
