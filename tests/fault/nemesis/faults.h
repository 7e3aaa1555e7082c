// Begins and ends single faults in a cluster. Victims are drawn among those that have the role now
// and no other fault. One thread: the cluster's.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/fault/cluster/cluster.h"
#include "tests/fault/cluster/test_topic.h"
#include "tests/fault/nemesis/fault_kind.h"

namespace andyx::test::fault {

struct ActiveFault {
  FaultKind kind = FaultKind::kKillMain;
  std::string text;           // who and what
  bool controller = false;    // it hits the controller of the metadata, among others
  std::uint32_t hold_ms = 0;  // before it is ended
  std::vector<Cluster::Place> places;
  std::function<void()> end;
};

class Faults {
 public:
  Faults(Cluster& cluster, std::vector<TestTopic> topics, std::mt19937_64& random);

  // Nothing: it makes no sense now (nobody has the role, or who has it suffers already).
  std::optional<ActiveFault> begin(FaultKind kind);
  void end(ActiveFault& fault);

 private:
  using Place = Cluster::Place;
  using Flow = LinkState::Flow;

  std::optional<ActiveFault> begin_process_fault(FaultKind kind);
  std::optional<ActiveFault> begin_network_fault(FaultKind kind);
  std::optional<ActiveFault> begin_disk_fault(FaultKind kind);
  std::optional<ActiveFault> begin_change(FaultKind kind);

  ActiveFault kill(Place place);
  ActiveFault stop(Place place);
  ActiveFault restart(Place place);
  ActiveFault rolling_restart();
  ActiveFault kill_all(bool power);
  ActiveFault cut(std::string text, std::vector<std::pair<NodeId, NodeId>> links, LinkState state,
                  std::vector<Place> places);
  ActiveFault full_disk(Place place);
  ActiveFault sync_fault(FaultKind kind, Place place);
  std::optional<ActiveFault> wipe(Place place);
  bool move_only_copies_from(NodeId node);
  bool holds_only_copy(NodeId node) const;
  bool move(const PartitionView& partition, NodeId to) const;

  ClusterView look() const;
  std::optional<Place> free_place(NodeId node) const;
  std::optional<Place> any_place();
  std::optional<Place> main_place();
  std::optional<Place> replica_place();
  std::vector<std::pair<NodeId, NodeId>> both_ways(NodeId node, const std::vector<NodeId>& others);
  std::vector<NodeId> others_of(NodeId node) const;
  bool run_cli(std::vector<std::string> arguments) const;
  std::uint32_t between(std::uint32_t least_ms, std::uint32_t most_ms);

  Cluster& cluster_;
  const std::vector<TestTopic> topics_;
  std::mt19937_64& random_;
  ClusterView view_;
  std::set<Place> busy_;
};

}  // namespace andyx::test::fault
