#include <doctest/doctest.h>

#include <set>

#include "protocol/base/limits.h"
#include "server/metadata/snapshot.h"
#include "tests/server/metadata_commands.h"

namespace andyx::server::test {
namespace {

ErrorCode code_of(const Outcome& outcome) {
  return outcome.status ? ErrorCode::kOk : outcome.status.error().code;
}

// All that a refused command may not change.
void check_only_position_moved(const Image& before, const Image& after) {
  Image moved_back = after;
  moved_back.position = before.position;
  moved_back.chain_hash = before.chain_hash;
  CHECK(moved_back.hash() == before.hash());
  CHECK(after.position == before.position + 1);
}

TEST_CASE("the same random entries give the same image, also across a snapshot") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  RandomCommands commands(seed);
  History history = History::with_node();
  std::vector<std::uint64_t> hashes;
  std::size_t accepted = 0, refused = 0;
  for (int step = 0; step < 3'000; ++step) {
    const auto before = history.shared();
    const auto [command, id] = commands.next();
    const Outcome outcome = history.apply(command, id);
    outcome.status ? ++accepted : ++refused;
    if (!outcome.status) check_only_position_moved(*before, history.image());
  }
  CHECK(accepted > 300);
  CHECK(refused > 300);

  History again;
  const std::size_t middle = history.entries().size() / 2;
  for (std::size_t i = 0; i < history.entries().size(); ++i) {
    if (i == middle) {
      auto restored = decode_snapshot(encode_snapshot(again.image()));
      REQUIRE(restored);
      CHECK((*restored)->hash() == again.image().hash());
      for (const Topic& topic : again.image().topics) {
        CHECK((*restored)->find_topic(topic.id)->effective == topic.effective);
      }
      again = History(*restored);
    }
    again.replay(history.entries()[i]);
  }
  CHECK(again.image().hash() == history.image().hash());
  CHECK(encode_snapshot(again.image()) == encode_snapshot(history.image()));
}

TEST_CASE("ids are never reused after a delete") {
  History history = History::with_node();
  std::set<TopicId> topics;
  std::set<PartitionId> partitions;
  std::set<SubscriptionId> subscriptions;
  for (int round = 0; round < 5; ++round) {
    const Outcome created = history.create_topic("t", 3);
    REQUIRE(created.status);
    const auto topic = history.image().find_topic(static_cast<TopicId>(created.result));
    REQUIRE(topic);
    CHECK(topics.insert(topic->id).second);
    for (const auto& partition : topic->partitions()) {
      CHECK(partitions.insert(partition.partition_id).second);
    }
    for (int i = 0; i < 2; ++i) {
      const Outcome subscribed = history.create_subscription(topic->id, "s");
      REQUIRE(subscribed.status);
      const auto id = static_cast<SubscriptionId>(subscribed.result);
      CHECK(subscriptions.insert(id).second);
      REQUIRE(history.apply(DeleteSubscriptionCommand{topic->id, id}).status);
    }
    REQUIRE(history.apply(DeleteTopicCommand{topic->id}).status);
    CHECK(history.image().partition_count == 0);
    CHECK(history.image().subscription_count == 0);
  }
  const Outcome first = history.apply(ReserveProducerIdsCommand{100});
  const Outcome second = history.apply(ReserveProducerIdsCommand{1});
  CHECK(first.result == 1);
  CHECK(second.result == 101);
}

TEST_CASE("a created topic has its partitions on the nodes of its placement") {
  History history = History::with_node();
  REQUIRE(history.apply(RegisterNodeCommand{2, {1, 2}, 1, "localhost", 6541}).status);
  const Outcome created =
      history.apply(CreateTopicCommand{topic_name("t"), 2, 2, {NodeId{1}, 2, 2, 1}});
  REQUIRE(created.status);
  const auto topic = history.image().find_topic(topic_name("t"));
  REQUIRE(topic);
  CHECK(topic == history.image().find_topic(static_cast<TopicId>(created.result)));
  const PartitionRecord* partition = history.image().find_partition(topic->id, 1);
  REQUIRE(partition != nullptr);
  CHECK(partition->main == 2);
  CHECK(partition->index == 1);
  CHECK(partition->main_epoch == 1);
  CHECK(partition->replicas == std::vector<NodeId>{2, 1});
  CHECK(partition->in_sync == std::vector<NodeId>{2, 1});
  CHECK(history.image().find_partition(topic->id, 2) == nullptr);
  CHECK(history.image().find_partition(topic->id + 1, 0) == nullptr);
  // Node 3 does not exist; node 1 twice; three copies for two partitions of two.
  CHECK(code_of(history.apply(CreateTopicCommand{topic_name("u"), 1, 1, {3}})) ==
        ErrorCode::kBadArgument);
  CHECK(code_of(history.apply(CreateTopicCommand{topic_name("u"), 1, 2, {1, 1}})) ==
        ErrorCode::kBadArgument);
  CHECK(code_of(history.apply(CreateTopicCommand{topic_name("u"), 2, 2, {1, 2, 1}})) ==
        ErrorCode::kBadArgument);
}

TEST_CASE("a repeated command id changes nothing and gives the first answer") {
  History history = History::with_node();
  const CreateTopicCommand command{topic_name("t"), 1, 1, {1}};
  const Outcome first = history.apply(command, {1, 1});
  const auto before = history.shared();
  const Outcome second = history.apply(command, {1, 1});
  CHECK(second.status);
  CHECK(second.result == first.result);
  check_only_position_moved(*before, history.image());

  REQUIRE(history.apply(ReserveProducerIdsCommand{10}, {1, 2}).result == 1);
  REQUIRE(history.apply(ReserveProducerIdsCommand{10}, {1, 2}).result == 1);
  CHECK(history.image().next_producer_id == 11);
}

TEST_CASE("a refused command's id is not remembered: it may succeed later") {
  History history = History::with_node();
  CHECK(code_of(history.apply(DeleteTopicCommand{1}, {1, 1})) == ErrorCode::kUnknownTopic);
  REQUIRE(history.create_topic("t").result == 1);
  CHECK(code_of(history.apply(DeleteTopicCommand{1}, {1, 1})) == ErrorCode::kOk);
  CHECK(history.image().topics.empty());
}

TEST_CASE("the memory of command ids is bounded and forgets the oldest") {
  History history = History::with_node();
  for (std::uint32_t i = 0; i < limits::kCommandsRemembered + 10; ++i) {
    REQUIRE(history.apply(ReserveProducerIdsCommand{1}, {2, i + 1}).status);
  }
  CHECK(history.image().commands.size() == limits::kCommandsRemembered);
  CHECK(history.image().commands_by_position.size() == limits::kCommandsRemembered);
  CHECK_FALSE(history.image().commands.find(Uuid{2, 10}));
  CHECK(history.image().commands.find(Uuid{2, 11}));
}

TEST_CASE("bad names, values out of range and conflicts are refused with their own codes") {
  History history = History::with_node();
  CHECK(code_of(history.create_topic(".hidden")) == ErrorCode::kBadName);
  CHECK(code_of(history.create_topic("")) == ErrorCode::kBadName);
  CHECK(code_of(history.create_topic(std::string(129, 'x'))) == ErrorCode::kBadName);
  CHECK(code_of(history.apply(CreateTopicCommand{{"a b", "p", "c", "t"}, 1, 1, {1}})) ==
        ErrorCode::kBadName);
  CHECK(code_of(history.create_topic("t", 0)) == ErrorCode::kBadArgument);
  CHECK(code_of(history.create_topic("t", limits::kMaxPartitionsPerTopic + 1)) ==
        ErrorCode::kBadArgument);
  REQUIRE(history.create_topic("t").status);
  CHECK(code_of(history.create_topic("t")) == ErrorCode::kTopicExists);

  using protocol::SubscriptionMode;
  using protocol::SubscriptionType;
  const CreateSubscriptionCommand good{
      1, "s", SubscriptionType::unique, SubscriptionMode::resilient, {}, 0};
  REQUIRE(history.apply(good).status);
  CHECK(code_of(history.apply(good)) == ErrorCode::kSubscriptionExists);
  auto other = good;
  other.mode = SubscriptionMode::nonresilient;
  CHECK(code_of(history.apply(other)) == ErrorCode::kSubscriptionConflict);
  other = good;
  other.type = SubscriptionType::shared;
  CHECK(code_of(history.apply(other)) == ErrorCode::kSubscriptionConflict);
  other = good;
  other.type = SubscriptionType::shared;
  other.name = "ordered";
  REQUIRE(history.apply(other).status);
  other.key_ordered = true;
  CHECK(code_of(history.apply(other)) == ErrorCode::kSubscriptionConflict);
  other.name = "unique";
  other.type = SubscriptionType::unique;
  CHECK(code_of(history.apply(other)) == ErrorCode::kBadArgument);
  other = good;
  other.name = "bad/name";
  CHECK(code_of(history.apply(other)) == ErrorCode::kBadName);
  other = good;
  other.name = "s2";
  other.type = static_cast<SubscriptionType>(9);
  CHECK(code_of(history.apply(other)) == ErrorCode::kBadArgument);
  other = good;
  other.name = "s2";
  other.start_value = -1;
  CHECK(code_of(history.apply(other)) == ErrorCode::kBadArgument);
  other = good;
  other.topic_id = 17;
  CHECK(code_of(history.apply(other)) == ErrorCode::kUnknownTopic);
  CHECK(code_of(history.apply(DeleteSubscriptionCommand{1, 9})) == ErrorCode::kUnknownSubscription);
  CHECK(code_of(history.apply(ReserveProducerIdsCommand{0})) == ErrorCode::kBadArgument);
  CHECK(code_of(history.apply(BootstrapCommand{{8, 8}})) == ErrorCode::kBadArgument);
}

TEST_CASE("the partitions of a cluster are bounded by its nodes") {
  History history = History::with_node();
  const std::uint32_t each = limits::kMaxPartitionsPerTopic;
  for (std::uint32_t i = 0; i < limits::kMaxPartitionsPerNode / each; ++i) {
    REQUIRE(history.create_topic("t" + std::to_string(i), each).status);
  }
  CHECK(code_of(history.create_topic("one-more")) == ErrorCode::kLimitReached);
  REQUIRE(history.apply(DeleteTopicCommand{1}).status);
  CHECK(code_of(history.create_topic("one-more")) == ErrorCode::kOk);
}

TEST_CASE("a new incarnation raises the epochs of what the node leads, and only that") {
  History history = History::with_node();
  REQUIRE(history.apply(RegisterNodeCommand{2, {1, 2}, 1, "localhost", 6541}).status);
  REQUIRE(history.apply(CreateTopicCommand{topic_name("both"), 2, 1, {1, 2}}).status);
  REQUIRE(history.apply(CreateTopicCommand{topic_name("other"), 1, 1, {2}}).status);
  const auto before = history.shared();

  REQUIRE(history.apply(RegisterNodeCommand{1, {1, 1}, 1, "localhost", 7000}).status);
  CHECK(history.image().find_topic(topic_name("both")) == before->find_topic(topic_name("both")));
  CHECK(history.image().find_node(1)->port == 7000);

  REQUIRE(history.apply(RegisterNodeCommand{1, {1, 1}, 2, "localhost", 6540}).status);
  const auto both = history.image().find_topic(topic_name("both"));
  CHECK(both == history.image().find_topic(both->id));
  CHECK(both->partitions()[0].main_epoch == 2);
  CHECK(both->partitions()[0].version == 2);
  CHECK(both->partitions()[1].main_epoch == 1);
  CHECK(history.image().find_topic(topic_name("other")) == before->find_topic(topic_name("other")));
}

TEST_CASE("a node that comes back with another disk is refused") {
  History history = History::with_node();
  const Outcome outcome = history.apply(RegisterNodeCommand{1, {1, 9}, 2, "localhost", 6540});
  CHECK(code_of(outcome) == ErrorCode::kNodeConflict);
  CHECK(history.image().find_node(1)->incarnation == 1);
}

TEST_CASE("an entry that does not belong here stops the following of the log") {
  History history = History::with_node();
  const Image& image = history.image();
  const Command command = ReserveProducerIdsCommand{1};
  const auto refusal = [&](const EntryHead& head) {
    const auto applied = apply_entry(image, encode_entry(head, command));
    return applied ? ErrorCode::kOk : applied.error().code;
  };
  CHECK(refusal({{1, 1}, image.cluster_id, 0, image.chain_hash}) == ErrorCode::kOk);
  CHECK(refusal({{1, 1}, image.cluster_id, 0, image.chain_hash + 1}) == ErrorCode::kCorrupt);
  CHECK(refusal({{1, 1}, {8, 8}, 0, image.chain_hash}) == ErrorCode::kWrongCluster);
  const auto unbootstrapped = apply_entry(Image{}, encode_entry({{1, 1}, {}, 0, 0}, command));
  REQUIRE_FALSE(unbootstrapped);
  CHECK(unbootstrapped.error().code == ErrorCode::kCorrupt);
}

TEST_CASE("damaged entry bytes are refused, or do not continue the chain, and never crash") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  History history = History::with_node();
  const EntryBytes good =
      encode_entry({{1, 1}, history.image().cluster_id, 0, history.image().chain_hash},
                   CreateTopicCommand{topic_name("t"), 2, 1, {1, 1}});
  for (int round = 0; round < 20'000; ++round) {
    EntryBytes bad = good;
    if (round % 4 == 0) bad.resize(random() % bad.size());
    for (int flips = 0; flips < 3 && !bad.empty(); ++flips) {
      bad[random() % bad.size()] ^= static_cast<std::uint8_t>(1 + random() % 255);
    }
    const auto applied = apply_entry(history.image(), bad);
    if (applied) CHECK(applied->image->chain_hash != hash_of_entry(good));
  }
}

TEST_CASE("readers of a published image are not disturbed by the next ones") {
  History history = History::with_node();
  REQUIRE(history.create_topic("kept").status);
  const auto old = history.shared();
  const auto hash = old->hash();
  for (int i = 0; i < 500; ++i) REQUIRE(history.create_topic("t" + std::to_string(i)).status);
  REQUIRE(history.apply(DeleteTopicCommand{1}).status);
  CHECK(old->hash() == hash);
  CHECK(old->topics.size() == 1);
  CHECK(old->find_topic(topic_name("kept")));
  CHECK_FALSE(history.image().find_topic(topic_name("kept")));
}

}  // namespace
}  // namespace andyx::server::test
