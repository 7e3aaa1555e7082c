#include "server/replication/internal_log_record.h"

#include <algorithm>

namespace andyx::server {

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
