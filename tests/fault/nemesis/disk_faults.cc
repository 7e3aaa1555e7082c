// Faults of disks.
#include <algorithm>

#include "protocol/base/limits.h"
#include "tests/fault/nemesis/faults.h"

namespace andyx::test::fault {
namespace {

using enum FaultKind;

constexpr Millis kMoveWithin{15'000};
// Under what must stay free (Nemesis' servers say 64 MiB), and over the half kept for answers.
constexpr std::uint64_t kLeftFree = 52 * limits::kMiB;

std::string number(std::uint64_t value) { return std::to_string(value); }

}  // namespace

std::optional<ActiveFault> Faults::begin_disk_fault(FaultKind kind) {
  switch (kind) {
    case kFullDisk:
      return full_disk(cluster_.size());
    case kFailedSync:
    case kHungSync:
    case kSlowSync: {
      const std::optional<Place> place = any_place();
      if (!place) return std::nullopt;
      return sync_fault(kind, *place);
    }
    case kWipedDisk: {
      const std::optional<Place> place = any_place();
      if (!place || cluster_.node_at(*place) == view_.controller) return std::nullopt;
      return wipe(*place);
    }
    default:
      return std::nullopt;
  }
}

ActiveFault Faults::full_disk(Place place) {
  cluster_.small_disk(place)->leave_free(kLeftFree);
  return {.text = "disk of node " + number(cluster_.node_at(place)) + " full",
          .hold_ms = between(1'000, 4'000),
          .places = {place},
          .end = [this, place] { cluster_.small_disk(place)->release(); }};
}

// A shard of storage that has failed stays so: its node is started again.
ActiveFault Faults::sync_fault(FaultKind kind, Place place) {
  const std::string node = number(cluster_.node_at(place));
  if (kind == kSlowSync) {
    cluster_.disk(place).set(DiskMode::kSlow, between(10, 200) * 1'000);
    return {.text = "slow syncs of node " + node,
            .hold_ms = between(1'000, 5'000),
            .places = {place},
            .end = [this, place] { cluster_.disk(place).set(DiskMode::kGood); }};
  }
  cluster_.disk(place).set(kind == kFailedSync ? DiskMode::kFail : DiskMode::kHang);
  return {.text = (kind == kFailedSync ? "failing syncs of node " : "hung syncs of node ") + node,
          .hold_ms = between(1'000, 5'000),
          .places = {place},
          .end = [this, place] {
            cluster_.kill(place);
            cluster_.disk(place).set(DiskMode::kGood);
            cluster_.start(place);
          }};
}

// It comes back as another node; the one of before is taken out once that is possible. What an
// async topic has acknowledged is on its main's disk, and nowhere else for sure: as an operator
// would, its mains are moved away first.
std::optional<ActiveFault> Faults::wipe(Place place) {
  const NodeId before = cluster_.node_at(place);
  if (!move_only_copies_from(before)) return std::nullopt;
  cluster_.kill(place);
  if (holds_only_copy(before)) {  // the cluster has moved one there just now
    return ActiveFault{.text = "kill -9 of node " + number(before) + ", whose disk is needed",
                       .places = {place},
                       .end = [this, place] { cluster_.start(place); }};
  }
  cluster_.wipe(place);
  return ActiveFault{.text = "disk of node " + number(before) + " wiped; it comes back as node " +
                             number(cluster_.node_at(place)),
                     .hold_ms = between(0, 2'000),
                     .places = {place},
                     .end = [this, place, before] {
                       cluster_.start(place);
                       wait_until([&] { return run_cli({"cluster", "drain", number(before)}); });
                       wait_until([&] { return run_cli({"cluster", "remove", number(before)}); });
                     }};
}

bool Faults::move_only_copies_from(NodeId node) {
  const ClusterView now = look();
  for (const PartitionView& partition : now.partitions) {
    if (!topics_[partition.topic].async || !partition.lives_only_on(node)) continue;
    std::vector<NodeId> free = others_of(node);
    std::erase_if(free, [&](NodeId other) {
      return std::ranges::find(partition.replicas, other) != partition.replicas.end();
    });
    if (free.empty() || !move(partition, free[random_() % free.size()])) return false;
  }
  return wait_until([&] { return !holds_only_copy(node); }, kMoveWithin);
}

// Or so it may be: nobody can be asked.
bool Faults::holds_only_copy(NodeId node) const {
  const ClusterView now = look();
  std::size_t partitions = 0;
  for (const TestTopic& topic : topics_) partitions += topic.partitions;
  return now.partitions.size() < partitions ||
         std::ranges::any_of(
             now.partitions,
             [&](const PartitionView& partition) {
               return topics_[partition.topic].async && partition.lives_only_on(node);
             });
}

}  // namespace andyx::test::fault
