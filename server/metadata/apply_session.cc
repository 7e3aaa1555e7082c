// What the sessions of the nodes come to.
#include "protocol/base/planted.h"
#include "server/metadata/apply_partitions.h"
#include "server/replication/record_rules.h"

namespace andyx::server {
namespace {

// kUnknownNode; kBadArgument when it has another incarnation by now.
template <typename Command>
Result<std::shared_ptr<const NodeRecord>> find_incarnation(const Image& image,
                                                           const Command& command) {
  auto node = image.find_node(command.node_id());
  const std::string which = "node " + std::to_string(command.node_id());
  if (!node) return fail(ErrorCode::kUnknownNode, "the cluster has no " + which);
  if (node->incarnation == command.incarnation()) return node;
  return fail(ErrorCode::kBadArgument, which + " has incarnation " +
                                           std::to_string(node->incarnation) + " by now, not " +
                                           std::to_string(command.incarnation()));
}

void put_alive(Image& image, const NodeRecord& node, bool alive) {
  auto changed = std::make_shared<NodeRecord>(node);
  changed->alive = alive;
  image.nodes.put(std::move(changed));
}

}  // namespace

Outcome apply_command(Image& image, const wire::NodeLost& command, TimeUs) {
  const auto node = find_incarnation(image, command);
  if (!node) return {.status = std::unexpected(node.error())};
  const auto touched = [&](const PartitionRecord& partition) {
    if (planted(PlantedBug::kForgetsReplicaRole)) return partition.main == command.node_id();
    return has_copy_on(command.node_id())(partition);
  };
  change_partitions(image, touched, [&](const Topic&, ReplicationRecord& record) {
    session_lost(record, command.node_id());
  });
  put_alive(image, **node, false);
  return {};
}

Outcome apply_command(Image& image, const wire::NodeFound& command, TimeUs) {
  const auto node = find_incarnation(image, command);
  if (!node) return {.status = std::unexpected(node.error())};
  change_partitions(
      image, has_copy_on(command.node_id()),
      [&](const Topic&, ReplicationRecord& record) { session_found(record, command.node_id()); });
  put_alive(image, **node, true);
  return {};
}

}  // namespace andyx::server
