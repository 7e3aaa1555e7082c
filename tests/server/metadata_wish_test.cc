#include <doctest/doctest.h>

#include <random>

#include "data_generated.h"
#include "server/metadata/wish.h"
#include "tests/server/metadata_commands.h"

namespace andyx::server::test {
namespace {

using protocol::ProducerInstance;
using protocol::StartKind;
using protocol::SubscriptionMode;
using protocol::SubscriptionType;

const TopicName kTopic{"tenant", "product", "component", "topic"};

// One of each alternative, in their order, no field at its default.
const std::vector<Wish>& all_wishes() {
  static const std::vector<Wish> wishes{
      BootstrapCommand{{1, 2}},
      RegisterNodeCommand{3, {4, 5}, 6, "host", 7, 8, kBrokerRole, false},
      TopicProposal{kTopic, 8, IfExists::kAnswer, true, 2, true},
      TopicDeletion{kTopic},
      SubscriptionProposal{kTopic,
                           {0, "subscription", SubscriptionType::shared,
                            SubscriptionMode::nonresilient, StartKind::time, -9, true},
                           IfExists::kAnswer},
      SubscriptionDeletion{kTopic, "subscription"},
      ReserveProducerIdsCommand{10},
      TopicAlteration{kTopic, 11, 3},
      CreateScopeCommand{"tenant/product", "description"},
      DeleteScopeCommand{"tenant"},
      ActivateTenantCommand{"tenant", false},
      SetSettingsCommand{"tenant", {{"key", "value"}, {"other", ""}}},
      SetRetentionCommand{"tenant", RetentionPolicy{12, 13, 14}},
      ProducerProposal{kTopic, {0, "producer", ProducerInstance::single}},
      ProducerOpening{kTopic, {0, "producer", ProducerInstance::single, 15}},
      ProducerDeletion{kTopic, {0, "producer", {16, 17}}},
      NodeLostCommand{18, 19},
      NodeFoundCommand{20, 21},
      RemoveNodeCommand{22},
      DrainNodeCommand{23, false},
      PauseBalancingCommand{false},
      ChangeInSyncCommand{24, 25, {26, 27, 28, {{29, 30}, {31, 32}}}},
      ElectMainCommand{33, 34, 35, 36, true},
      ElectMainsCommand{37, {38, 39}},
      ChangeReplicasCommand{40, 41, 42, 43, 44, 45, true, 46},
      PartitionMove{kTopic, 47, 48, 49},
      PartitionElect{kTopic, 50, 51, true}};
  return wishes;
}

TEST_CASE("every kind of wish comes back as it was") {
  REQUIRE(all_wishes().size() == std::variant_size_v<Wish>);
  for (std::size_t i = 0; i < all_wishes().size(); ++i) {
    CAPTURE(i);
    const auto bytes = encode_wish(all_wishes()[i]);
    const auto decoded = decode_wish(bytes);
    REQUIRE(decoded);
    CHECK(decoded->index() == i);
    CHECK(encode_wish(*decoded) == bytes);
  }
}

TEST_CASE("a wish that comes back has the fields that it had") {
  const auto round = [](std::size_t index) {
    return *decode_wish(encode_wish(all_wishes()[index]));
  };
  const auto node = std::get<RegisterNodeCommand>(round(1));
  CHECK(node.node_id == 3);
  CHECK(node.disk_id == Uuid{4, 5});
  CHECK(node.incarnation == 6);
  CHECK(node.host == "host");
  CHECK(node.port == 7);
  CHECK(node.peer_port == 8);
  CHECK(node.roles == kBrokerRole);
  CHECK_FALSE(node.intact);
  const auto topic = std::get<TopicProposal>(round(2));
  CHECK(topic.name == kTopic);
  CHECK(topic.partitions == 8);
  CHECK(topic.if_exists == IfExists::kAnswer);
  CHECK(topic.automatic);
  CHECK(topic.replication_factor == 2);
  CHECK(topic.async);
  const auto subscription = std::get<SubscriptionProposal>(round(4));
  CHECK(subscription.command.type == SubscriptionType::shared);
  CHECK(subscription.command.mode == SubscriptionMode::nonresilient);
  CHECK(subscription.command.start_kind == StartKind::time);
  CHECK(subscription.command.start_value == -9);
  CHECK(subscription.command.key_ordered);
  const auto settings = std::get<SetSettingsCommand>(round(11));
  CHECK(settings.settings ==
        std::vector<std::pair<std::string, std::string>>{{"key", "value"}, {"other", ""}});
  CHECK(std::get<SetRetentionCommand>(round(12)).policy == RetentionPolicy{12, 13, 14});
  const auto none = decode_wish(encode_wish(SetRetentionCommand{"tenant", std::nullopt}));
  CHECK_FALSE(std::get<SetRetentionCommand>(*none).policy.has_value());
  CHECK(std::get<TopicAlteration>(round(7)).replication_factor == 3);
  const auto set = std::get<ChangeInSyncCommand>(round(21));
  CHECK(set.topic_id == 24);
  CHECK(set.partition == 25);
  CHECK(set.proposal == SetProposal{26, 27, 28, {{29, 30}, {31, 32}}});
  const auto elect = std::get<ElectMainCommand>(round(22));
  CHECK(elect.node == 35);
  CHECK(elect.main_epoch == 36);
  CHECK(elect.forced);
  CHECK(std::get<ElectMainsCommand>(round(23)).avoid == std::vector<NodeId>{38, 39});
  const auto copies = std::get<ChangeReplicasCommand>(round(24));
  CHECK(copies.version == 42);
  CHECK(copies.add == 43);
  CHECK(copies.remove == 44);
  CHECK(copies.demote == 45);
  CHECK(copies.observer);
  CHECK(copies.moving_from == 46);
  const auto move = std::get<PartitionMove>(round(25));
  CHECK(move.from == 48);
  CHECK(move.to == 49);
  CHECK(std::get<PartitionElect>(round(26)).forced);
  CHECK(std::get<ProducerDeletion>(round(15)).command.open_ids == std::vector<ProducerId>{16, 17});
}

TEST_CASE("damaged wishes are refused, or read as others, but never past their end") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  CHECK_FALSE(decode_wish({}));
  int refused = 0;
  for (int round = 0; round < 5'000; ++round) {
    auto bytes = encode_wish(all_wishes()[random() % all_wishes().size()]);
    bytes[random() % bytes.size()] ^= static_cast<std::uint8_t>(1u << random() % 8);
    if (random() % 2 == 0) bytes.resize(random() % bytes.size());
    if (const auto decoded = decode_wish(bytes)) {
      static_cast<void>(encode_wish(*decoded));
    } else {
      ++refused;
    }
  }
  CHECK(refused > 1'000);
}

}  // namespace
}  // namespace andyx::server::test
