#include "tools/cli/show.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

using namespace andyx;

TEST_CASE("topic describe lists partitions with the names that scripts rely on") {
  client::TopicInfo topic;
  topic.topic = "default/default/default/t";
  topic.topic_id = 7;
  topic.partitions.resize(2);
  topic.partitions[1].partition = 1;
  topic.partitions[1].main = 1;
  topic.partitions[1].start_offset = 5;
  topic.partitions[1].committed_offset = 9;
  const std::string text = cli::topic_json(topic);
  CHECK(text.find('\n') == text.size() - 1);
  const auto json = nlohmann::json::parse(text);
  CHECK(json["topic"] == "andyx://default/default/default/t");
  REQUIRE(json["partitions"].size() == 2);
  const auto& partition = json["partitions"][1];
  CHECK(partition["partition"] == 1);
  CHECK(partition["main"] == 1);
  CHECK(partition["start_offset"] == 5);
  CHECK(partition["committed_offset"] == 9);
  CHECK(nlohmann::json::parse(cli::topics_json({topic}))["topics"][0]["partition_count"] == 2);
}

TEST_CASE("a subscription's lag is the sum of its partitions") {
  client::SubscriptionInfo subscription;
  subscription.topic = "a/b/c/t";
  subscription.name = "s";
  subscription.mode = client::SubscriptionMode::kNonresilient;
  subscription.partitions.resize(2);
  subscription.partitions[0].lag_messages = 3;
  subscription.partitions[1].lag_messages = 4;
  const auto json = nlohmann::json::parse(cli::subscription_json(subscription));
  CHECK(json["lag_messages"] == 7);
  CHECK(json["type"] == "unique");
  CHECK(json["mode"] == "nonresilient");
  CHECK(json["partitions"][1]["lag_messages"] == 4);
}
