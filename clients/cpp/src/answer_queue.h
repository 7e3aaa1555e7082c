// Answers of one partition on their way to the server: neighbours are joined, order between kinds
// is kept, what was sent and not confirmed can be put back. Pure; the consumer's mutex guards it.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "andyx/consumer.h"

namespace andyx::client {

class AnswerQueue {
 public:
  struct Group {
    AnswerKind kind = AnswerKind::kAcknowledge;
    std::uint32_t delay_ms = 0;
    std::vector<OffsetRange> ranges;  // ascending and apart
    std::uint64_t given = 0;          // messages answered, counted as often as they were
  };

  void add(AnswerKind kind, OffsetRange range, std::uint32_t delay_ms = 0);
  // The next request: one kind and delay, at most `max_ranges`. Not when empty().
  Group take(std::size_t max_ranges);
  void put_back(Group group);  // in front of everything
  // In two, in front of everything: the server refuses all of a request for one message in it that
  // is not ours. False: it is about one message, and not put back.
  bool put_back_halves(Group& group);
  std::uint64_t clear();  // how many messages' answers were dropped, as `given` counts
  bool empty() const { return groups_.empty(); }

 private:
  std::deque<Group>
      groups_;  // ranges in the order of arrival, joined with the last one where possible
};

}  // namespace andyx::client
