#include "server/partition/due_summary.h"

#include <algorithm>

namespace andyx::server {

void DueSummary::count(DueKey row) {
  Block& block = blocks_[row.offset >> block_bits_];
  block.lowest = block.rows == 0 ? row.offset : std::min(block.lowest, row.offset);
  ++block.rows;
  ++rows_;
  while (blocks_.size() > kMaxBlocks) widen_blocks();
}

void DueSummary::widen_blocks() {
  std::map<Offset, Block> wider;
  for (const auto& [number, block] : blocks_) {
    auto [it, first] = wider.try_emplace(number >> 1, block);
    if (!first) it->second.rows += block.rows;  // ascending: the lowest is the first one's
  }
  blocks_ = std::move(wider);
  ++block_bits_;
}

void DueSummary::count_recovered(std::span<const DueKey> rows) {
  for (const DueKey& row : rows) {
    if (row.offset < recovered_end_) count(row);
  }
}

void DueSummary::added(std::span<const DueKey> rows) {
  for (const DueKey& row : rows) {
    count(row);
    if (gap_ && gap_->from < row && (!gap_->to || row < *gap_->to)) gap_->to = row;
    for (auto& [id, read] : reads_) {
      if (row <= read.after) continue;
      if (row.at_us <= read.until_us) {
        read.spoiled = true;
      } else {
        read.added_above = read.added_above ? std::min(*read.added_above, row) : row;
      }
    }
  }
}

void DueSummary::removed(std::span<const DueKey> rows) {
  for (const DueKey& row : rows) {
    const auto block = blocks_.find(row.offset >> block_bits_);
    if (block == blocks_.end()) continue;
    --rows_;
    if (--block->second.rows == 0) blocks_.erase(block);
  }
  if (blocks_.empty()) block_bits_ = kLeastBlockBits;
}

Offset DueSummary::oldest() const {
  if (!complete_) return 0;
  return blocks_.empty() ? kNoOffset : blocks_.begin()->second.lowest;
}

std::optional<TimeUs> DueSummary::next_after(DueKey cursor) const {
  if (empty()) return std::nullopt;
  if (!gap_ || !gap_->holds(cursor)) return cursor.at_us;
  if (!gap_->to) return std::nullopt;
  return gap_->to->at_us;
}

DueSummary::ReadId DueSummary::read_begins(DueKey after, TimeUs until_us) {
  reads_.emplace(next_read_, Read{.after = after, .until_us = until_us});
  return next_read_++;
}

void DueSummary::read_ended(ReadId id, std::optional<DueKey> last, std::optional<DueKey> next) {
  const auto found = reads_.find(id);
  if (found == reads_.end()) return;
  const Read read = found->second;
  reads_.erase(found);
  if (read.spoiled) return;
  Gap seen{last.value_or(read.after), next};
  if (read.added_above) seen.to = next ? std::min(*next, *read.added_above) : read.added_above;
  // Two that overlap are one.
  if (gap_ && (!gap_->to || seen.from < *gap_->to) && (!seen.to || gap_->from < *seen.to)) {
    seen.from = std::min(seen.from, gap_->from);
    seen.to = seen.to && gap_->to ? std::optional(std::max(*seen.to, *gap_->to)) : std::nullopt;
  }
  gap_ = seen;
}

}  // namespace andyx::server
