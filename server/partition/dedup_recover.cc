#include "server/partition/dedup_recover.h"

#include <algorithm>

#include "protocol/base/limits.h"

namespace andyx::server {

std::vector<std::uint64_t> message_ids(ByteSpan batch, const batch::Header& header) {
  std::vector<std::uint64_t> ids;
  if ((header.flags & batch::kFlagMessageIds) == 0) return ids;
  ids.reserve(header.count);
  for (std::uint32_t i = 0; i < header.count; ++i) ids.push_back(batch::message_id_hash(batch, i));
  return ids;
}

Result<DedupWindow> recover_dedup(storage::StorageShard& shard, storage::LogId log,
                                  std::uint32_t window_ms, TimeUs now_us) {
  DedupWindow window;
  window.set_window(window_ms);
  const auto state = shard.log_state(log);
  if (!window.on() || !state || state->start_offset == state->end_offset) return window;
  const auto begin = shard.find_time(log, now_us - TimeUs{window_ms} * 1'000);
  if (!begin) return std::unexpected(begin.error());
  const Offset end = state->end_offset;
  Offset from = std::max(*begin, state->start_offset);
  if (end - std::min(from, end) > limits::kMaxDedupIdsPerPartition)
    from = end - limits::kMaxDedupIdsPerPartition;
  while (from < end) {
    const auto batches = shard.read(log, from, limits::kMaxReadBytes);
    if (!batches) return std::unexpected(batches.error());
    if (batches->empty()) break;
    for (const SharedBytes& bytes : *batches) {
      const auto header = batch::read_header(bytes.span());
      if (!header) return std::unexpected(header.error());
      window.record(message_ids(bytes.span(), *header), header->base_offset,
                    header->append_time_us);
      from = header->end_offset();
    }
  }
  window.expire(now_us);
  return window;
}

}  // namespace andyx::server
