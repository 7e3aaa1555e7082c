#include "clients/cpp/src/requests.h"

namespace andyx::client {
namespace {

std::string text(const flatbuffers::String* in) {
  return in == nullptr ? std::string() : in->str();
}

template <typename T>
std::vector<T> values(const flatbuffers::Vector<T>* in) {
  return in == nullptr ? std::vector<T>() : std::vector<T>(in->begin(), in->end());
}

SubscriptionPartitionInfo partition_info(const protocol::SubscriptionPartitionInfo& in) {
  return {.partition = in.partition(),
          .start_offset = in.start_offset(),
          .committed_offset = in.committed_offset(),
          .floor = in.floor(),
          .answered_above_floor = in.answered_above_floor(),
          .in_flight = in.in_flight(),
          .waiting_redelivery = in.waiting_redelivery(),
          .skipped = in.skipped(),
          .lag_messages = in.lag_messages(),
          .attached_consumer = text(in.attached_consumer()),
          .credit_messages = in.credit_messages(),
          .credit_bytes = in.credit_bytes(),
          .blocked = text(in.blocked()),
          .delayed = in.delayed(),
          .dead_lettered = in.dead_lettered(),
          .lag_bytes = in.lag_bytes(),
          .lag_ms = in.lag_ms()};
}

StorageStatus storage_status(const protocol::StorageStatus& in) {
  return {.shard = in.shard(),
          .state = text(in.state()),
          .fsync = in.fsync(),
          .generation = in.generation(),
          .unflushed_generations = in.unflushed_generations(),
          .written_bytes = in.written_bytes(),
          .disk_bytes = in.disk_bytes(),
          .free_bytes = in.free_bytes(),
          .syncs = in.syncs(),
          .last_sync_us = in.last_sync_us(),
          .crc32c = text(in.crc32c()),
          .crc32c_calls = in.crc32c_calls(),
          .reads = in.reads()};
}

}  // namespace

TopicInfo topic_info(const protocol::TopicInfo& in) {
  TopicInfo out{.topic = text(in.topic()),
                .topic_id = in.topic_id(),
                .created_us = in.created_us(),
                .partitions = {}};
  if (in.partitions() == nullptr) return out;
  for (const auto* partition : *in.partitions()) {
    out.partitions.push_back({.partition = partition->partition(),
                              .partition_id = partition->partition_id(),
                              .main = partition->main(),
                              .main_epoch = partition->main_epoch(),
                              .version = partition->version(),
                              .replicas = values(partition->replicas()),
                              .in_sync = values(partition->in_sync()),
                              .observers = values(partition->observers()),
                              .eligible = values(partition->eligible()),
                              .min_in_sync = partition->min_in_sync(),
                              .start_offset = partition->start_offset(),
                              .committed_offset = partition->committed_offset(),
                              .bytes = partition->bytes(),
                              .replica_offsets = values(partition->replica_offsets()),
                              .note = text(partition->note())});
  }
  return out;
}

SubscriptionInfo subscription_info(const protocol::SubscriptionInfo& in) {
  SubscriptionInfo out{.topic = text(in.topic()),
                       .name = text(in.name()),
                       .subscription_id = in.subscription_id(),
                       .type = static_cast<SubscriptionType>(in.type()),
                       .mode = static_cast<SubscriptionMode>(in.mode()),
                       .created_us = in.created_us(),
                       .partitions = {},
                       .key_ordered = in.key_ordered(),
                       .consumers = {},
                       .note = text(in.note())};
  if (in.consumers() != nullptr) {
    for (const auto* consumer : *in.consumers()) {
      out.consumers.push_back({.name = text(consumer->name()),
                               .address = text(consumer->address()),
                               .priority = consumer->priority(),
                               .attached_us = consumer->attached_us(),
                               .active = values(consumer->active())});
    }
  }
  if (in.partitions() == nullptr) return out;
  for (const auto* partition : *in.partitions())
    out.partitions.push_back(partition_info(*partition));
  return out;
}

ProducerInfo producer_info(const protocol::ProducerInfo& in) {
  return {.name = text(in.name()),
          .instance = static_cast<ProducerInstance>(in.instance()),
          .producer_id = in.producer_id(),
          .producer_epoch = in.producer_epoch(),
          .created_us = in.created_us(),
          .connected = in.connected(),
          .note = {}};
}

NodeStatus node_status_of(const protocol::NodeStatusReply& in) {
  NodeStatus out{.node_id = in.node_id(),
                 .cluster_id = text(in.cluster_id()),
                 .incarnation = in.incarnation(),
                 .server_version = text(in.server_version()),
                 .listen = text(in.listen()),
                 .advertise = text(in.advertise()),
                 .uptime_ms = in.uptime_ms(),
                 .rss_bytes = in.rss_bytes(),
                 .cpu_us = in.cpu_us(),
                 .connections = in.connections(),
                 .topics = in.topics(),
                 .partitions = in.partitions(),
                 .metadata_version = in.metadata_version(),
                 .loops = {},
                 .storage = {}};
  if (in.loops() != nullptr) {
    for (const auto* loop : *in.loops()) {
      out.loops.push_back({.loop = loop->loop(),
                           .connections = loop->connections(),
                           .partitions = loop->partitions(),
                           .mailbox = loop->mailbox(),
                           .cached_bytes = loop->cached_bytes()});
    }
  }
  if (in.storage() != nullptr) {
    for (const auto* shard : *in.storage()) out.storage.push_back(storage_status(*shard));
  }
  return out;
}

protocol::Start start_of(const Start& start) {
  return {static_cast<protocol::StartKind>(start.kind), start.value};
}

}  // namespace andyx::client
