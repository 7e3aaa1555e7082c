// A group on its way through the writer thread, and its results on their way back. Used by both
// shards.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/ids.h"
#include "storage/storage_shard.h"

namespace andyx::storage {

// What the shard needs to know of a batch, read once when it is submitted.
struct AppendInfo {
  Offset base = 0;
  Offset end = 0;
  MainEpoch epoch = 0;
  TimeUs append_time_us = 0;
  std::uint32_t size_bytes = 0;

  Offset last() const { return end - 1; }
};

struct QueuedGroup {
  WriteGroup group;
  std::vector<AppendInfo> infos;  // one for each of group.appends
  WriteObserver* observer = nullptr;
  std::size_t charged_bytes = 0;  // what it holds in memory and will hold in a memtable
};

// Parses the batch headers and charges the group. kBadBatch when a batch is not exactly one whole
// batch; kBadArgument for an empty key.
Result<QueuedGroup> inspect_group(WriteGroup group, WriteObserver& observer);

// Collects results and hands each observer all of its own at once, in the order of submission.
class ResultsByObserver {
 public:
  void add(WriteObserver* observer, WriteResult result);
  void publish();  // calls the observers; empty afterwards

 private:
  std::vector<std::pair<WriteObserver*, std::vector<WriteResult>>> results_;
};

}  // namespace andyx::storage
