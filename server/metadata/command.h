// Commands as values, and their encoding as entries of the log (metadata_entry.fbs). Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "server/metadata/image.h"
#include "server/replication/replication_record.h"

namespace andyx::server {

using EntryBytes = std::vector<std::uint8_t>;  // one wire::Entry; aligned as by malloc

inline constexpr std::uint32_t kEntryVersion = 1;

struct BootstrapCommand {
  Uuid cluster_id;
};
struct RegisterNodeCommand {
  NodeId node_id = 0;
  Uuid disk_id;
  std::uint64_t incarnation = 0;
  std::string host;
  std::uint16_t port = 0;
  std::uint16_t peer_port = 0;
  std::uint8_t roles = kAllRoles;
  bool intact = true;  // what was durable there still is; otherwise it leaves the in-sync sets
};
struct CreateTopicCommand {
  TopicName name;
  std::uint32_t partitions = 0;
  std::uint32_t replication_factor = 1;
  std::vector<NodeId> placement;  // partitions x replication_factor; the first of each is the main
  bool automatic = false;         // by producing to it: topic-auto-create is asked
  std::uint32_t wanted_factor = 0;  // where fewer copies are placed; 0: replication_factor
  bool async = false;               // all copies but the main are observers
};
struct DeleteTopicCommand {
  TopicId topic_id = 0;
};
struct CreateSubscriptionCommand {
  TopicId topic_id = 0;
  std::string name;
  protocol::SubscriptionType type{};
  protocol::SubscriptionMode mode{};
  protocol::StartKind start_kind{};
  std::int64_t start_value = 0;
  bool key_ordered = false;
};
struct DeleteSubscriptionCommand {
  TopicId topic_id = 0;
  SubscriptionId subscription_id = 0;
};
struct ReserveProducerIdsCommand {
  std::uint32_t count = 0;
};
struct AlterTopicCommand {
  TopicId topic_id = 0;
  std::uint32_t replication_factor = 1;
  std::vector<NodeId> placement;    // of the partitions to be added
  std::uint32_t wanted_factor = 0;  // of all of its partitions from now on; 0: as it is
};
// Paths as LevelPath::parse takes them.
struct CreateScopeCommand {
  std::string path;
  std::string description;
};
struct DeleteScopeCommand {
  std::string path;
};
struct ActivateTenantCommand {
  std::string tenant;
  bool active = true;
};
struct SetSettingsCommand {
  std::string path;
  std::vector<std::pair<std::string, std::string>> settings;  // an empty value removes the key
};
struct SetRetentionCommand {
  std::string path;
  std::optional<RetentionPolicy> policy;  // empty: this level has none of its own
};
struct CreateProducerCommand {
  TopicId topic_id = 0;
  std::string name;
  protocol::ProducerInstance instance{};
};
// Where nobody has looked at the epoch that a producer has.
inline constexpr std::uint32_t kAnyProducerEpoch = ~std::uint32_t{0};

struct OpenProducerCommand {
  TopicId topic_id = 0;
  std::string name;
  protocol::ProducerInstance instance{};
  std::uint64_t session = 0;
  std::uint32_t known_epoch = kAnyProducerEpoch;  // when it was asked for; 0: there was none
};
struct DeleteProducerCommand {
  TopicId topic_id = 0;
  std::string name;
  std::vector<ProducerId> open_ids;
};
// Refused unless `incarnation` is the present one.
struct NodeLostCommand {
  NodeId node_id = 0;
  std::uint64_t incarnation = 0;
};
struct NodeFoundCommand {
  NodeId node_id = 0;
  std::uint64_t incarnation = 0;
};
struct RemoveNodeCommand {
  NodeId node_id = 0;
};
struct DrainNodeCommand {
  NodeId node_id = 0;
  bool on = true;
};
struct PauseBalancingCommand {
  bool on = true;
};
struct ChangeInSyncCommand {
  TopicId topic_id = 0;
  std::uint32_t partition = 0;  // index; as below
  SetProposal proposal;
};
struct ElectMainCommand {
  TopicId topic_id = 0;
  std::uint32_t partition = 0;
  // 0: another member of the in-sync set, or the same main under a new epoch where there is none.
  NodeId node = 0;
  MainEpoch main_epoch = 0;  // refused when the partition is in another one; 0: any
  bool forced = false;       // any copy that is alive; loses data
};
struct ElectMainsCommand {
  NodeId away_from = 0;
  std::vector<NodeId> avoid;  // not to these either
};
// One step of a move: `add` comes outside of the in-sync set, to take the place of `moving_from`
// where that is given; `remove` goes; `demote` becomes an observer. 0: none. Adding stands alone.
struct ChangeReplicasCommand {
  TopicId topic_id = 0;
  std::uint32_t partition = 0;
  std::uint32_t version = 0;  // of the record that it was decided on
  NodeId add = 0;
  NodeId remove = 0;
  NodeId demote = 0;
  bool observer = false;  // `add` is to be one
  NodeId moving_from = 0;
};

using Command =
    std::variant<BootstrapCommand, RegisterNodeCommand, CreateTopicCommand, DeleteTopicCommand,
                 CreateSubscriptionCommand, DeleteSubscriptionCommand, ReserveProducerIdsCommand,
                 AlterTopicCommand, CreateScopeCommand, DeleteScopeCommand, ActivateTenantCommand,
                 SetSettingsCommand, SetRetentionCommand, CreateProducerCommand,
                 OpenProducerCommand, DeleteProducerCommand, NodeLostCommand, NodeFoundCommand,
                 RemoveNodeCommand, DrainNodeCommand, PauseBalancingCommand, ChangeInSyncCommand,
                 ElectMainCommand, ElectMainsCommand, ChangeReplicasCommand>;

struct EntryHead {
  Uuid command_id;
  Uuid cluster_id;
  TimeUs time_us = 0;
  std::uint64_t previous_hash = 0;  // Image::chain_hash of the image that it will be applied to
};

EntryBytes encode_entry(const EntryHead& head, const Command& command);

}  // namespace andyx::server
