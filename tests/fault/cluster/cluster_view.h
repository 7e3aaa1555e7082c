// What the nodes say of the cluster and of one topic: the newest of their answers. Blocking; any
// thread. Everything that the tester knows of roles comes from here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocol/net/tcp.h"

namespace andyx::test::fault {

struct PartitionView {
  NodeId main = 0;
  std::vector<NodeId> replicas, in_sync;
};

struct ClusterView {
  std::uint64_t version = 0;  // of the metadata; 0: nobody answered
  NodeId controller = 0;      // 0: none, or not known
  std::uint32_t voters = 0;   // of the metadata
  std::vector<NodeId> nodes;
  std::vector<PartitionView> partitions;  // of the topic; empty while it is missing

  bool answered() const { return version > 0; }
  // Every partition has a main and this many in sync.
  bool complete(std::uint32_t factor) const;
  std::string text() const;  // for the log: mains and sets
};

// `nodes`: whom to ask, by the addresses where they listen.
ClusterView observe(const std::vector<net::Address>& nodes, const std::string& topic_path);

}  // namespace andyx::test::fault
