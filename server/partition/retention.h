// The retention of a partition: the shell around RetentionCore. About once a second, for partitions
// with a policy only: asks storage on the read pool, and moves the start of the log.
//
// Thread: the partition's loop. Owned by Partition.
#pragma once

#include <cstddef>

#include "server/partition/retention_core.h"

namespace andyx::server {

class CoreLoop;
class Partition;

class Retention {
 public:
  Retention(CoreLoop& loop, Partition& partition, Offset end)
      : loop_(loop), partition_(partition), core_(end) {}

  // The log ends at `end`, and may be another one than before; without a policy.
  void restart(Offset end) {
    core_ = RetentionCore(end);
    looking_ = false;
    ++life_;
  }
  void set_policy(const RetentionPolicy& policy) { core_.set_policy(policy); }
  bool active() const { return core_.active(); }
  // A batch has become durable.
  void appended(Offset end, TimeUs append_time_us, std::uint64_t size_bytes) {
    core_.appended(end, append_time_us, size_bytes);
  }
  // `reads_left`: how many jobs the read pool may still be given in this second.
  void every_second(TimeUs now_us, std::size_t& reads_left);

 private:
  void look_up(const RetentionCore::Look& look);
  void advance();
  Offset lowest_needed() const;

  CoreLoop& loop_;
  Partition& partition_;
  RetentionCore core_;
  bool looking_ = false;
  std::uint64_t life_ = 0;
};

}  // namespace andyx::server
