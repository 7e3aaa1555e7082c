#include "tests/fault/history/delivery_rules.h"

#include <algorithm>
#include <string>

namespace andyx::test::fault {
namespace {

std::string place_text(std::uint32_t partition, Offset offset) {
  return "partition " + std::to_string(partition) + " offset " + std::to_string(offset);
}

}  // namespace

DeliveryRules::DeliveryRules(const Cast& cast, Findings& findings)
    : cast_(cast),
      findings_(findings),
      places_(cast.subscriptions.size() * cast.partitions),
      delivered_end_(places_.size()) {}

void DeliveryRules::observe(std::uint64_t at, const Event& event) {
  if (const auto* delivery = std::get_if<Delivered>(&event)) {
    delivered(*delivery);
  } else if (const auto* empty = std::get_if<PollEmpty>(&event)) {
    empty_since_[empty->consumer] = empty->events_before;
  } else if (const auto* confirmation = std::get_if<Confirmed>(&event)) {
    confirmed(at, *confirmation);
  }
}

void DeliveryRules::delivered(const Delivered& event) {
  const auto& [partition, offset, id, content] = event.record;
  Places& of_partition = places(event.subscription, partition);
  if (of_partition.size() <= offset) of_partition.resize(offset + 1);
  Place& place = of_partition[offset];
  if (place.delivered) {
    judge_again(event, place);
    return;
  }
  place.delivered = true;
  const Cast::Subscription& subscription = cast_.subscriptions[event.subscription];
  Offset& end = delivered_end_[event.subscription * cast_.partitions + partition];
  if (subscription.order == Order::kPartition && offset != end) {
    findings_.add(Rule::kDeliveryOrder,
                  subscription.name + " gets " + place_text(partition, offset) +
                      " for the first time, and " + std::to_string(end) + " never came");
  }
  end = std::max(end, offset + 1);
}

// It may have waited in the client since before the confirmation; but not where the client had
// nothing left after it.
void DeliveryRules::judge_again(const Delivered& event, const Place& place) {
  if (place.confirmed_at == 0) return;
  const auto empty = empty_since_.find(event.consumer);
  if (empty == empty_since_.end() || empty->second < place.confirmed_at) return;
  findings_.add(Rule::kConfirmedAgain, cast_.subscriptions[event.subscription].name + " gets " +
                                           place_text(event.record.partition, event.record.offset) +
                                           " again, whose answer was confirmed in event " +
                                           std::to_string(place.confirmed_at - 1));
}

void DeliveryRules::confirmed(std::uint64_t at, const Confirmed& event) {
  Places& of_partition = places(event.subscription, event.partition);
  if (of_partition.size() <= event.last) of_partition.resize(event.last + 1);
  for (Offset offset = event.first; offset <= event.last; ++offset) {
    // The earliest confirmation promises most.
    if (of_partition[offset].confirmed_at == 0) of_partition[offset].confirmed_at = at + 1;
  }
}

void DeliveryRules::judge_end(const std::vector<LogRules::Range>& log) {
  for (SubscriptionIndex index = 0; index < cast_.subscriptions.size(); ++index) {
    for (std::uint32_t partition = 0; partition < cast_.partitions; ++partition) {
      const Places& of_partition = places(index, partition);
      for (Offset offset = log[partition].start; offset < log[partition].end; ++offset) {
        if (offset < of_partition.size() && of_partition[offset].delivered) continue;
        findings_.add(Rule::kNotDelivered, cast_.subscriptions[index].name + " never got " +
                                               place_text(partition, offset));
      }
    }
  }
}

}  // namespace andyx::test::fault
