// The rules about what subscriptions get: fed with every event in order, then judged at the end.
// Pure.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "tests/fault/history/checker.h"
#include "tests/fault/history/history.h"
#include "tests/fault/history/log_rules.h"

namespace andyx::test::fault {

class DeliveryRules {
 public:
  DeliveryRules(const Cast& cast, Findings& findings);

  void observe(std::uint64_t at, const Event& event);  // `at`: its place in the history
  void judge_end(const std::vector<LogRules::Range>& log);

 private:
  struct Place {  // an offset of a partition, for one subscription
    bool delivered = false;
    std::uint64_t confirmed_at = 0;  // 1 + its place in the history; 0: never
  };
  using Places = std::vector<Place>;

  Places& places(SubscriptionIndex subscription, std::uint32_t partition) {
    return places_[subscription * cast_.partitions + partition];
  }
  void delivered(const Delivered& event);
  void judge_again(const Delivered& event, const Place& place);
  void confirmed(std::uint64_t at, const Confirmed& event);

  const Cast& cast_;
  Findings& findings_;
  std::vector<Places> places_;                       // by subscription, then partition
  std::vector<Offset> delivered_end_;                // the same
  std::map<ConsumerId, std::uint64_t> empty_since_;  // events before the last poll with nothing
};

}  // namespace andyx::test::fault
