// What is asked of the controller, before it is resolved against the image into a command: names
// instead of ids, a number of partitions instead of their placement. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "server/metadata/command.h"
#include "server/metadata/image.h"
#include "server/metadata/metadata_log.h"

namespace andyx::server {

enum class IfExists : std::uint8_t {
  kRefuse,
  kAnswer
};  // kAnswer: `ensure`, the one that is there

struct TopicProposal {
  TopicName name;
  std::uint32_t partitions = 0;
  IfExists if_exists = IfExists::kRefuse;
  // By producing to it: its levels' default-partitions go before `partitions`, topic-auto-create is
  // asked.
  bool automatic = false;
  std::uint32_t replication_factor = 0;  // 0: kDefaultReplicationFactor, or one for each broker
  bool async = false;                    // all copies but the main are observers
};
inline constexpr std::uint32_t kDefaultReplicationFactor = 3;
// `partitions`: in all; 0 along with a replication factor: as many as there are. Nothing to change:
// answered without an entry.
struct TopicAlteration {
  TopicName name;
  std::uint32_t partitions = 0;
  std::uint32_t replication_factor = 0;  // 0: as it is
};
struct TopicDeletion {
  TopicName name;
};
struct SubscriptionProposal {
  TopicName topic;
  CreateSubscriptionCommand command;  // its topic id is filled in
  IfExists if_exists = IfExists::kRefuse;
};
struct SubscriptionDeletion {
  TopicName topic;
  std::string name;
};
struct ProducerProposal {
  TopicName topic;
  CreateProducerCommand command;  // its topic id is filled in
};
struct ProducerOpening {
  TopicName topic;
  OpenProducerCommand command;  // its topic id is filled in
};
struct ProducerDeletion {
  TopicName topic;
  DeleteProducerCommand command;  // its topic id is filled in
};
// A copy moves: one is added on `to`, and the controller goes on from there (the copy on `from`
// goes when the new one is in sync). Where `to` holds a copy in sync already and the main is to
// move, it is elected; back to where a move came from ends that move.
struct PartitionMove {
  TopicName topic;
  std::uint32_t partition = 0;  // index
  NodeId from = 0;              // 0: the main
  NodeId to = 0;
};
struct PartitionElect {
  TopicName topic;
  std::uint32_t partition = 0;  // index
  NodeId to = 0;
  bool forced = false;  // loses data
};
// What the image shows already (a node lost, drained, a main) is answered without an entry.
// Bootstrap on a cluster that is bootstrapped already is answered without an entry.
using Wish =
    std::variant<BootstrapCommand, RegisterNodeCommand, TopicProposal, TopicDeletion,
                 SubscriptionProposal, SubscriptionDeletion, ReserveProducerIdsCommand,
                 TopicAlteration, CreateScopeCommand, DeleteScopeCommand, ActivateTenantCommand,
                 SetSettingsCommand, SetRetentionCommand, ProducerProposal, ProducerOpening,
                 ProducerDeletion, NodeLostCommand, NodeFoundCommand, RemoveNodeCommand,
                 DrainNodeCommand, PauseBalancingCommand, ChangeInSyncCommand, ElectMainCommand,
                 ElectMainsCommand, ChangeReplicasCommand, PartitionMove, PartitionElect>;

struct Proposal {
  std::uint64_t ticket = 0;  // the proposer's; comes back in the completion
  Uuid command_id;
  TimeUs time_us = 0;
  Wish wish;
  // Decided by the controller of this epoch from what it knew then: no other one may carry it out,
  // nor itself under a later one. 0: an order, good with whoever is the controller.
  ControllerEpoch decided_in = 0;
};

// A command for the log; or nothing to write, and the answer.
struct Resolved {
  bool write = false;
  Command command;
  std::uint64_t result = 0;
};
Result<Resolved> resolve(const Image& image, const Wish& wish);

}  // namespace andyx::server
