#include <algorithm>

#include "protocol/base/limits.h"
#include "server/metadata/apply_partitions.h"
#include "server/replication/record_rules.h"

namespace andyx::server {
namespace {

// A new incarnation leads its partitions under a new main epoch (design, "Changing the main"): what
// the old one may still have had in memory can never be taken for what the new one writes. One that
// lost what was durable leaves the in-sync sets; but not where a partition lives on it alone, by
// the wish of who created it.
void take_incarnation(Image& image, const wire::RegisterNode& command) {
  const NodeId node = command.node_id();
  const auto lives_here_alone = [node](const Topic& topic, const ReplicationRecord& record) {
    const auto only = [node](NodeId other) { return other == node; };
    return (topic.replication_factor == 1 || topic.async) &&
           std::ranges::all_of(record.in_sync, only) && std::ranges::all_of(record.eligible, only);
  };
  change_partitions(image, has_copy_on(node), [&](const Topic& topic, ReplicationRecord& record) {
    const bool intact = command.intact() || lives_here_alone(topic, record);
    node_registered(record, node, command.incarnation(), intact);
  });
}

// The same incarnation, after its session was given up.
void take_back(Image& image, NodeId node) {
  change_partitions(image, has_copy_on(node), [node](const Topic&, ReplicationRecord& record) {
    session_found(record, node);
  });
}

Status check_room(const Image& image) {
  if (image.nodes.size() < limits::kMaxNodes) return {};
  return fail(ErrorCode::kLimitReached, "the cluster has " + std::to_string(image.nodes.size()) +
                                            " nodes, the most it takes");
}

// Incarnations of a disk rise. A registration that comes late, of a life that has ended, would make
// the present one a stranger.
Status check_life(const NodeRecord& known, const wire::RegisterNode& command) {
  if (command.incarnation() >= known.incarnation) return {};
  return fail(ErrorCode::kNodeConflict, "node " + std::to_string(known.id) +
                                            " has registered as incarnation " +
                                            std::to_string(known.incarnation) + "; " +
                                            std::to_string(command.incarnation()) + " is over");
}

Status check_node(const Image& image, const wire::RegisterNode& command) {
  const std::string which = "node " + std::to_string(command.node_id());
  if (command.node_id() == 0) return fail(ErrorCode::kBadArgument, "a node id is 1 or higher");
  if (command.incarnation() == 0) {
    return fail(ErrorCode::kBadArgument, which + " has no incarnation: it is 1 or higher");
  }
  if (command.roles() == 0 || (command.roles() & ~kAllRoles) != 0) {
    return fail(ErrorCode::kBadArgument, which +
                                             " has roles that are none of broker, metadata "
                                             "and balancer");
  }
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
    if (known->disk_id == from_wire(*command.disk_id())) return check_life(*known, command);
    return fail(ErrorCode::kNodeConflict,
                which + " is known with disk id " + known->disk_id.text() +
                    " and does not come back with another data directory; give it its old data "
                    "directory, or a new node id");
  }
  return check_room(image);
}

Status check_change_of(const Image& image, NodeId node) {
  if (image.find_node(node)) return {};
  return fail(ErrorCode::kUnknownNode, "the cluster has no node " + std::to_string(node));
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
  node.peer_port = command.peer_port();
  node.roles = command.roles();
  if (known) node.draining = known->draining;
  if (known && known->incarnation == node.incarnation) {
    node.registered_us = known->registered_us;
    if (!known->alive) take_back(image, node.id);
  } else if (known) {
    take_incarnation(image, command);
  }
  image.nodes.put(std::make_shared<const NodeRecord>(std::move(node)));
  return {};
}

Outcome apply_command(Image& image, const wire::RemoveNode& command, TimeUs) {
  const NodeId node = command.node_id();
  if (auto status = check_change_of(image, node); !status) return {.status = status};
  if (image.nodes.size() == 1) {
    return refused(ErrorCode::kBadArgument, "node " + std::to_string(node) +
                                                " is the only one: there is no cluster without");
  }
  if (const std::uint32_t copies = image.loads.of(node).copies; copies > 0) {
    return refused(ErrorCode::kNotEmpty,
                   "node " + std::to_string(node) + " holds copies of " + std::to_string(copies) +
                       " partitions; drain it, and remove it when they have moved away");
  }
  image.nodes.erase(node);
  return {};
}

Outcome apply_command(Image& image, const wire::DrainNode& command, TimeUs) {
  if (auto status = check_change_of(image, command.node_id()); !status) return {.status = status};
  auto changed = std::make_shared<NodeRecord>(*image.find_node(command.node_id()));
  changed->draining = command.on();
  image.nodes.put(std::move(changed));
  return {};
}

Outcome apply_command(Image& image, const wire::PauseBalancing& command, TimeUs) {
  image.balancing_paused = command.on();
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
