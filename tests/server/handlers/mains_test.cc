#include "server/handlers/mains.h"

#include <doctest/doctest.h>

#include "server/loop/image_waiters.h"
#include "server/subscription/coordinator.h"

namespace andyx::server {
namespace {

Topic topic_with_mains(const std::vector<NodeId>& mains) {
  Topic topic;
  std::vector<PartitionRecord> partitions;
  for (std::uint32_t index = 0; index < mains.size(); ++index) {
    PartitionRecord record;
    record.index = index;
    record.main = mains[index];
    partitions.push_back(std::move(record));
  }
  topic.set_partitions(std::move(partitions));
  return topic;
}

TEST_CASE("partitions are asked for at their mains, and those without one stand apart") {
  const Topic topic = topic_with_mains({2, 1, 0, 2});
  CHECK(shares_of_mains(topic) == std::vector<MainShare>{{0, {2}}, {1, {1}}, {2, {0, 3}}});
  CHECK(shares_of_mains(topic, 1, 3) == std::vector<MainShare>{{0, {2}}, {1, {1}}});
  CHECK(shares_of_mains(topic, 4).empty());
}

TEST_CASE("a node that is not main names the one that is, or says that there is none") {
  const Topic topic = topic_with_mains({2, 0});
  CHECK(check_main(topic.partitions()[0], 2, "it"));
  const auto elsewhere = check_main(topic.partitions()[0], 1, "the coordinator");
  REQUIRE_FALSE(elsewhere.has_value());
  CHECK(elsewhere.error().code == ErrorCode::kNotMain);
  CHECK(elsewhere.error().node == 2);
  CHECK(elsewhere.error().message.find("node 2") != std::string::npos);
  const auto nowhere = check_main(topic.partitions()[1], 1, "the coordinator");
  REQUIRE_FALSE(nowhere.has_value());
  CHECK(nowhere.error().node == 0);
  CHECK(nowhere.error().retriable());
}

TEST_CASE("only what another main may answer otherwise is asked again") {
  for (const auto code : {ErrorCode::kNotMain, ErrorCode::kUnreachable, ErrorCode::kConnectionLost,
                          ErrorCode::kTimedOut, ErrorCode::kShuttingDown})
    CHECK(ask_again(code));
  for (const auto code : {ErrorCode::kUnknownSubscription, ErrorCode::kDiskFull,
                          ErrorCode::kUnknownTopic, ErrorCode::kBadArgument})
    CHECK_FALSE(ask_again(code));
}

TEST_CASE("a later main epoch's coordinator gives higher epochs, however many came before") {
  const std::uint64_t grants = std::uint64_t{1} << 37;
  CHECK(first_coordinator_epoch(2) > first_coordinator_epoch(1) + grants);
  CHECK(first_coordinator_epoch((1u << 26) - 1) > first_coordinator_epoch((1u << 26) - 2) + grants);
}

TEST_CASE("who waits for an image is told when it is there, or when the time is up") {
  ImageWaiters waiters;
  std::vector<std::string> story;
  const auto wait = [&](Position version, std::uint64_t until_ms) {
    waiters.add(version, until_ms, [&story, version](bool reached) {
      story.push_back(std::to_string(version) + (reached ? " reached" : " late"));
    });
  };
  wait(5, 100);
  wait(7, 200);
  waiters.moved(4);
  waiters.expire(99);
  CHECK(story.empty());
  waiters.moved(6);
  CHECK(story == std::vector<std::string>{"5 reached"});
  waiters.expire(200);
  CHECK(story.back() == "7 late");
  waiters.moved(9);
  CHECK(story.size() == 2);
}

}  // namespace
}  // namespace andyx::server
