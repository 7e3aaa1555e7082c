// Ack timeouts and delayed redeliveries, by the steady clock. Coarse: one noted deadline, and a
// scan of what is held when it has passed.
#include <algorithm>

#include "server/subscription/subscription_core_parts.h"

namespace andyx::server {

std::optional<TimeUs> SubscriptionCore::next_deadline_us() const {
  if (deadline_us_ == kNever || (held_.empty() && rare().later.empty())) return std::nullopt;
  return deadline_us_;
}

void SubscriptionCore::advance(Now now) {
  if (now.steady_us < deadline_us_) return;
  deadline_us_ = kNever;
  std::vector<RangeMap<Held>::Entry> timed_out;
  held_.for_each([&](const RangeMap<Held>::Entry& held) {
    if (held.value.deadline_us == 0) return;
    if (held.value.deadline_us <= now.steady_us)
      timed_out.push_back(held);
    else
      expire(held.value.deadline_us);
  });
  for (const auto& held : timed_out) give_back(held.first, held.last, held.value.stream, 0, now);
  if (!rare_) return;
  std::vector<OffsetRange> due;
  rare_->later.for_each([&](const auto& later) {
    if (later.value.due_us <= now.steady_us)
      due.push_back({later.first, later.last});
    else
      expire(later.value.due_us);
  });
  for (const OffsetRange& range : due) become_due(range.first, range.last);
}

// After a restart they may lie where fresh delivery has not come to yet: it will find them.
void SubscriptionCore::become_due(Offset first, Offset last) {
  rare_->later.cut(first, last);
  const auto wait = [&](Offset from, Offset to) {
    waiting_.insert(from, to);
    if (!keys_) return;
    for (Offset offset = from; offset <= to; ++offset) keys_->pend(offset, true);
  };
  if (first < next_) wait(first, std::min(last, next_ - 1));
  rare_->matured.for_each_in(std::max(first, next_), last, wait);
}

}  // namespace andyx::server
