// Which partition a message without a key goes to. They go in turn over a few partitions that have
// an open batch; when the batch of one is sealed, its place goes to the next partition. So over few
// partitions each message goes one further, and over many the batches still fill: thousands of open
// ones would hold a message or two each when they have to go. Over time all get the same. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace andyx::client {

class PartitionTurns {
 public:
  static constexpr std::size_t kMostOpen = 16;

  // `partitions`: how many there are now, at least one and never fewer than before. `first`: where
  // the first message goes, at the first call.
  void grow(std::uint32_t partitions, std::uint32_t first) {
    if (open_.empty()) next_ = first % partitions;
    partitions_ = partitions;
    while (open_.size() < std::min<std::size_t>(kMostOpen, partitions_)) open_.push_back(take());
  }

  std::uint32_t current() const { return open_[turn_]; }
  void advance() {
    if (++turn_ == open_.size()) turn_ = 0;
  }
  // Its batch was sealed, or it is to get none for now.
  void release(std::uint32_t partition) {
    if (open_.size() == partitions_) return;
    const auto place = std::ranges::find(open_, partition);
    if (place != open_.end()) *place = take();
  }

 private:
  // The next one that is not open.
  std::uint32_t take() {
    while (std::ranges::find(open_, next_) != open_.end()) next_ = (next_ + 1) % partitions_;
    const std::uint32_t taken = next_;
    next_ = (next_ + 1) % partitions_;
    return taken;
  }

  std::uint32_t partitions_ = 0;
  std::vector<std::uint32_t> open_;
  std::size_t turn_ = 0;
  std::uint32_t next_ = 0;
};

}  // namespace andyx::client
