#include "server/metadata/proposal.h"

#include <algorithm>

#include "protocol/base/limits.h"
#include "server/metadata/effective.h"
#include "server/metadata/placement.h"

namespace andyx::server {
namespace {

// Of a topic that is to have `asked` copies of each partition (0: the default).
Result<std::uint32_t> replication_factor(const Image& image, std::uint32_t asked) {
  const std::uint32_t brokers = count_brokers(image);
  if (asked == 0) return std::clamp(brokers, 1u, kDefaultReplicationFactor);
  if (asked > limits::kMaxReplicationFactor) {
    return fail(ErrorCode::kBadArgument, "a replication factor is 1 to " +
                                             std::to_string(limits::kMaxReplicationFactor) +
                                             ", not " + std::to_string(asked));
  }
  if (asked > brokers) {
    return fail(ErrorCode::kBadArgument, "a replication factor of " + std::to_string(asked) +
                                             " needs as many brokers, and "
                                             "the cluster has " +
                                             std::to_string(brokers));
  }
  return asked;
}

Result<Placement> place_or_say(const Image& image, std::uint32_t partitions, std::uint32_t factor) {
  Placement placement = place(image, partitions, factor);
  if (placement.copies > 0) return placement;
  return fail(ErrorCode::kNotInSync, "no node is online that could hold a partition");
}

std::unexpected<Error> unknown_topic(const TopicName& name) {
  return fail(ErrorCode::kUnknownTopic, "there is no topic " + name.path());
}

class Resolver {
 public:
  explicit Resolver(const Image& image) : image_(image) {}

  Result<Resolved> operator()(const BootstrapCommand& command) const {
    if (!image_.cluster_id.is_zero()) return answer(0);
    return write(command);
  }
  Result<Resolved> operator()(const RegisterNodeCommand& command) const { return write(command); }
  Result<Resolved> operator()(const ReserveProducerIdsCommand& command) const {
    return write(command);
  }

  Result<Resolved> operator()(const TopicProposal& wish) const {
    if (wish.if_exists == IfExists::kAnswer) {
      if (const auto topic = image_.find_topic(wish.name)) return answer(topic->id);
    }
    std::uint32_t partitions = wish.partitions;
    if (wish.automatic) {
      const auto said = find_setting_value(image_, LevelPath::of(wish.name).parent(),
                                           setting::kDefaultPartitions);
      if (said) partitions = number_of(said->value);
    }
    if (partitions < 1 || partitions > limits::kMaxPartitionsPerTopic) {
      return fail(ErrorCode::kBadArgument, "a topic has 1 to " +
                                               std::to_string(limits::kMaxPartitionsPerTopic) +
                                               " partitions, not " + std::to_string(partitions));
    }
    const auto factor = replication_factor(image_, wish.replication_factor);
    if (!factor) return std::unexpected(factor.error());
    auto placed = place_or_say(image_, partitions, *factor);
    if (!placed) return std::unexpected(placed.error());
    return write(CreateTopicCommand{wish.name, partitions, placed->copies, std::move(placed->nodes),
                                    wish.automatic, *factor, wish.async});
  }

  Result<Resolved> operator()(const TopicAlteration& wish) const {
    const auto topic = image_.find_topic(wish.name);
    if (!topic) return unknown_topic(wish.name);
    const std::size_t present = topic->partitions().size();
    const bool as_many = wish.partitions == 0 && wish.replication_factor != 0;
    const std::size_t partitions = as_many ? present : wish.partitions;
    if (partitions < present || partitions > limits::kMaxPartitionsPerTopic) {
      return fail(ErrorCode::kBadArgument, wish.name.path() + " has " + std::to_string(present) +
                                               " partitions; it may get more, up to " +
                                               std::to_string(limits::kMaxPartitionsPerTopic) +
                                               ", but not " + std::to_string(partitions) +
                                               ": partitions are never taken away");
    }
    std::uint32_t factor = topic->replication_factor;
    const bool other_factor = wish.replication_factor != 0 && wish.replication_factor != factor;
    if (other_factor) {
      const auto wanted = replication_factor(image_, wish.replication_factor);
      if (!wanted) return std::unexpected(wanted.error());
      factor = *wanted;
    }
    AlterTopicCommand command{topic->id, 1, {}, other_factor ? factor : 0};
    if (partitions == present) return other_factor ? write(std::move(command)) : answer(topic->id);
    auto placed = place_or_say(image_, static_cast<std::uint32_t>(partitions - present), factor);
    if (!placed) return std::unexpected(placed.error());
    command.replication_factor = placed->copies;
    command.placement = std::move(placed->nodes);
    return write(std::move(command));
  }

  Result<Resolved> operator()(const CreateScopeCommand& command) const { return write(command); }
  Result<Resolved> operator()(const DeleteScopeCommand& command) const { return write(command); }
  Result<Resolved> operator()(const ActivateTenantCommand& command) const { return write(command); }
  Result<Resolved> operator()(const SetSettingsCommand& command) const { return write(command); }
  Result<Resolved> operator()(const SetRetentionCommand& command) const { return write(command); }

  Result<Resolved> operator()(const TopicDeletion& wish) const {
    const auto topic = image_.find_topic(wish.name);
    if (!topic) return unknown_topic(wish.name);
    return write(DeleteTopicCommand{topic->id});
  }

  Result<Resolved> operator()(const SubscriptionProposal& wish) const {
    const auto topic = image_.find_topic(wish.topic);
    if (!topic) return unknown_topic(wish.topic);
    if (wish.if_exists == IfExists::kAnswer) {
      const auto there = topic->subscriptions.find(std::string_view(wish.command.name));
      if (there && there->type == wish.command.type && there->mode == wish.command.mode &&
          there->key_ordered == wish.command.key_ordered) {
        return answer(there->id);
      }
    }
    CreateSubscriptionCommand command = wish.command;
    command.topic_id = topic->id;
    return write(std::move(command));
  }

  Result<Resolved> operator()(const SubscriptionDeletion& wish) const {
    const auto topic = image_.find_topic(wish.topic);
    if (!topic) return unknown_topic(wish.topic);
    const auto subscription = topic->subscriptions.find(std::string_view(wish.name));
    if (!subscription) {
      return fail(ErrorCode::kUnknownSubscription,
                  "topic " + wish.topic.path() + " has no such subscription");
    }
    return write(DeleteSubscriptionCommand{topic->id, subscription->id});
  }

  Result<Resolved> operator()(const ProducerProposal& wish) const {
    const auto topic = image_.find_topic(wish.topic);
    if (!topic) return unknown_topic(wish.topic);
    CreateProducerCommand command = wish.command;
    const auto there = topic->producers.find(std::string_view(command.name));
    if (there && there->instance == command.instance) return answer(0);
    command.topic_id = topic->id;
    return write(std::move(command));
  }

  Result<Resolved> operator()(const ProducerOpening& wish) const {
    const auto topic = image_.find_topic(wish.topic);
    if (!topic) return unknown_topic(wish.topic);
    OpenProducerCommand command = wish.command;
    const auto there = topic->producers.find(std::string_view(command.name));
    if (!there && !topic->effective.producer_auto_create) {
      return fail(ErrorCode::kCreationNotAllowed, "topic " + wish.topic.path() +
                                                      " has no producer " + command.name +
                                                      ", and producer-auto-create is false for it");
    }
    if (there && there->instance == command.instance && there->epoch > 0 &&
        there->session == command.session) {
      return answer(there->producer_id);
    }
    command.topic_id = topic->id;
    return write(std::move(command));
  }

  Result<Resolved> operator()(const ProducerDeletion& wish) const {
    const auto topic = image_.find_topic(wish.topic);
    if (!topic) return unknown_topic(wish.topic);
    DeleteProducerCommand command = wish.command;
    command.topic_id = topic->id;
    return write(std::move(command));
  }

  Result<Resolved> operator()(const NodeLostCommand& command) const {
    return unless(is(command.node_id,
                     [&](const NodeRecord& node) {
                       return node.incarnation == command.incarnation && !node.alive;
                     }),
                  command);
  }
  Result<Resolved> operator()(const NodeFoundCommand& command) const {
    return unless(is(command.node_id,
                     [&](const NodeRecord& node) {
                       return node.incarnation == command.incarnation && node.alive;
                     }),
                  command);
  }
  Result<Resolved> operator()(const RemoveNodeCommand& command) const { return write(command); }
  Result<Resolved> operator()(const DrainNodeCommand& command) const {
    return unless(
        is(command.node_id, [&](const NodeRecord& node) { return node.draining == command.on; }),
        command);
  }
  Result<Resolved> operator()(const PauseBalancingCommand& command) const {
    return unless(image_.balancing_paused == command.on, command);
  }
  Result<Resolved> operator()(const ChangeInSyncCommand& command) const { return write(command); }
  Result<Resolved> operator()(const ElectMainCommand& command) const {
    const PartitionRecord* record = image_.find_partition(command.topic_id, command.partition);
    const bool is_main = record != nullptr && record->main == command.node;
    return unless(command.node != 0 && command.main_epoch == 0 && is_main, command);
  }
  Result<Resolved> operator()(const ElectMainsCommand& command) const {
    const bool leads_none =
        image_.find_node(command.away_from) && image_.loads.of(command.away_from).mains == 0;
    return unless(leads_none, command);
  }
  Result<Resolved> operator()(const ChangeReplicasCommand& command) const { return write(command); }

  Result<Resolved> operator()(const PartitionMove& wish) const {
    const auto topic = image_.find_topic(wish.topic);
    if (!topic) return unknown_topic(wish.topic);
    const PartitionRecord* record = image_.find_partition(topic->id, wish.partition);
    if (record == nullptr) return no_partition(*topic, wish.partition);
    const NodeId from = wish.from == 0 ? record->main : wish.from;
    const bool there = std::ranges::find(record->in_sync, wish.to) != record->in_sync.end();
    if (there && from == record->main) {
      return (*this)(
          ElectMainCommand{.topic_id = topic->id, .partition = wish.partition, .node = wish.to});
    }
    ChangeReplicasCommand command{
        .topic_id = topic->id, .partition = wish.partition, .version = record->version};
    if (record->moving_from != 0 && wish.to == record->moving_from && from == record->joining) {
      command.remove = from;
    } else {
      command.add = wish.to;
      command.moving_from = from;
    }
    return write(command);
  }

  Result<Resolved> operator()(const PartitionElect& wish) const {
    const auto topic = image_.find_topic(wish.topic);
    if (!topic) return unknown_topic(wish.topic);
    if (wish.partition >= topic->partitions().size()) return no_partition(*topic, wish.partition);
    return (*this)(ElectMainCommand{.topic_id = topic->id,
                                    .partition = wish.partition,
                                    .node = wish.to,
                                    .forced = wish.forced});
  }

 private:
  template <typename Test>
  bool is(NodeId id, Test test) const {
    const auto node = image_.find_node(id);
    return node && test(*node);
  }
  static std::unexpected<Error> no_partition(const Topic& topic, std::uint32_t index) {
    return fail(ErrorCode::kBadArgument,
                "topic " + topic.name.path() + " has " + std::to_string(topic.partitions().size()) +
                    " partitions, and none with index " + std::to_string(index));
  }
  // Answered without an entry where it is so already.
  static Result<Resolved> unless(bool so_already, Command command) {
    return so_already ? answer(0) : write(std::move(command));
  }
  static Result<Resolved> write(Command command) {
    Resolved resolved;
    resolved.write = true;
    resolved.command = std::move(command);
    return resolved;
  }
  static Result<Resolved> answer(std::uint64_t result) {
    Resolved resolved;
    resolved.result = result;
    return resolved;
  }

  const Image& image_;
};

}  // namespace

Result<Resolved> resolve(const Image& image, const Wish& wish) {
  return std::visit(Resolver(image), wish);
}

}  // namespace andyx::server
