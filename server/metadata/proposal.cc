#include "server/metadata/proposal.h"

#include <algorithm>

#include "protocol/base/limits.h"
#include "server/metadata/effective.h"

namespace andyx::server {
namespace {

constexpr std::uint32_t kReplicationFactor = 1;

// Mains go round the nodes, and go on where the topic before stopped.
std::vector<NodeId> place(const Image& image, std::uint32_t partitions, std::uint32_t factor) {
  std::vector<NodeId> nodes;
  for (const NodeRecord& node : image.nodes) nodes.push_back(node.id);
  std::vector<NodeId> placement;
  placement.reserve(std::size_t{partitions} * factor);
  for (std::uint32_t partition = 0; partition < partitions; ++partition) {
    for (std::uint32_t copy = 0; copy < factor; ++copy) {
      placement.push_back(nodes[(image.next_partition_id + partition + copy) % nodes.size()]);
    }
  }
  return placement;
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
    if (image_.nodes.size() < kReplicationFactor) {
      return fail(ErrorCode::kNotInSync, "no node is registered that could hold a partition");
    }
    return write(CreateTopicCommand{wish.name, partitions, kReplicationFactor,
                                    place(image_, partitions, kReplicationFactor), wish.automatic});
  }

  Result<Resolved> operator()(const TopicAlteration& wish) const {
    const auto topic = image_.find_topic(wish.name);
    if (!topic) return unknown_topic(wish.name);
    const std::size_t present = topic->partitions().size();
    if (wish.partitions == present) return answer(topic->id);
    if (wish.partitions < present || wish.partitions > limits::kMaxPartitionsPerTopic) {
      return fail(ErrorCode::kBadArgument, wish.name.path() + " has " + std::to_string(present) +
                                               " partitions; it may get more, up to " +
                                               std::to_string(limits::kMaxPartitionsPerTopic) +
                                               ", but not " + std::to_string(wish.partitions) +
                                               ": partitions are never taken away");
    }
    const auto added = static_cast<std::uint32_t>(wish.partitions - present);
    return write(
        AlterTopicCommand{topic->id, kReplicationFactor, place(image_, added, kReplicationFactor)});
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

 private:
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
