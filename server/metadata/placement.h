// Where the copies of new partitions go: on the nodes that hold the least, copies of one partition
// on different nodes, what fails over from a node spread over the others. Pure and deterministic.
#pragma once

#include <cstdint>
#include <vector>

#include "server/metadata/image.h"

namespace andyx::server {

// May get copies now: a broker, alive, not draining.
bool is_placeable(const NodeRecord& node);
// Brokers that are there to stay, online or not: a replication factor is measured by them.
std::uint32_t count_brokers(const Image& image);

struct Placement {
  std::uint32_t copies = 0;   // of each partition; fewer than asked for where nodes are offline
  std::vector<NodeId> nodes;  // partitions x copies; the first of each is the main
};
// Copies 0: no node can take any.
Placement place(const Image& image, std::uint32_t partitions, std::uint32_t factor);

}  // namespace andyx::server
