// What becomes of a partition's messages as time goes: the start of its log advances. And how far
// back an offset lies.
#include <algorithm>

#include "server/app/log.h"
#include "server/log_ids.h"
#include "server/loop/core_loop.h"
#include "server/partition/partition.h"

namespace andyx::server {

void Partition::watch() {
  if (!std::exchange(watched_, true)) loop_.watch(id_);
}

bool Partition::every_second(TimeUs now_us, std::size_t& reads_left) {
  if (role_ == Role::kReplica) {  // its start follows its main's, and so do its delayed messages
    const LocalCopy& internal = cursor_log_.log().copy();
    return watched_ = due_.every_second_of_replica(internal.committed, reads_left);
  }
  if (!serving_) return watched_ = false;
  const bool due = due_.every_second(now_us, !subscriptions_.empty(), reads_left);
  cursor_log_.due_rows_removed(due_.rows_removed_to());
  retention_.every_second(now_us, reads_left);
  watched_ = due || retention_.active();
  return watched_;
}

void Partition::clock_moved() {
  if (due_.oldest_delayed() == kNoOffset) return;  // nothing waits
  for (auto& [id, subscription] : subscriptions_) subscription->clock_moved();
}

void Partition::advance_start(Offset to) {
  to = std::min(to, core_.committed_offset());
  if (to <= core_.start_offset() || !serving_ || core_.failed()) return;
  if (auto advanced = loop_.node().shard->advance_start(data_log(id_), to); !advanced) {
    log::warn("log not shortened",
              {{"partition", describe()}, {"error", advanced.error().message}});
    return;
  }
  log_.start_advanced(to);
  core_.start_advanced(to);
  cache_.drop_below(to);
  for (auto& [id, subscription] : subscriptions_) subscription->log_start_advanced(to);
}

void Partition::age_of(Offset offset, std::function<void(Result<TimeUs>)> found) {
  if (const CachedBatch* batch = cached(offset)) {
    return found(batch::read_header(batch->bytes.span())->append_time_us);
  }
  read_log(offset, 1,
           [self = shared_from_this(), offset,
            found = std::move(found)](Result<std::vector<SharedBytes>> read) {
             if (!read) return found(std::unexpected(read.error()));
             if (read->empty()) {
               return found(fail(
                   ErrorCode::kOffsetOutOfRange,
                   self->describe() + ": there is no message " + std::to_string(offset) + " yet"));
             }
             found(batch::read_header(read->front().span())->append_time_us);
           });
}

void Partition::bytes_from(Offset offset, std::function<void(Result<std::uint64_t>)> found) {
  off_loop([self = shared_from_this(), offset, found = std::move(found)]() mutable {
    auto bytes = self->loop_.node().shard->bytes_from(data_log(self->id_), offset);
    auto& loop = self->loop_.net_loop();
    loop.post([self = std::move(self), bytes = std::move(bytes), found = std::move(found)] {
      found(bytes);
    });
  });
}

}  // namespace andyx::server
