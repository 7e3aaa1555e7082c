#include <algorithm>

#include "protocol/base/limits.h"
#include "server/metadata/apply_commands.h"

namespace andyx::server {
namespace {

// A new incarnation leads its partitions under a new main epoch (design, "Changing the main"): what
// the old one may still have had in memory can never be taken for what the new one writes.
void raise_epochs(Image& image, NodeId node) {
  const auto leads = [node](const PartitionRecord& p) { return p.main == node; };
  std::vector<std::shared_ptr<const Topic>> raised;
  for (auto it = image.topics_by_id.begin(); it != image.topics_by_id.end(); ++it) {
    if (std::ranges::none_of(it->partitions(), leads)) continue;
    auto partitions = it->partitions();
    for (PartitionRecord& partition : partitions) {
      if (!leads(partition)) continue;
      ++partition.main_epoch;
      ++partition.version;
    }
    auto changed = std::make_shared<Topic>(*it);
    changed->set_partitions(std::move(partitions));
    raised.push_back(std::move(changed));
  }
  put_topics(image, std::move(raised));
}

Status check_node(const Image& image, const wire::RegisterNode& command) {
  const std::string which = "node " + std::to_string(command.node_id());
  if (command.node_id() == 0) return fail(ErrorCode::kBadArgument, "a node id is 1 or higher");
  if (from_wire(*command.disk_id()).is_zero()) {
    return fail(ErrorCode::kBadArgument, which + " has no disk id");
  }
  const std::size_t host_bytes = command.host()->size();
  if (host_bytes == 0 || host_bytes > limits::kMaxHostBytes || command.port() == 0) {
    return fail(ErrorCode::kBadArgument, which + " advertises no usable address: a host of 1 to " +
                                             std::to_string(limits::kMaxHostBytes) +
                                             " bytes and a port other than 0");
  }
  if (const auto known = image.nodes.find(command.node_id())) {
    if (known->disk_id == from_wire(*command.disk_id())) return {};
    return fail(ErrorCode::kBadArgument,
                which + " is known with disk id " + known->disk_id.text() +
                    " and does not come back with another data directory; give it its old data "
                    "directory, or a new node id");
  }
  if (image.nodes.size() >= limits::kMaxNodes) {
    return fail(ErrorCode::kLimitReached, "the cluster has " + std::to_string(image.nodes.size()) +
                                              " nodes, the most it takes");
  }
  return {};
}

}  // namespace

Outcome apply_command(Image& image, const wire::Bootstrap& command, TimeUs) {
  const Uuid id = from_wire(*command.cluster_id());
  if (id.is_zero()) return refused(ErrorCode::kBadArgument, "a cluster id is not zero");
  if (!image.cluster_id.is_zero()) {
    return refused(ErrorCode::kBadArgument,
                   "the cluster is bootstrapped already, as " + image.cluster_id.text());
  }
  image.cluster_id = id;
  return {};
}

Outcome apply_command(Image& image, const wire::RegisterNode& command, TimeUs time_us) {
  if (auto status = check_node(image, command); !status) return {.status = status};
  const auto known = image.nodes.find(command.node_id());
  NodeRecord node;
  node.id = command.node_id();
  node.disk_id = from_wire(*command.disk_id());
  node.incarnation = command.incarnation();
  node.host = command.host()->str();
  node.port = command.port();
  node.registered_us = time_us;
  if (known && known->incarnation == node.incarnation) {
    node.registered_us = known->registered_us;
  } else if (known) {
    raise_epochs(image, node.id);
  }
  image.nodes.put(std::make_shared<const NodeRecord>(std::move(node)));
  return {};
}

Outcome apply_command(Image& image, const wire::ReserveProducerIds& command, TimeUs) {
  if (command.count() < 1 || command.count() > limits::kMaxProducerIdsReserved) {
    return refused(ErrorCode::kBadArgument, "1 to " +
                                                std::to_string(limits::kMaxProducerIdsReserved) +
                                                " producer ids are reserved at a time, not " +
                                                std::to_string(command.count()));
  }
  const ProducerId first = image.next_producer_id;
  image.next_producer_id += command.count();
  return {.status = {}, .result = first};
}

}  // namespace andyx::server
