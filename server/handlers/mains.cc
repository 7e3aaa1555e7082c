#include "server/handlers/mains.h"

#include <algorithm>
#include <map>

namespace andyx::server {

std::vector<MainShare> shares_of_mains(const Topic& topic, std::uint32_t from, std::uint32_t to) {
  std::map<NodeId, MainShare> by_node;
  for (const PartitionRecord& record : topic.partitions()) {
    if (record.index < from || record.index >= to) continue;
    MainShare& share = by_node[record.main];
    share.node = record.main;
    share.partitions.push_back(record.index);
  }
  std::vector<MainShare> shares;
  for (auto& [node, share] : by_node) shares.push_back(std::move(share));
  return shares;
}

Status check_main(const PartitionRecord& partition, NodeId self, const std::string& what) {
  if (partition.main == self && self != 0) return {};
  const std::string needed =
      what + " is at the main of partition " + std::to_string(partition.index);
  if (partition.main == 0)
    return std::unexpected(Error{ErrorCode::kNotMain, needed + ", which has none now"});
  return std::unexpected(Error{
      ErrorCode::kNotMain, needed + ", node " + std::to_string(partition.main), partition.main});
}

bool ask_again(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotMain:
    case ErrorCode::kUnreachable:
    case ErrorCode::kConnectionLost:
    case ErrorCode::kTimedOut:
    case ErrorCode::kUnknownNode:
    case ErrorCode::kOverloaded:
    case ErrorCode::kShuttingDown:
      return true;
    default:
      return false;
  }
}

std::string main_is_silent(NodeId main, const Error& error) {
  if (main == 0) return "it has no main now";
  return "main node " + std::to_string(main) + " does not answer: " + error.message;
}

}  // namespace andyx::server
