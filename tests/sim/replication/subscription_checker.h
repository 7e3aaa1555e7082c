// The invariants of subscriptions, held against every delivery and every answer.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "server/metadata/image.h"
#include "server/subscription/offset_set.h"
#include "server/subscription/subscription_core.h"

namespace andyx::server::sim {

class Copy;

class SubscriptionChecker {
 public:
  // On the main of its partition it is begun, or read back, and consumers may come.
  void ready(const Copy& copy, const SubscriptionCore& core);
  // A main has ended its role.
  void ended(const Copy& copy);
  void delivered(const Copy& copy, const SubscriptionRecord& record, std::uint64_t attach_epoch,
                 std::uint64_t consumer, OffsetRange range);
  // A consumer has said so; and it was told that this is durable.
  void answered(const Copy& copy, SubscriptionId id, OffsetRange range);
  void confirmed(const Copy& copy, const SubscriptionCore& core, OffsetRange range);
  // Retention has removed what is below: it needs no answer any more, on whatever main.
  void retained(const Copy& copy);
  // From this epoch of the partition on nothing counts that was confirmed before.
  void lost(std::uint32_t partition, MainEpoch from);

  std::uint64_t deliveries() const { return deliveries_; }
  std::uint64_t confirmations() const { return confirmations_; }
  std::uint64_t carried_over() const { return carried_over_; }

 private:
  struct Holder {
    MainEpoch main_epoch = 0;
    std::uint64_t attach_epoch = 0;
    std::uint64_t consumer = 0;
  };
  struct State {
    std::optional<Offset> start;
    MainEpoch ready_in = 0;  // the newest epoch in which it was ready
    OffsetSet confirmed = OffsetSet();
    OffsetSet answered = OffsetSet();  // by consumers, in the end perhaps in vain
    Holder holder;                     // who is delivered to
    MainEpoch confirmed_in = 0;        // the newest epoch in which something was
  };
  using Key = std::pair<SubscriptionId, std::uint32_t>;

  bool counts(const Copy& copy) const;
  State& state(const Copy& copy, SubscriptionId id);
  void check_floor(const Copy& copy, const SubscriptionCore& core, State& state) const;

  std::map<Key, State> states_;
  std::map<std::uint32_t, MainEpoch> lost_;
  std::map<std::uint32_t, Offset> retained_;  // by partition
  std::uint64_t deliveries_ = 0, confirmations_ = 0, carried_over_ = 0;
};

}  // namespace andyx::server::sim
