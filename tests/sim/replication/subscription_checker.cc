#include "tests/sim/replication/subscription_checker.h"

#include <algorithm>
#include <string>

#include "common_generated.h"
#include "tests/sim/replication/copy.h"
#include "tests/sim/replication/node.h"
#include "tests/sim/replication/world.h"

namespace andyx::server::sim {

namespace {

std::string text(std::uint64_t value) { return std::to_string(value); }

std::string name(const Copy& copy, SubscriptionId id) {
  return "subscription " + text(id) + " of partition " + text(copy.partition()) + " on node " +
         text(copy.log(false).id()) + " in epoch " + text(copy.epoch());
}

}  // namespace

bool SubscriptionChecker::counts(const Copy& copy) const {
  const auto lost = lost_.find(copy.partition());
  return lost == lost_.end() || copy.epoch() >= lost->second;
}

SubscriptionChecker::State& SubscriptionChecker::state(const Copy& copy, SubscriptionId id) {
  return states_[{id, copy.partition()}];
}

void SubscriptionChecker::lost(std::uint32_t partition, MainEpoch from) {
  lost_[partition] = from;
  for (auto& [key, state] : states_) {
    if (key.second == partition) state = State();
  }
}

void SubscriptionChecker::ready(const Copy& copy, const SubscriptionCore& core) {
  if (!counts(copy)) return;
  State& known = state(copy, core.id());
  const CursorChange now = core.state();
  if (!known.start) {  // for the first time, or anew after a loss
    known.start = now.start;
    known.answered.reset(now.floor);
    known.confirmed.reset(now.start);
    for (const OffsetRange& range : now.answered) known.answered.add(range.first, range.last);
  }
  // Who is late to hear of the next main speaks for nobody any more.
  if (copy.epoch() < known.ready_in) return;
  if (copy.epoch() > known.ready_in) carried_over_ += known.ready_in != 0;
  known.ready_in = copy.epoch();
  if (now.start != *known.start)
    violated("the start is fixed once", name(copy, core.id()) + " starts at " + text(now.start) +
                                            ", it was " + text(*known.start));
  OffsetSet here(now.floor);
  for (const OffsetRange& range : now.answered) here.add(range.first, range.last);
  const auto missing = [&](Offset first, Offset last) {
    const Offset at = here.next_missing(first);
    if (at <= last)
      violated("confirmed answers stay",
               name(copy, core.id()) + " has no answer to " + text(at) + ", it was confirmed");
  };
  if (known.confirmed.floor() > *known.start) missing(*known.start, known.confirmed.floor() - 1);
  for (const OffsetRange& range : known.confirmed.ranges()) missing(range.first, range.last);
  check_floor(copy, core, known);
}

void SubscriptionChecker::retained(const Copy& copy) {
  if (!counts(copy)) return;
  Offset& start = retained_[copy.partition()];
  start = std::max(start, copy.log(false).copy().start);
}

void SubscriptionChecker::ended(const Copy& copy) {
  for (auto& [key, state] : states_) {
    if (key.second == copy.partition() && state.holder.main_epoch == copy.epoch())
      state.holder = {};
  }
}

// Nothing is passed over that no consumer has answered, but for what retention has removed.
void SubscriptionChecker::check_floor(const Copy& copy, const SubscriptionCore& core,
                                      State& state) const {
  const auto removed = retained_.find(copy.partition());
  const Offset start = removed == retained_.end() ? 0 : std::min(removed->second, core.floor());
  state.answered.advance_floor(start);
  const Offset first = state.answered.next_missing(std::max(*state.start, start));
  if (core.floor() > first)
    violated("nothing is missed", name(copy, core.id()) + " is past " + text(first) +
                                      ", which nobody has answered; its floor is " +
                                      text(core.floor()));
}

void SubscriptionChecker::delivered(const Copy& copy, const SubscriptionRecord& record,
                                    std::uint64_t attach_epoch, std::uint64_t consumer,
                                    OffsetRange range) {
  ++deliveries_;
  if (!counts(copy)) return;
  State& known = state(copy, record.id);
  if (!known.start) return;
  const std::string what = name(copy, record.id) + " delivers " + text(range.first) + ".." +
                           text(range.last) + " to consumer " + text(consumer);
  if (range.first < *known.start) violated("the start is fixed once", what);
  if (range.last >= copy.log(false).copy().committed) violated("delivered is committed", what);
  const auto again = known.confirmed.next_range(std::max(range.first, known.confirmed.floor()));
  if (copy.epoch() >= known.confirmed_in &&
      (range.first < known.confirmed.floor() || (again && again->first <= range.last)))
    violated("confirmed is not delivered again", what);
  Holder& holder = known.holder;
  if (holder.main_epoch > copy.epoch()) return;
  if (holder.main_epoch == copy.epoch()) {
    if (attach_epoch < holder.attach_epoch)
      violated("the newest attach epoch only",
               what + " under " + text(attach_epoch) + ", there was " + text(holder.attach_epoch));
    if (attach_epoch == holder.attach_epoch && consumer != holder.consumer &&
        record.type != protocol::SubscriptionType::shared)
      violated("one consumer of a partition",
               what + ", consumer " + text(holder.consumer) + " has the same epoch");
  }
  holder = {copy.epoch(), attach_epoch, consumer};
}

void SubscriptionChecker::answered(const Copy& copy, SubscriptionId id, OffsetRange range) {
  if (!counts(copy)) return;
  state(copy, id).answered.add(range.first, range.last);
}

void SubscriptionChecker::confirmed(const Copy& copy, const SubscriptionCore& core,
                                    OffsetRange range) {
  if (!counts(copy)) return;
  ++confirmations_;
  State& known = state(copy, core.id());
  known.confirmed.add(range.first, range.last);
  known.confirmed_in = std::max(known.confirmed_in, copy.epoch());
  if (copy.epoch() >= known.ready_in) check_floor(copy, core, known);
}

}  // namespace andyx::server::sim
