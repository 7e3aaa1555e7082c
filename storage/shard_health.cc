#include "storage/shard_health.h"

namespace andyx::storage {

void ShardHealth::on_fence(std::function<void()> listener) {
  const std::lock_guard lock(mutex_);
  listeners_.push_back(std::move(listener));
}

void ShardHealth::fence(const std::string& why) {
  std::vector<std::function<void()>> listeners;
  {
    const std::lock_guard lock(mutex_);
    if (fenced()) return;
    reason_ = why;
    listeners = listeners_;
    fenced_.store(true, std::memory_order_release);
  }
  for (const auto& listener : listeners) listener();
}

std::string ShardHealth::reason() const {
  const std::lock_guard lock(mutex_);
  return reason_;
}

Status ShardHealth::check() const {
  if (!fenced()) return {};
  return fail(ErrorCode::kStorageFailed, "the storage shard has stopped: " + reason());
}

}  // namespace andyx::storage
