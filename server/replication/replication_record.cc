#include "server/replication/replication_record.h"

#include <algorithm>

namespace andyx::server {

const ReplicaMember* ReplicationRecord::find(NodeId node) const {
  const auto found = std::ranges::find(replicas, node, &ReplicaMember::node);
  return found == replicas.end() ? nullptr : &*found;
}

ReplicaMember* ReplicationRecord::find(NodeId node) {
  const auto found = std::ranges::find(replicas, node, &ReplicaMember::node);
  return found == replicas.end() ? nullptr : &*found;
}

bool ReplicationRecord::is_in_sync(NodeId node) const {
  return std::ranges::find(in_sync, node) != in_sync.end();
}

bool ReplicationRecord::is_eligible(NodeId node) const {
  return std::ranges::find(eligible, node) != eligible.end();
}

bool ReplicationRecord::replicated() const {
  return std::ranges::count(replicas, false, &ReplicaMember::observer) > 1;
}

}  // namespace andyx::server
