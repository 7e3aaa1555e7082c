// Delayed messages: what the partition's due index brings once its time has come.
#include <algorithm>
#include <cassert>

#include "server/subscription/subscription_core_parts.h"

namespace andyx::server {

std::size_t SubscriptionCore::mature_room() const {
  if (!rare().maturing.empty()) return 0;
  const std::uint64_t matured = rare().matured.offsets();
  if (matured >= limits::kMaxMatured) return 0;
  return std::min<std::uint64_t>(limits::kMaxMatured - matured, window());
}

void SubscriptionCore::mature(std::span<const DueKey> due, DueKey cursor) {
  assert(due.size() <= mature_room());
  if (cursor <= due_cursor_) return;
  for (const DueKey& entry : due) {
    assert(entry <= cursor);
    if (entry <= due_cursor_ || entry.offset < start_) continue;
    // Not passed: fresh delivery comes to it, after a restart also behind others that were.
    if (!answered_.contains(entry.offset)) continue;
    Rare& rare = make_rare();
    if (rare.delayed > 0) --rare.delayed;
    if (entry.offset < log_start_ || rare.matured.contains(entry.offset)) continue;
    rare.matured.insert(entry.offset, entry.offset);
    rare.maturing.insert(entry.offset, entry.offset);
    if (!whole_state_) rare.noted_matured.push_back({entry.offset, entry.offset});
  }
  due_cursor_ = cursor;
  changed_ = true;
  bound_notes();
}

void SubscriptionCore::matured_durable() {
  if (!rare_) return;
  rare_->maturing.for_each([&](const auto& entry) {
    waiting_.insert(entry.first, entry.last);
    if (!keys_) return;
    for (Offset offset = entry.first; offset <= entry.last; ++offset) keys_->pend(offset, true);
  });
  rare_->maturing.clear();
}

}  // namespace andyx::server
