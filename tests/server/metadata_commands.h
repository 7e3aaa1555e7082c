// Commands and entries for tests of the metadata: short makers, and a seeded stream of random ones.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "common_generated.h"
#include "server/metadata/apply.h"
#include "server/metadata/command.h"

namespace andyx::server::test {

inline TopicName topic_name(const std::string& topic) {
  return {"default", "default", "default", topic};
}

// An image, and the log that made it.
class History {
 public:
  explicit History(std::shared_ptr<const Image> image = std::make_shared<const Image>())
      : image_(std::move(image)) {}

  static History with_node(NodeId node = 1) {
    History history;
    REQUIRE(history.apply(BootstrapCommand{{7, 7}}).status);
    REQUIRE(history.apply(RegisterNodeCommand{node, {1, node}, 1, "localhost", 6540}).status);
    return history;
  }

  // Appends and applies; command ids count up unless told.
  Outcome apply(const Command& command) { return apply(command, {99, ++next_id_}); }
  Outcome apply(const Command& command, Uuid id) {
    const auto* bootstrap = std::get_if<BootstrapCommand>(&command);
    const bool first = bootstrap != nullptr && image_->cluster_id.is_zero();
    const Uuid cluster = first ? bootstrap->cluster_id : image_->cluster_id;
    const TimeUs time_us = 1'000 * static_cast<TimeUs>(image_->position);
    return replay(encode_entry({id, cluster, time_us, image_->chain_hash}, command));
  }
  Outcome replay(EntryBytes entry) {
    auto applied = apply_entry(*image_, entry);
    REQUIRE(applied);
    entries_.push_back(std::move(entry));
    image_ = std::move(applied->image);
    return applied->outcome;
  }

  Outcome create_topic(const std::string& topic, std::uint32_t partitions = 1) {
    return apply(CreateTopicCommand{topic_name(topic), partitions, 1,
                                    std::vector<NodeId>(partitions, NodeId{1})});
  }
  Outcome create_subscription(TopicId topic, const std::string& name) {
    return apply(CreateSubscriptionCommand{topic, name, {}, {}, {}, 0});
  }

  const Image& image() const { return *image_; }
  const std::shared_ptr<const Image>& shared() const { return image_; }
  const std::vector<EntryBytes>& entries() const { return entries_; }

 private:
  std::shared_ptr<const Image> image_;
  std::vector<EntryBytes> entries_;
  std::uint64_t next_id_ = 0;
};

// Few names and ids, so that commands meet: some succeed, some are refused, some are repetitions.
class RandomCommands {
 public:
  explicit RandomCommands(std::uint32_t seed) : random_(seed) {}

  std::pair<Command, Uuid> next() {
    const Uuid id = pick(20) == 0 ? Uuid{5, 1 + pick(50)} : Uuid{6, ++next_id_};
    return {command(), id};
  }

 private:
  std::uint32_t pick(std::uint32_t below) { return static_cast<std::uint32_t>(random_() % below); }
  std::string name() { return (pick(30) == 0 ? ".bad" : "name-") + std::to_string(pick(40)); }

  // Few paths, of every level.
  std::string path() {
    std::string text = "t" + std::to_string(pick(3));
    for (std::uint32_t parts = pick(4); parts > 0; --parts) text += "/n" + std::to_string(pick(2));
    return pick(4) == 0 ? topic_name(name()).path() : text;
  }

  Command scope_command() {
    switch (pick(6)) {
      case 0:
        return CreateScopeCommand{path(), name()};
      case 1:
        return DeleteScopeCommand{path()};
      case 2:
        return ActivateTenantCommand{pick(2) == 0 ? "default" : path(), pick(3) != 0};
      case 3: {
        const char* keys[] = {"topic-auto-create", "dedup-window-ms", "default-partitions",
                              "component-auto-create"};
        const char* values[] = {"", "true", "false", "7"};
        return SetSettingsCommand{path(), {{keys[pick(4)], values[pick(4)]}}};
      }
      case 4:
        return AlterTopicCommand{1 + pick(60), 1, std::vector<NodeId>(pick(3), NodeId{1})};
      default: {
        const RetentionPolicy policy{pick(100), pick(100), -1};
        return SetRetentionCommand{path(), pick(3) == 0 ? std::nullopt : std::optional(policy)};
      }
    }
  }

  protocol::ProducerInstance instance() { return static_cast<protocol::ProducerInstance>(pick(3)); }

  Command command() {
    if (pick(5) == 0) return scope_command();
    switch (pick(13)) {
      case 0:
        return RegisterNodeCommand{1 + pick(3), {1, 1 + pick(3)}, pick(3), "localhost", 6540};
      case 1:
      case 2:
      case 3: {
        const std::uint32_t partitions = pick(5);
        return CreateTopicCommand{
            pick(4) == 0 ? TopicName{"t" + std::to_string(pick(3)), "n0", "n1", name()}
                         : topic_name(name()),
            partitions, 1, std::vector<NodeId>(partitions, NodeId{1}), pick(2) == 0};
      }
      case 4:
        return DeleteTopicCommand{1 + pick(60)};
      case 5:
      case 6:
      case 7:
        return CreateSubscriptionCommand{1 + pick(60),
                                         name(),
                                         static_cast<protocol::SubscriptionType>(pick(4)),
                                         static_cast<protocol::SubscriptionMode>(pick(2)),
                                         static_cast<protocol::StartKind>(pick(4)),
                                         static_cast<std::int64_t>(pick(100)),
                                         pick(4) == 0};
      case 8:
        return DeleteSubscriptionCommand{1 + pick(60), 1 + pick(60)};
      case 9:
        return CreateProducerCommand{1 + pick(60), name(), instance()};
      case 10:
        return OpenProducerCommand{1 + pick(60), name(), instance(), 1 + pick(3)};
      case 11:
        return DeleteProducerCommand{1 + pick(60), name(), {ProducerId{1 + pick(1'000)}}};
      default:
        return ReserveProducerIdsCommand{pick(1'000)};
    }
  }

  std::mt19937 random_;
  std::uint64_t next_id_ = 0;
};

}  // namespace andyx::server::test
