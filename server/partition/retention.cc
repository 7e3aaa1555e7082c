#include "server/partition/retention.h"

#include <algorithm>

#include "server/app/log.h"
#include "server/log_ids.h"
#include "server/loop/core_loop.h"
#include "server/partition/partition.h"

namespace andyx::server {
namespace {

// On the read pool.
Result<RetentionCore::TimeFound> find_time(storage::StorageShard& shard, PartitionId id,
                                           TimeUs time_us) {
  auto offset = shard.find_time(data_log(id), time_us);
  if (!offset) return std::unexpected(offset.error());
  RetentionCore::TimeFound found{.offset = *offset, .append_time_us = std::nullopt};
  auto batches = shard.read(data_log(id), *offset, 1);
  if (!batches) return std::unexpected(batches.error());
  if (!batches->empty()) {
    found.append_time_us = batch::read_header(batches->front().span())->append_time_us;
  }
  return found;
}

Result<RetentionCore::Found> find_all(storage::StorageShard& shard, PartitionId id,
                                      const RetentionCore::Look& look) {
  RetentionCore::Found found;
  for (auto [before_us, answer] :
       {std::pair(look.soft_before_us, &found.soft), std::pair(look.hard_before_us, &found.hard)}) {
    if (!before_us) continue;
    auto at = find_time(shard, id, *before_us);
    if (!at) return std::unexpected(at.error());
    *answer = *at;
  }
  if (look.max_bytes) {
    auto sized = shard.find_size(data_log(id), *look.max_bytes);
    if (!sized) return std::unexpected(sized.error());
    found.size = {.offset = sized->from, .bytes = sized->bytes};
  }
  return found;
}

}  // namespace

void Retention::every_second(TimeUs now_us, std::size_t& reads_left) {
  if (!core_.active()) return;
  core_.clock(now_us);
  advance();  // as far as answers have come
  if (looking_ || reads_left == 0 || loop_.draining()) return;
  const auto look = core_.look(now_us);
  if (!look) return;
  --reads_left;
  look_up(look);
}

void Retention::look_up(const RetentionCore::Look& look) {
  auto job = [this, keep = partition_.shared_from_this(), look, life = life_]() mutable {
    auto found = find_all(*loop_.node().shard, partition_.id(), look);
    auto& loop = loop_.net_loop();
    loop.post([this, keep = std::move(keep), look, life, found = std::move(found)] {
      if (life != life_) return;
      looking_ = false;
      if (!found) {  // asked again in a second
        log::warn("retention cannot look at a partition",
                  {{"partition", partition_.describe()}, {"error", found.error().message}});
        return;
      }
      core_.found(look, *found);
      advance();
    });
  };
  // A read pool that is full is asked again in a second.
  looking_ = loop_.node().read_pool->submit(std::move(job));
}

void Retention::advance() {
  const Offset start = partition_.core().start_offset();
  Offset needed = start;  // what soft retention may not touch
  if (core_.soft_start() > start) needed = std::min(lowest_needed(), partition_.oldest_delayed());
  partition_.advance_start(core_.start(needed));
}

// The lowest offset that a subscription has not answered. One that has no start yet needs all.
Offset Retention::lowest_needed() const {
  Offset lowest = kNoOffset;
  for (const auto& [id, subscription] : partition_.subscriptions()) {
    if (!subscription->started()) return partition_.core().start_offset();
    lowest = std::min(lowest, subscription->core().oldest_unanswered());
  }
  return lowest;
}

}  // namespace andyx::server
