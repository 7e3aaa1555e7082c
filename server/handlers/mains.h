// Which node has what of a topic: the mains of its partitions, as an image says. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocol/base/error.h"
#include "server/metadata/image.h"

namespace andyx::server {

// The partitions of one main; node 0: those that have none.
struct MainShare {
  NodeId node = 0;
  std::vector<std::uint32_t> partitions;  // indexes, ascending

  bool operator==(const MainShare&) const = default;
};

inline constexpr std::uint32_t kAllPartitions = ~std::uint32_t{0};

// Of the partitions from..to-1 (as far as there are so many), by the id of the node.
std::vector<MainShare> shares_of_mains(const Topic& topic, std::uint32_t from = 0,
                                       std::uint32_t to = kAllPartitions);

// kNotMain where `self` is not main of the partition, with the node that is; `what` needs it.
Status check_main(const PartitionRecord& partition, NodeId self, const std::string& what);

// Whether a main that answers so, or not at all, is asked again: it may be another one by then.
bool ask_again(ErrorCode code);

// Why a partition is not described: "main node 2 does not answer: …", "it has no main now".
std::string main_is_silent(NodeId main, const Error& error);

}  // namespace andyx::server
