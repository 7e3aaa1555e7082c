#include "server/replication/image_record.h"

#include <algorithm>

namespace andyx::server {

ReplicationRecord replication_record(const Image& image, const PartitionRecord& record) {
  ReplicationRecord out{.main_epoch = record.main_epoch,
                        .version = record.version,
                        .main = record.main,
                        .min_in_sync = record.min_in_sync,
                        .replicas = {},
                        .in_sync = record.in_sync,
                        .eligible = record.eligible};
  out.replicas.reserve(record.replicas.size());
  for (const NodeId node : record.replicas) {
    const auto known = image.find_node(node);
    out.replicas.push_back(
        {.node = node,
         .incarnation = known ? known->incarnation : 0,
         .alive = known && known->alive,
         .observer = std::ranges::find(record.observers, node) != record.observers.end()});
  }
  return out;
}

ReplicationRecord internal_log_record(ReplicationRecord record, const SetProposal* joining) {
  record.min_in_sync = 1;
  for (ReplicaMember& member : record.replicas) {
    const bool joins = joining != nullptr &&
                       std::ranges::find(joining->in_sync, member.node,
                                         &SetProposal::Member::node) != joining->in_sync.end();
    if (!record.is_in_sync(member.node) && !joins) member.observer = true;
  }
  return record;
}

bool grows(const ReplicationRecord& record, const SetProposal& proposal) {
  return std::ranges::any_of(proposal.in_sync, [&](const SetProposal::Member& member) {
    return !record.is_in_sync(member.node);
  });
}

}  // namespace andyx::server
