// Whether every message of one producer to one partition came, once and in order, from the sequence
// numbers in the payloads. Pure. One thread at a time.
#pragma once

#include <cstdint>
#include <map>

namespace andyx::bench {

class SequenceCheck {
 public:
  void received(std::uint64_t sequence);

  std::uint64_t unique() const { return unique_; }          // different messages that came
  std::uint64_t duplicates() const { return duplicates_; }  // came again
  // Came, for the first time, after a later one.
  std::uint64_t reordered() const { return reordered_; }
  // Of the first `sent` messages, those that never came.
  std::uint64_t missing(std::uint64_t sent) const { return sent > unique_ ? sent - unique_ : 0; }

 private:
  std::uint64_t next_ = 0;  // the highest that came, plus one
  std::uint64_t unique_ = 0, duplicates_ = 0, reordered_ = 0;
  std::map<std::uint64_t, std::uint64_t> gaps_;  // first → end (excluded) of what was passed over
};

}  // namespace andyx::bench
