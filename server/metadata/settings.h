// What a topic's levels (tenant, product, component, topic) come to for it. Values; any thread.
#pragma once

#include <cstdint>

namespace andyx::server {

inline constexpr std::int64_t kNotSet = -1;

// When messages go. Judged by append time; each is of one partition. Nothing set: never.
struct RetentionPolicy {
  std::int64_t soft_ms = kNotSet;     // when older, and answered by every subscription
  std::int64_t hard_ms = kNotSet;     // when older, answered or not
  std::int64_t size_bytes = kNotSet;  // the oldest go over this, answered or not

  bool operator==(const RetentionPolicy&) const = default;
};

struct EffectiveSettings {
  bool tenant_active = true;
  bool subscription_auto_create = true;
  bool producer_auto_create = true;
  std::uint32_t dedup_window_ms = 0;    // of message ids; 0: none
  std::uint32_t max_message_bytes = 0;  // 0: the node's
  RetentionPolicy retention;

  bool operator==(const EffectiveSettings&) const = default;
};

}  // namespace andyx::server
