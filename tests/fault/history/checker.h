// Holds a history against what Andy X promises. Pure: no IO, no clock; one thread. Every rule has a
// test with a history that breaks it (checker_test.cc).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fault/history/history.h"

namespace andyx::test::fault {

enum class Rule : std::uint8_t {
  kAcknowledgedLost,   // committed, and not there at the end, or not where it was said to be
  kRecordChanged,      // one reader saw two things at one offset
  kReadersDisagree,    // two did
  kRecordVanished,     // was read once, and is gone at the end, or left out of a reading
  kCommittedWentBack,  // for one reader, or at the end
  kOrderBroken,        // messages of a producer in a partition
  kStoredTwice,
  kNotStoredAppears,  // answered not_stored, and there
  kForeignBytes,      // never sent so
  kNotDelivered,      // stored, and some subscription never got it
  kDeliveryOrder,     // first deliveries of an ordered subscription leave some out
  kConfirmedAgain,    // delivered again although its answer was confirmed
  kNotRecovered,      // after healing, not everything was writable with full sets in time
  kObserverLeads,     // became main, and nobody forced it or made a whole copy of it first
  kObserverBehind,    // after recovery it lacks what was acknowledged before it
};
inline constexpr std::size_t kRules = 15;
std::string_view rule_name(Rule rule);

// The first few of each rule in words, all of them counted.
class Findings {
 public:
  void add(Rule rule, std::string what);
  std::size_t count() const;
  std::size_t count(Rule rule) const { return counts_[static_cast<std::size_t>(rule)]; }
  std::string text() const;

 private:
  std::array<std::size_t, kRules> counts_{};
  std::array<std::vector<std::string>, kRules> first_;
};

// How much there was to judge: a run that did nothing is no proof.
struct Judged {
  std::uint64_t sent = 0, committed = 0, not_stored = 0, maybe_stored = 0;
  std::uint64_t stored = 0;      // messages in the log at the end
  std::uint64_t reads = 0;       // records, over all readers
  std::uint64_t deliveries = 0;  // over all subscriptions
  std::uint64_t confirmed = 0;   // answers
};

struct Verdict {
  Findings findings;
  Judged judged;
};
Verdict check(const History& history);

}  // namespace andyx::test::fault
