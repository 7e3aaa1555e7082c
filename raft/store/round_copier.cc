#include "raft/store/round_copier.h"

#include <utility>

namespace andyx::raft {

RoundCopier::RoundCopier(Watermark& watermark)
    : watermark_(watermark), thread_([this] { run(); }) {}

RoundCopier::~RoundCopier() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  begun_.notify_one();
  thread_.join();
}

void RoundCopier::begin(MarkedRound round) {
  {
    const std::lock_guard lock(mutex_);
    round_ = std::move(round);
  }
  begun_.notify_one();
}

Status RoundCopier::finish() {
  std::unique_lock lock(mutex_);
  finished_.wait(lock, [this] { return outcome_.has_value(); });
  return *std::exchange(outcome_, std::nullopt);
}

void RoundCopier::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    begun_.wait(lock, [this] { return stopping_ || round_; });
    if (!round_) return;
    const MarkedRound round = *std::exchange(round_, std::nullopt);
    lock.unlock();
    Status written = watermark_.publish(round, true);
    lock.lock();
    outcome_ = std::move(written);
    finished_.notify_one();
  }
}

}  // namespace andyx::raft
