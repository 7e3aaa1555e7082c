// A RunningCore whose nodes measure what their partitions really carry: for tests of balance.
#pragma once

#include <map>

#include "tests/server/cluster/running_core.h"

namespace andyx::server::test {

class MeasuredCluster : public RunningCore {
 public:
  explicit MeasuredCluster(NodeId nodes) : RunningCore(nodes) {}

  std::map<PartitionId, std::uint64_t> rates, bytes;  // of those that have any

  // As the nodes would tell it now; of exactly what `rates` and `bytes` say.
  MeasuredLoad load_of(NodeId node) const {
    MeasuredLoad load;
    for (const Topic& topic : cluster.image().topics_by_id) {
      for (const PartitionRecord& p : topic.partitions()) {
        if (p.main == node) add(rates, p.partition_id, load.in_rate, load.busiest);
        if (std::ranges::find(p.replicas, node) != p.replicas.end() && p.joining != node)
          add(bytes, p.partition_id, load.stored_bytes, load.largest);
      }
    }
    keep_largest(load.busiest);
    keep_largest(load.largest);
    return load;
  }
  // Heartbeats carry what is measured then.
  void run_measured(std::int64_t ms) {
    for (const std::int64_t end = now + ms; now < end;) {
      measure();
      run(300);
    }
  }
  // Nothing moves for a minute; false: something still does after `ms`.
  bool comes_to_rest(std::int64_t ms) {
    for (const std::int64_t end = now + ms; now < end;) {
      const std::size_t before = tags.size();
      run_measured(60'000);
      if (tags.size() == before) return true;
    }
    return false;
  }
  std::uint64_t traffic(NodeId node) const { return load_of(node).in_rate; }
  std::uint32_t mains(NodeId node) const { return cluster.image().loads.of(node).mains; }
  std::uint32_t copies(NodeId node) const { return cluster.image().loads.of(node).copies; }

  // As the controller knows it.
  ClusterView view() const {
    ClusterView view;
    for (const NodeRecord& node : cluster.image().nodes) view.loads[node.id] = load_of(node.id);
    return view;
  }

 private:
  void measure() {
    for (const NodeId node : beating) health[node].load = load_of(node);
  }
  static void add(const std::map<PartitionId, std::uint64_t>& of, PartitionId partition,
                  std::uint64_t& sum, std::vector<PartitionShare>& list) {
    const auto found = of.find(partition);
    if (found == of.end()) return;
    sum += found->second;
    list.push_back({partition, found->second});
  }
};

}  // namespace andyx::server::test
