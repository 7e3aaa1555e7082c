// What the nodes say of the cluster and of one topic: the newest of their answers. Blocking; any
// thread. Everything that the tester knows of roles comes from here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/net/tcp.h"

namespace andyx::test::fault {

struct PartitionView {
  std::size_t topic = 0;  // its place among the topics that were asked for
  std::uint32_t index = 0;
  std::uint32_t version = 0;  // of the record
  NodeId main = 0;
  std::vector<NodeId> replicas, in_sync, observers, eligible;

  // Nobody else could be elected without loss.
  bool lives_only_on(NodeId node) const;
};

struct ClusterView {
  std::uint64_t version = 0;  // of the metadata; 0: nobody answered
  NodeId controller = 0;      // 0: none, or not known
  std::uint32_t voters = 0;   // of the metadata
  std::vector<NodeId> nodes;
  std::vector<PartitionView> partitions;  // of the topics that exist

  bool answered() const { return version > 0; }
  // Every partition has a main and this many in sync.
  bool complete(std::uint32_t factor) const;
  std::string text() const;  // for the log: mains and sets
};

// `nodes`: whom to ask, by the addresses where they listen.
ClusterView observe(const std::vector<net::Address>& nodes,
                    const std::vector<std::string>& topic_paths);

// What the main of a partition knows of its copies.
struct CopyEnd {
  std::uint32_t partition = 0;
  NodeId node = 0;
  bool main = false;
  Offset durable = 0;  // up to here it has the log on its disk
};
// Of every partition of a topic. Nothing: nobody describes all of it now.
std::optional<std::vector<CopyEnd>> observe_copies(const std::vector<net::Address>& nodes,
                                                   const std::string& topic_path);

}  // namespace andyx::test::fault
