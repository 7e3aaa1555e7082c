#include "server/subscription/coordinator_core.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "common_generated.h"
#include "protocol/base/limits.h"
#include "protocol/base/planted.h"

namespace andyx::server {

CoordinatorCore::CoordinatorCore(std::string subscription, protocol::SubscriptionType type,
                                 std::uint32_t partitions, std::uint64_t first_epoch)
    : subscription_(std::move(subscription)),
      type_(type),
      shared_epoch_(first_epoch),
      next_epoch_(first_epoch + 1),
      partitions_(partitions) {}

std::uint64_t first_coordinator_epoch(MainEpoch main_epoch) {
  if (planted(PlantedBug::kCoordinatorEpochsRepeat)) main_epoch = 1;
  return std::uint64_t{main_epoch} << kGrantBits;
}

bool CoordinatorCore::shared() const { return type_ == protocol::SubscriptionType::shared; }

// ---- Coming and going ----

// Who has to leave for this one; an error when somebody does not.
Result<std::vector<std::uint64_t>> CoordinatorCore::in_the_way(const AttachRequest& request) const {
  std::vector<std::uint64_t> leave;
  for (const auto& [epoch, consumer] : consumers_) {
    const AttachedConsumer& other = consumer.face;
    const bool unique = type_ == protocol::SubscriptionType::unique;
    if (other.session != request.session) {
      if (!unique && other.name != request.name) continue;
      if (!request.take_over) {
        return fail(ErrorCode::kSubscriptionBusy,
                    "subscription " + subscription_ +
                        (unique ? " is unique, and consumer '" : " has a consumer '") + other.name +
                        "' attached");
      }
    }
    leave.push_back(epoch);
  }
  if (consumers_.size() - leave.size() >= limits::kMaxConsumersPerSubscription) {
    return fail(ErrorCode::kLimitReached, "subscription " + subscription_ + " has " +
                                              std::to_string(consumers_.size()) +
                                              " consumers, the most that one may have");
  }
  return leave;
}

Result<CoordinatorCore::Attached> CoordinatorCore::attach(AttachRequest request) {
  const auto leave = in_the_way(request);
  if (!leave) return std::unexpected(leave.error());
  Attached attached{.attach_epoch = next_epoch_++, .actions = {}};
  for (const std::uint64_t epoch : *leave) {
    const auto found = consumers_.find(epoch);
    AttachedConsumer left = std::move(found->second.face);
    consumers_.erase(found);
    const bool again = left.session == request.session;
    release(epoch, again ? attached.attach_epoch : 0);
    std::string why =
        again ? "this session has attached to " + subscription_ + " again"
              : "consumer '" + request.name + "' has taken over subscription " + subscription_;
    attached.actions.ended.push_back(
        {std::move(left), Error{ErrorCode::kStaleAttach, std::move(why)}});
  }
  consumers_.emplace(attached.attach_epoch,
                     Consumer{.face = {attached.attach_epoch, std::move(request.name),
                                       request.session, request.connection, request.priority}});
  rebalance(attached.actions);
  finish(attached.actions, attached.attach_epoch);
  return attached;
}

CoordinatorCore::Actions CoordinatorCore::detach(std::uint64_t attach_epoch) {
  Actions actions;
  if (consumers_.erase(attach_epoch) == 0) return actions;
  release(attach_epoch, 0);
  rebalance(actions);
  finish(actions, 0);
  return actions;
}

CoordinatorCore::Actions CoordinatorCore::connection_lost(std::uint64_t connection) {
  Actions actions;
  bool any = false;
  for (auto it = consumers_.begin(); it != consumers_.end();) {
    if (it->second.face.connection != connection) {
      ++it;
      continue;
    }
    any = true;
    release(it->first, 0);
    it = consumers_.erase(it);
  }
  if (!any) return actions;
  rebalance(actions);
  finish(actions, 0);
  return actions;
}

// It is gone: nothing drains, and what it held or was to get is free; for its heir, where it has
// one.
void CoordinatorCore::release(std::uint64_t attach_epoch, std::uint64_t heir) {
  for (Partition& partition : partitions_) {
    if (partition.owner == attach_epoch) partition.owner = heir;
    if (partition.holder != attach_epoch) continue;
    partition.holder = 0;
    partition.revoked = false;
  }
}

CoordinatorCore::Actions CoordinatorCore::drained(std::uint32_t partition, std::uint64_t epoch) {
  Actions actions;
  if (partition >= partitions_.size()) return actions;
  Partition& at = partitions_[partition];
  if (!at.revoked || at.epoch != epoch) return actions;
  at.holder = 0;
  at.revoked = false;
  if (at.owner != 0) grant(at, next_epoch_++, actions);
  return actions;
}

CoordinatorCore::Actions CoordinatorCore::set_partitions(std::uint32_t count) {
  Actions actions;
  if (count <= partitions_.size()) return actions;
  partitions_.resize(count);
  if (shared()) {
    for (const auto& [epoch, consumer] : consumers_) actions.assigned.push_back(epoch);
  } else {
    rebalance(actions);
    finish(actions, 0);
  }
  return actions;
}

// ---- Owners ----

// Those of the highest priority, who have to be preferred with what they own: most first, then by
// name.
std::vector<CoordinatorCore::Consumer*> CoordinatorCore::candidates() {
  std::vector<Consumer*> found;
  for (auto& [epoch, consumer] : consumers_) {
    if (!found.empty() && consumer.face.priority > found.front()->face.priority) found.clear();
    consumer.candidate = false;
    consumer.owned = consumer.quota = 0;
    if (found.empty() || consumer.face.priority == found.front()->face.priority)
      found.push_back(&consumer);
  }
  for (Consumer* consumer : found) consumer->candidate = true;
  return found;
}

// Equal shares; where they do not come out even, one more for those who own most already.
void CoordinatorCore::set_quotas() {
  auto sharing = candidates();
  if (sharing.empty()) return;
  for (const Partition& partition : partitions_) {
    const auto owner = consumers_.find(partition.owner);
    if (owner != consumers_.end() && owner->second.candidate) ++owner->second.owned;
  }
  std::ranges::sort(sharing, [](const Consumer* a, const Consumer* b) {
    return a->owned != b->owned ? a->owned > b->owned : a->face.name < b->face.name;
  });
  const auto each = static_cast<std::uint32_t>(partitions_.size() / sharing.size());
  auto left = partitions_.size() % sharing.size();
  for (Consumer* consumer : sharing) {
    consumer->quota = each + (left > 0 ? 1 : 0);
    consumer->owned = 0;
    if (left > 0) --left;
  }
}

// Owners keep what is within their quota; the rest goes to those who are under theirs, by name.
void CoordinatorCore::place_partitions() {
  std::vector<Partition*> homeless;
  for (Partition& partition : partitions_) {
    const auto owner = consumers_.find(partition.owner);
    if (owner != consumers_.end() && owner->second.owned < owner->second.quota) {
      ++owner->second.owned;
    } else {
      partition.owner = 0;
      homeless.push_back(&partition);
    }
  }
  std::vector<Consumer*> takers;
  for (auto& [epoch, consumer] : consumers_) {
    if (consumer.owned < consumer.quota) takers.push_back(&consumer);
  }
  std::ranges::sort(takers, {}, [](const Consumer* consumer) { return consumer->face.name; });
  auto taker = takers.begin();
  for (Partition* partition : homeless) {
    if (taker == takers.end()) break;  // nobody is attached
    partition->owner = (*taker)->face.attach_epoch;
    if (++(*taker)->owned == (*taker)->quota) ++taker;
  }
}

void CoordinatorCore::rebalance(Actions& actions) {
  if (shared()) return;
  set_quotas();
  place_partitions();
  std::uint64_t epoch = 0;  // one for all that this decision grants
  for (std::uint32_t index = 0; index < partitions_.size(); ++index) {
    Partition& partition = partitions_[index];
    const bool at_once = planted(PlantedBug::kGrantsBeforeDrained) &&
                         partition.holder != partition.owner && !partition.revoked;
    if (partition.holder == 0 || at_once) {
      if (partition.owner == 0) continue;
      if (epoch == 0) epoch = next_epoch_++;
      grant(partition, epoch, actions);
    } else if (partition.holder != partition.owner && !partition.revoked) {
      partition.revoked = true;
      actions.revokes.push_back({index, partition.epoch});
      actions.assigned.push_back(partition.holder);
    }
  }
}

void CoordinatorCore::grant(Partition& partition, std::uint64_t epoch, Actions& actions) {
  partition.holder = partition.owner;
  partition.epoch = epoch;
  actions.assigned.push_back(partition.owner);
}

void CoordinatorCore::finish(Actions& actions, std::uint64_t without) {
  auto& assigned = actions.assigned;
  std::ranges::sort(assigned);
  assigned.erase(std::ranges::unique(assigned).begin(), assigned.end());
  std::erase(assigned, without);
}

// ---- Views ----

std::vector<PartitionGrant> CoordinatorCore::grants(std::uint64_t attach_epoch) const {
  std::vector<PartitionGrant> found;
  if (!consumers_.contains(attach_epoch)) return found;
  for (std::uint32_t index = 0; index < partitions_.size(); ++index) {
    const Partition& partition = partitions_[index];
    if (shared()) {
      found.push_back({index, shared_epoch_});
    } else if (partition.holder == attach_epoch && !partition.revoked) {
      found.push_back({index, partition.epoch});
    }
  }
  return found;
}

std::vector<AttachedConsumer> CoordinatorCore::consumers() const {
  std::vector<AttachedConsumer> found;
  found.reserve(consumers_.size());
  for (const auto& [epoch, consumer] : consumers_) found.push_back(consumer.face);
  return found;
}

std::uint64_t CoordinatorCore::active(std::uint32_t partition) const {
  return partition < partitions_.size() ? partitions_[partition].holder : 0;
}

}  // namespace andyx::server
