// Fake servers that are the nodes 1, 2, 3… of a cluster: mains and a coordinator that move, nodes
// that die, hang, or have not heard of a change yet. All of them share a loop and the partitions,
// as if replication were perfect.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/clients/fake_server.h"

namespace andyx::test {

class FakeCluster {
 public:
  FakeCluster(std::uint32_t nodes, std::uint32_t partitions);

  FakeServer& node(NodeId id) { return *nodes_.at(id - 1); }
  FakeServer& world() { return node(1); }  // has the state of all of them
  std::string servers() const;             // every address, separated by commas

  // `unaware` nodes go on to tell what they told before.
  void move_main(std::uint32_t partition, NodeId to, const std::set<NodeId>& unaware = {});
  void move_coordinator(NodeId to);
  // What one node tells of a partition, true or not.
  void let_claim(NodeId node, std::uint32_t partition, NodeId main);

  std::vector<std::string> payloads(std::uint32_t partition);

 private:
  std::vector<std::unique_ptr<FakeServer>> nodes_;
};

}  // namespace andyx::test
