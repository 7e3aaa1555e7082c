// Administration, and reading without a subscription. Blocking calls, thread-safe; each at most
// ClientOptions::request_timeout_ms. Errors are the server's (with their remedy), or kTimedOut.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "andyx/cluster.h"
#include "andyx/message_batch.h"
#include "andyx/scopes.h"
#include "andyx/types.h"

namespace andyx::client {

class ClientImpl;

struct PartitionInfo {
  std::uint32_t partition = 0;  // index in the topic
  PartitionId partition_id = 0;
  NodeId main = 0;
  MainEpoch main_epoch = 0;
  std::uint32_t version = 0;  // of the partition's record
  std::vector<NodeId> replicas, in_sync;
  std::vector<NodeId> observers;  // copies that never join the in-sync set
  std::vector<NodeId> eligible;   // left the set, and may still be elected without loss
  std::uint32_t min_in_sync = 0;
  Offset start_offset = 0, committed_offset = 0;  // of describe only, as the next two
  std::uint64_t bytes = 0;
  // Durable end of each of `replicas`, as the main knows it; kNoOffset: it does not.
  std::vector<Offset> replica_offsets;
  std::string note;  // why offsets and bytes are missing; empty: they are not
};

struct TopicSpec {
  std::uint32_t partitions = 1;
  std::uint32_t replication_factor = 0;  // copies of each partition; 0: min(3, brokers)
  bool async = false;  // acknowledged by one copy; the others follow behind, as observers
};
struct TopicChange {
  std::uint32_t partitions = 0;          // in all, never fewer than before; 0: as many as now
  std::uint32_t replication_factor = 0;  // 0: as it is
};

struct TopicInfo {
  std::string topic;  // tenant/product/component/topic
  TopicId topic_id = 0;
  TimeUs created_us = 0;
  std::vector<PartitionInfo> partitions;
};

struct SubscriptionPartitionInfo {
  std::uint32_t partition = 0;
  Offset start_offset = 0, committed_offset = 0;
  Offset floor = 0;  // everything below is answered
  std::uint64_t answered_above_floor = 0, in_flight = 0, waiting_redelivery = 0, skipped = 0;
  std::uint64_t lag_messages = 0;
  std::string attached_consumer;  // who is active here; shared: all, separated by commas
  std::uint64_t credit_messages = 0, credit_bytes = 0;
  std::string blocked;              // empty, or why nothing is delivered
  std::uint64_t delayed = 0;        // wait for their deliver-at time
  std::uint64_t dead_lettered = 0;  // since creation
  std::uint64_t lag_bytes = 0;      // estimate
  std::uint64_t lag_ms = 0;         // age of the oldest unanswered message; 0: there is none
};

struct ConsumerInfo {
  std::string name, address;
  std::int32_t priority = 0;
  TimeUs attached_us = 0;
  std::vector<std::uint32_t> active;  // partitions that are delivered to it
};

struct SubscriptionInfo {
  std::string topic, name;
  SubscriptionId subscription_id = 0;
  SubscriptionType type = SubscriptionType::kUnique;
  SubscriptionMode mode = SubscriptionMode::kResilient;
  TimeUs created_us = 0;
  std::vector<SubscriptionPartitionInfo> partitions;  // of describe only
  bool key_ordered = false;
  std::vector<ConsumerInfo> consumers;  // those that are attached; of describe only
  std::string note;                     // why consumers are missing; empty: they are not
};

struct SubscriptionSpec {
  SubscriptionType type = SubscriptionType::kUnique;
  SubscriptionMode mode = SubscriptionMode::kResilient;
  Start start = Start::latest();
  bool key_ordered = false;  // shared only
};

// A producer with a name.
struct ProducerInfo {
  std::string name;
  ProducerInstance instance = ProducerInstance::kMultiple;
  ProducerId producer_id = 0;        // single only
  std::uint32_t producer_epoch = 0;  // single only: raised by each open; 0: never opened
  TimeUs created_us = 0;
  std::uint32_t connected = 0;  // how many are open now
  std::string note;             // why `connected` is not known; empty: it is
};

struct OffsetInfo {
  Offset offset = 0, start_offset = 0, committed_offset = 0;
};

struct ReadResult {
  MessageBatch messages;   // from the offset asked for; empty when there is none yet
  Offset next_offset = 0;  // where to read on
  Offset start_offset = 0, committed_offset = 0;
};

struct LoopStatus {
  std::uint32_t loop = 0, connections = 0, partitions = 0, mailbox = 0;
  std::uint64_t cached_bytes = 0;
};

struct StorageStatus {
  std::uint32_t shard = 0;
  std::string state;
  bool fsync = true;
  std::uint32_t generation = 0, unflushed_generations = 0;
  std::uint64_t written_bytes = 0, disk_bytes = 0, free_bytes = 0, syncs = 0, last_sync_us = 0;
  std::string crc32c;
  std::uint64_t crc32c_calls = 0;
  std::uint64_t reads = 0;  // look-ups of messages and of state, since the server's start
};

struct NodeStatus {
  NodeId node_id = 0;
  std::string cluster_id;
  std::uint64_t incarnation = 0;
  std::string server_version, listen, advertise;
  std::uint64_t uptime_ms = 0, rss_bytes = 0;
  std::uint64_t cpu_us = 0;  // user and system, of the server process since its start
  std::uint32_t connections = 0, topics = 0, partitions = 0;
  std::uint64_t metadata_version = 0;
  std::vector<LoopStatus> loops;
  std::vector<StorageStatus> storage;
};

class Admin {
 public:
  Result<TopicInfo> create_topic(const std::string& topic, const TopicSpec& spec);
  Result<TopicInfo> create_topic(const std::string& topic, std::uint32_t partitions = 1) {
    return create_topic(topic, TopicSpec{.partitions = partitions});
  }
  // Subscriptions that are there take new partitions from their beginning.
  Result<TopicInfo> alter_topic(const std::string& topic, const TopicChange& change);
  Result<TopicInfo> alter_topic(const std::string& topic, std::uint32_t partitions) {
    return alter_topic(topic, TopicChange{.partitions = partitions});
  }
  Status delete_topic(const std::string& topic);
  Result<std::vector<TopicInfo>> list_topics(const std::string& prefix = {});
  Result<TopicInfo> describe_topic(const std::string& topic);

  Result<SubscriptionInfo> create_subscription(const std::string& topic, const std::string& name,
                                               const SubscriptionSpec& spec);
  Status delete_subscription(const std::string& topic, const std::string& name);
  Result<std::vector<SubscriptionInfo>> list_subscriptions(const std::string& topic);
  Result<SubscriptionInfo> describe_subscription(const std::string& topic, const std::string& name);
  // `partition` -1: all of them.
  Status reset_subscription(const std::string& topic, const std::string& name, Start to,
                            std::int32_t partition = -1);

  // Idempotent; kProducerConflict where it has another instance type.
  Result<ProducerInfo> create_producer(const std::string& topic, const std::string& name,
                                       ProducerInstance instance);
  Status delete_producer(const std::string& topic, const std::string& name);  // fences it
  Result<std::vector<ProducerInfo>> list_producers(const std::string& topic);

  // From `offset` (kOffsetOutOfRange below the start or over the end); waits up to `max_wait_ms`
  // when nothing is there yet.
  Result<ReadResult> read(const std::string& topic, std::uint32_t partition, Offset offset,
                          std::uint32_t max_bytes = 1'048'576, std::uint32_t max_wait_ms = 0);
  Result<OffsetInfo> lookup_offset(const std::string& topic, std::uint32_t partition, Start at);

  Result<NodeStatus> node_status();  // of the node that this client asks

  // ---- The cluster ----
  Result<ClusterStatus> cluster_status();
  Status node_remove(NodeId node);          // refused while it has the last copy of something
  Status node_drain(NodeId node, bool on);  // its copies move away; off: it takes some again
  Status balance_pause(bool paused);
  Result<StopAdvice> safe_to_stop(NodeId node);
  // The metadata as a backup file (protocol/FORMAT.md), not older than what the controller had when
  // it was asked; without a controller, what a node has.
  Result<std::vector<std::uint8_t>> metadata_backup();
  // Returns when the move has begun. `from` 0: the main's copy moves.
  Status partition_move(const std::string& topic, std::uint32_t partition, NodeId to,
                        NodeId from = 0);
  // Makes `to` the main. With `accept_data_loss` also where it may lack what was acknowledged.
  Status partition_elect(const std::string& topic, std::uint32_t partition, NodeId to,
                         bool accept_data_loss = false);

  Scopes scopes();  // tenants, products, components, settings, retention

 private:
  friend class Client;
  explicit Admin(std::shared_ptr<ClientImpl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<ClientImpl> impl_;
};

}  // namespace andyx::client
