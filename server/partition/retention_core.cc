#include "server/partition/retention_core.h"

#include <algorithm>

namespace andyx::server {

void RetentionCore::Expiry::set_ms(std::int64_t wanted_ms) {
  if (wanted_ms != ms) *this = {.ms = wanted_ms};
}

void RetentionCore::Expiry::appended(TimeUs append_time_us) {
  if (known && !oldest_us) oldest_us = append_time_us;
}

std::optional<TimeUs> RetentionCore::Expiry::look(TimeUs now_us) const {
  if (!set() || ms > now_us / 1'000) return std::nullopt;
  const TimeUs before = now_us - ms * 1'000;
  const bool expired = known ? oldest_us && *oldest_us < before : true;
  return expired ? std::optional(before) : std::nullopt;
}

void RetentionCore::Expiry::clock(TimeUs now_us) {
  if (known && now_us - before_us < ms * 1'000) *this = {.ms = ms};
}

void RetentionCore::Expiry::found(TimeUs before, const TimeFound& found, Offset end) {
  before_us = before;
  expired_to = std::max(expired_to, found.offset);
  oldest_us = found.append_time_us;
  // A batch that was appended while storage was asked: its time was not kept.
  known = oldest_us.has_value() || found.offset >= end;
}

void RetentionCore::set_policy(const RetentionPolicy& policy) {
  if (policy == policy_) return;
  ++policy_changes_;
  soft_.set_ms(policy.soft_ms);
  hard_.set_ms(policy.hard_ms);
  if (policy.size_bytes != policy_.size_bytes) {
    max_bytes_.reset();
    if (policy.size_bytes != kNotSet) max_bytes_ = static_cast<std::uint64_t>(policy.size_bytes);
    oversize_to_ = 0;
    counted_ = false;
  }
  policy_ = policy;
}

void RetentionCore::appended(Offset end, TimeUs append_time_us, std::uint64_t size_bytes) {
  end_ = end;
  soft_.appended(append_time_us);
  hard_.appended(append_time_us);
  appended_ += size_bytes;
}

void RetentionCore::clock(TimeUs now_us) {
  soft_.clock(now_us);
  hard_.clock(now_us);
}

RetentionCore::Look RetentionCore::look(TimeUs now_us) const {
  Look look{.policy = policy_changes_,
            .appended = appended_,
            .soft_before_us = soft_.look(now_us),
            .hard_before_us = hard_.look(now_us),
            .max_bytes = std::nullopt};
  // The newest batch stays, so that more than the limit may be left: not looked at again for that.
  const std::uint64_t since = appended_ - counted_at_;
  if (max_bytes_ && (!counted_ || (since > 0 && bytes_ + since > *max_bytes_))) {
    look.max_bytes = max_bytes_;
  }
  return look;
}

void RetentionCore::found(const Look& look, const Found& found) {
  if (look.policy != policy_changes_) return;
  if (found.soft) soft_.found(*look.soft_before_us, *found.soft, end_);
  if (found.hard) hard_.found(*look.hard_before_us, *found.hard, end_);
  if (found.size) {
    oversize_to_ = std::max(oversize_to_, found.size->offset);
    bytes_ = found.size->bytes;
    counted_at_ = look.appended;  // what came since may be in it as well: looked at once too often
    counted_ = true;
  }
}

Offset RetentionCore::start(Offset needed) const {
  return std::max({hard_.expired_to, oversize_to_, std::min(soft_.expired_to, needed)});
}

}  // namespace andyx::server
