#include "server/metadata/partition_replication.h"

#include <algorithm>

namespace andyx::server {

ReplicationRecord replication_record(const Image& image, const PartitionRecord& partition) {
  ReplicationRecord record;
  record.main_epoch = partition.main_epoch;
  record.version = partition.version;
  record.main = partition.main;
  record.min_in_sync = partition.min_in_sync;
  record.in_sync = partition.in_sync;
  record.eligible = partition.eligible;
  record.replicas.reserve(partition.replicas.size());
  for (const NodeId node : partition.replicas) {
    ReplicaMember member{.node = node};
    member.observer = std::ranges::find(partition.observers, node) != partition.observers.end();
    if (const auto known = image.find_node(node)) {
      member.incarnation = known->incarnation;
      member.alive = known->alive;
    }
    record.replicas.push_back(member);
  }
  return record;
}

void store_record(const ReplicationRecord& record, PartitionRecord& partition) {
  partition.main_epoch = record.main_epoch;
  partition.version = record.version;
  partition.main = record.main;
  partition.min_in_sync = record.min_in_sync;
  partition.in_sync = record.in_sync;
  partition.eligible = record.eligible;
  partition.replicas.clear();
  partition.observers.clear();
  for (const ReplicaMember& member : record.replicas) {
    partition.replicas.push_back(member.node);
    if (member.observer) partition.observers.push_back(member.node);
  }
  if (record.is_in_sync(partition.joining)) partition.joining = 0;
}

}  // namespace andyx::server
