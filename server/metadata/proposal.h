// What is asked of the controller, before it is resolved against the image into a command: names
// instead of ids, a number of partitions instead of their placement. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "server/metadata/command.h"
#include "server/metadata/image.h"

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
};
// `partitions`: in all. As many as there are: answered without an entry.
struct TopicAlteration {
  TopicName name;
  std::uint32_t partitions = 0;
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
// Bootstrap on a cluster that is bootstrapped already is answered without an entry.
using Wish = std::variant<BootstrapCommand, RegisterNodeCommand, TopicProposal, TopicDeletion,
                          SubscriptionProposal, SubscriptionDeletion, ReserveProducerIdsCommand,
                          TopicAlteration, CreateScopeCommand, DeleteScopeCommand,
                          ActivateTenantCommand, SetSettingsCommand, SetRetentionCommand,
                          ProducerProposal, ProducerOpening, ProducerDeletion>;

struct Proposal {
  std::uint64_t ticket = 0;  // the proposer's; comes back in the completion
  Uuid command_id;
  TimeUs time_us = 0;
  Wish wish;
};

// A command for the log; or nothing to write, and the answer.
struct Resolved {
  bool write = false;
  Command command;
  std::uint64_t result = 0;
};
Result<Resolved> resolve(const Image& image, const Wish& wish);

}  // namespace andyx::server
