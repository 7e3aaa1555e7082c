// The image: everything about the cluster, after the entries of the metadata log below `position`.
// Made by apply_entry() only, immutable once published (shared_ptr<const Image>), readable on any
// thread without a lock. Images share what did not change: a topic that stays is the same object in
// the next image, so comparing pointers finds the changes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/ids.h"
#include "protocol/base/names.h"
#include "server/metadata/node_loads.h"
#include "server/metadata/partition_list.h"
#include "server/metadata/scope.h"
#include "server/metadata/settings.h"
#include "server/metadata/shared_index.h"
#include "server/metadata/uuid.h"
#include "server/replication/replication_record.h"

namespace andyx::protocol {  // of common_generated.h, which is too heavy for everybody
enum class SubscriptionType : std::uint8_t;
enum class SubscriptionMode : std::uint8_t;
enum class StartKind : std::uint8_t;
enum class ProducerInstance : std::uint8_t;
}  // namespace andyx::protocol

namespace andyx::server {

using Position = std::uint64_t;  // of an entry in the metadata log, from 0, no gaps

struct SubscriptionRecord {
  SubscriptionId id = 0;
  std::string name;
  protocol::SubscriptionType type{};
  protocol::SubscriptionMode mode{};
  protocol::StartKind start_kind{};
  std::int64_t start_value = 0;  // an offset, or microseconds since 1970, or unused
  TimeUs created_us = 0;
  bool key_ordered = false;
  // The partition whose main coordinates its consumers: hash(id) mod the number of partitions at
  // its creation. Fixed, so that a topic that grows does not change who decides.
  std::uint32_t coordinator = 0;
  // How many partitions its topic had then. Those that came later it takes from their beginning.
  std::uint32_t initial_partitions = 0;
};

// A producer with a name, of one topic.
struct ProducerRecord {
  std::string name;
  protocol::ProducerInstance instance{};
  ProducerId producer_id = 0;  // single only: the same as long as the record lives
  std::uint32_t epoch = 0;     // single only: raised by each open; 0: never opened
  std::uint64_t session = 0;   // single only: of the last open; the same again is a reconnect
  TimeUs created_us = 0;
};

// The lowest epoch that a producer id may still write with.
struct ProducerFence {
  ProducerId producer_id = 0;
  std::uint32_t epoch = 0;
};
inline constexpr std::uint32_t kFencedForGood = ~std::uint32_t{0};

// Bits of NodeRecord::roles.
inline constexpr std::uint8_t kBrokerRole = 1;    // holds partitions, serves clients
inline constexpr std::uint8_t kMetadataRole = 2;  // runs a Raft peer, may become a voter
inline constexpr std::uint8_t kBalancerRole = 4;  // passes on clients that know one address only
inline constexpr std::uint8_t kAllRoles = kBrokerRole | kMetadataRole | kBalancerRole;

struct NodeRecord {
  NodeId id = 0;
  Uuid disk_id;
  std::uint64_t incarnation = 0;
  std::string host;  // as advertised
  std::uint16_t port = 0;
  TimeUs registered_us = 0;     // of this incarnation
  std::uint16_t peer_port = 0;  // where its Raft peer listens; 0: it runs none
  std::uint8_t roles = kAllRoles;
  bool alive = true;      // its session with the controller stands
  bool draining = false;  // its copies are to move away, it gets no new ones
};

// A command that was applied, so that its repetition changes nothing and gives the same answer.
struct AppliedCommand {
  Uuid id;
  Position position = 0;
  std::uint64_t result = 0;  // see Outcome in apply.h
};

struct Topic;

struct BySubscriptionName {
  static std::string_view key(const SubscriptionRecord& s) { return s.name; }
};
struct ByProducerName {
  static std::string_view key(const ProducerRecord& p) { return p.name; }
};
struct ByProducerId {
  static ProducerId key(const ProducerFence& f) { return f.producer_id; }
};
struct ByNodeId {
  static NodeId key(const NodeRecord& n) { return n.id; }
};
struct ByTopicName {
  static const TopicName& key(const Topic& t);
};
struct ByTopicId {
  static TopicId key(const Topic& t);
};
struct ByCommandId {
  static const Uuid& key(const AppliedCommand& c) { return c.id; }
};
struct ByPosition {
  static Position key(const AppliedCommand& c) { return c.position; }
};

struct Topic {
  TopicId id = 0;
  TopicName name;
  TimeUs created_us = 0;
  SharedIndex<SubscriptionRecord, BySubscriptionName> subscriptions;
  OwnSettings own;
  SharedIndex<ProducerRecord, ByProducerName> producers;
  // Of every single producer, and of the ids of deleted ones: the last kMaxNamedProducersPerTopic.
  SharedIndex<ProducerFence, ByProducerId> fences;
  EffectiveSettings effective;  // of its levels and itself; derived, so not part of the hash
  // Copies that each partition should have; the controller brings them about one by one.
  std::uint32_t replication_factor = 1;
  bool async = false;  // the main alone is in the in-sync set, its other copies are observers
  // What the partitions' min_in_sync becomes as soon as the in-sync set is large enough.
  std::uint32_t wanted_min_in_sync() const {
    return async ? 1 : default_min_in_sync(replication_factor);
  }

  const PartitionList& partitions() const { return partitions_; }
  void set_partitions(std::vector<PartitionRecord> partitions) {  // index i at place i
    partitions_ = PartitionList(std::move(partitions));
  }
  // In place of the one with its index, or as the last one.
  void put_partition(PartitionRecord partition) { partitions_.put(std::move(partition)); }

 private:
  PartitionList partitions_;
};

inline const TopicName& ByTopicName::key(const Topic& t) { return t.name; }
inline TopicId ByTopicId::key(const Topic& t) { return t.id; }

struct Image {
  Uuid cluster_id;               // zero: an empty log, nothing bootstrapped
  Position position = 0;         // of the next entry
  std::uint64_t chain_hash = 0;  // of the last entry
  // Never reused, not even after a delete.
  TopicId next_topic_id = 1;
  PartitionId next_partition_id = 1;
  SubscriptionId next_subscription_id = 1;
  ProducerId next_producer_id = 1;

  SharedIndex<NodeRecord, ByNodeId> nodes;
  SharedIndex<Scope, ByLevelPath> scopes;  // tenants, then products, then components
  SharedIndex<Topic, ByTopicName> topics;  // iterates in the order of names
  SharedIndex<Topic, ByTopicId> topics_by_id;
  // Of the metadata's Raft group, in microseconds since 1970: the last time that the metadata were
  // restored or recovered by force, which begins another group; 0: never.
  std::uint64_t group = 0;
  bool balancing_paused = false;         // of spreading only: drains and wanted copies go on
  std::uint64_t partition_count = 0;     // of all topics
  std::uint64_t subscription_count = 0;  // of all topics
  NodeLoads loads;                       // derived, so not part of the hash
  // The last limits::kCommandsRemembered commands.
  SharedIndex<AppliedCommand, ByCommandId> commands;
  SharedIndex<AppliedCommand, ByPosition> commands_by_position;

  // Null when there is none. The pointers into a topic live as long as the topic does.
  std::shared_ptr<const Topic> find_topic(const TopicName& name) const;
  std::shared_ptr<const Topic> find_topic(TopicId id) const;
  const PartitionRecord* find_partition(TopicId topic, std::uint32_t index) const;
  std::shared_ptr<const SubscriptionRecord> find_subscription(TopicId topic,
                                                              std::string_view name) const;
  std::shared_ptr<const NodeRecord> find_node(NodeId id) const;

  // Of the whole state, in O(1): equal on every node at the same position.
  std::uint64_t hash() const;
};

// Of one item, for the sum that SharedIndex keeps.
std::uint64_t hash_content(const Topic& topic);
std::uint64_t hash_content(const SubscriptionRecord& subscription);
std::uint64_t hash_content(const ProducerRecord& producer);
std::uint64_t hash_content(const ProducerFence& fence);
std::uint64_t hash_content(const NodeRecord& node);
std::uint64_t hash_content(const Scope& scope);
std::uint64_t hash_content(const AppliedCommand& command);

}  // namespace andyx::server
