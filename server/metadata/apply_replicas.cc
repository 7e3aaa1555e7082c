// Copies of a partition come and go: the steps of which moves are made.
#include "protocol/base/limits.h"
#include "server/metadata/apply_partitions.h"

namespace andyx::server {
namespace {

bool holds(const std::vector<NodeId>& nodes, NodeId node) {
  return std::ranges::find(nodes, node) != nodes.end();
}

std::unexpected<Error> no_good(std::string why) {
  return fail(ErrorCode::kBadArgument, std::move(why));
}

Status check_add(const Image& image, const PartitionRecord& partition,
                 const wire::ChangeReplicas& command) {
  const std::string which = "node " + std::to_string(command.add());
  const auto node = image.find_node(command.add());
  if (!node) return fail(ErrorCode::kUnknownNode, "the cluster has no " + which);
  if (command.remove() != 0 || command.demote() != 0) {
    return no_good("a copy is added alone: first it has to catch up");
  }
  if ((node->roles & kBrokerRole) == 0) return no_good(which + " is no broker: it holds no copies");
  if (!node->alive) return no_good(which + " is offline");
  if (node->draining) return no_good(which + " is draining: it gets no copies");
  if (holds(partition.replicas, node->id)) return no_good(which + " holds a copy already");
  if (partition.joining != 0) {
    return no_good("the copy on node " + std::to_string(partition.joining) +
                   " is still catching up; copies are added one after the other");
  }
  if (partition.moving_from != 0) {
    return no_good("the copy on node " + std::to_string(partition.moving_from) +
                   " is being moved; copies are added one after the other");
  }
  if (partition.replicas.size() >= limits::kMaxCopiesPerPartition) {
    return fail(
        ErrorCode::kLimitReached,
        "a partition has at most " + std::to_string(limits::kMaxCopiesPerPartition) + " copies");
  }
  const NodeId from = command.moving_from();
  if (from != 0 && !holds(partition.replicas, from)) {
    return no_good("node " + std::to_string(from) + " holds no copy that could move");
  }
  if (from != 0 && command.observer()) {
    return no_good("an observer never comes into the set, so it takes nobody's place in it");
  }
  return {};
}

// That `node` may leave the in-sync set for good, or is not in it.
Status check_leaves(const PartitionRecord& partition, NodeId node) {
  const std::string which = "node " + std::to_string(node);
  if (!holds(partition.replicas, node)) return no_good(which + " holds no copy");
  if (node == partition.main) {
    return no_good(which + " is the main: elect another one before its copy goes");
  }
  if (partition.main == 0 && holds(partition.eligible, node) && partition.eligible.size() == 1) {
    return fail(ErrorCode::kNotInSync,
                which + " holds the only copy that could be elected without loss");
  }
  if (!holds(partition.in_sync, node)) return {};
  const std::size_t left = partition.in_sync.size() - 1;
  if (left > 0 && left >= partition.min_in_sync) return {};
  return fail(ErrorCode::kNotInSync, "without " + which + " the in-sync set would have " +
                                         std::to_string(left) + " members; min-in-sync is " +
                                         std::to_string(partition.min_in_sync));
}

Status check_change(const Image& image, const Topic& topic, const PartitionRecord& partition,
                    const wire::ChangeReplicas& command) {
  if (command.version() != partition.version) {
    return fail(ErrorCode::kNotMain, "partition " + std::to_string(partition.index) + " of " +
                                         topic.name.path() + " has version " +
                                         std::to_string(partition.version) + " by now, not " +
                                         std::to_string(command.version()));
  }
  if (command.add() != 0) return check_add(image, partition, command);
  if (command.remove() == 0 && command.demote() == 0) return no_good("nothing to change");
  if (command.remove() == command.demote()) return no_good("a copy goes or stays, not both");
  if (command.moving_from() != 0) return no_good("only a copy that is added takes another's place");
  if (command.remove() == 0) return check_leaves(partition, command.demote());
  if (auto status = check_leaves(partition, command.remove()); !status) return status;
  if (command.demote() == 0) return {};
  PartitionRecord without = partition;
  std::erase(without.in_sync, command.remove());
  std::erase(without.eligible, command.remove());
  return check_leaves(without, command.demote());
}

void leave_set(PartitionRecord& partition, NodeId node) {
  std::erase(partition.in_sync, node);
  std::erase(partition.eligible, node);
  if (partition.joining == node) partition.joining = 0;
}

}  // namespace

Outcome apply_command(Image& image, const wire::ChangeReplicas& command, TimeUs) {
  const auto found = find_partition(image, command.topic_id(), command.partition());
  if (!found) return {.status = std::unexpected(found.error())};
  if (auto status = check_change(image, *found->topic, *found->record, command); !status) {
    return {.status = status};
  }
  PartitionRecord changed = *found->record;
  if (const NodeId node = command.add(); node != 0) {
    changed.replicas.push_back(node);
    changed.moving_from = command.moving_from();
    if (command.observer()) {
      changed.observers.push_back(node);
    } else {
      changed.joining = node;
    }
  }
  if (const NodeId node = command.remove(); node != 0) {
    leave_set(changed, node);
    std::erase(changed.replicas, node);
    std::erase(changed.observers, node);
    changed.moving_from = 0;
  }
  if (const NodeId node = command.demote(); node != 0) {
    leave_set(changed, node);
    if (!holds(changed.observers, node)) changed.observers.push_back(node);
  }
  ++changed.version;
  put_partition(image, *found->topic, std::move(changed));
  return {};
}

}  // namespace andyx::server
