#include "tools/cli/show.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tools/common/time_text.h"

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
  topic.partitions[1].replicas = {1, 2, 3};
  topic.partitions[1].in_sync = {1, 2};
  topic.partitions[1].eligible = {3};
  topic.partitions[1].observers = {4};
  topic.partitions[1].min_in_sync = 2;
  topic.partitions[1].replica_offsets = {12, 9, kNoOffset};
  topic.partitions[0].note = "node 2 does not answer";
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
  CHECK(partition["eligible"] == nlohmann::json{3});
  CHECK(partition["observers"] == nlohmann::json{4});
  CHECK(partition["min_in_sync"] == 2);
  CHECK(partition["replica_offsets"] == nlohmann::json{12, 9, nullptr});
  const std::string table = cli::topic_table(topic);
  CHECK(table.find("1:12,2:9,3:?") != std::string::npos);
  CHECK(table.find("note: offsets of partitions 0 are not known: node 2 does not answer\n") !=
        std::string::npos);
  CHECK(json["partitions"][0]["note"] == "node 2 does not answer");
  CHECK(partition["note"] == "");
  CHECK(nlohmann::json::parse(cli::topics_json({topic}))["topics"][0]["partition_count"] == 2);
}

TEST_CASE("subscription describe shows who is attached, where it is active, and what waits") {
  client::SubscriptionInfo subscription;
  subscription.topic = "a/b/c/t";
  subscription.name = "s";
  subscription.type = client::SubscriptionType::kShared;
  subscription.key_ordered = true;
  subscription.consumers = {{.name = "one",
                             .address = "127.0.0.1:5",
                             .priority = -3,
                             .attached_us = 1'000'000,
                             .active = {0, 1, 2, 5}},
                            {.name = "two", .address = "127.0.0.1:6"}};
  subscription.partitions.resize(1);
  subscription.partitions[0].attached_consumer = "one,two";
  subscription.partitions[0].delayed = 11;
  subscription.partitions[0].dead_lettered = 12;
  subscription.partitions[0].lag_bytes = 13;
  subscription.partitions[0].lag_ms = 1'450;
  const auto json = nlohmann::json::parse(cli::subscription_json(subscription));
  CHECK(json["key_ordered"] == true);
  REQUIRE(json["consumers"].size() == 2);
  CHECK(json["consumers"][0]["consumer"] == "one");
  CHECK(json["consumers"][0]["address"] == "127.0.0.1:5");
  CHECK(json["consumers"][0]["priority"] == -3);
  CHECK(json["consumers"][0]["attached"] == "1970-01-01T00:00:01.000000Z");
  CHECK(json["consumers"][0]["active"] == nlohmann::json{0, 1, 2, 5});
  CHECK(json["consumers"][1]["active"].empty());
  const auto& partition = json["partitions"][0];
  CHECK(partition["consumer"] == "one,two");
  CHECK(partition["delayed"] == 11);
  CHECK(partition["dead_lettered"] == 12);
  CHECK(partition["lag_bytes"] == 13);
  CHECK(partition["lag_ms"] == 1'450);
  const std::string table = cli::subscription_table(subscription);
  CHECK(table.find("shared, key-ordered") != std::string::npos);
  CHECK(table.find("0-2,5") != std::string::npos);
  CHECK(table.find("1.4s") != std::string::npos);
}

TEST_CASE("what an answer lacks is shown with its reason, not as nothing") {
  client::SubscriptionInfo subscription;
  subscription.topic = "a/b/c/t";
  subscription.name = "s";
  subscription.note = "node 3 is away";
  CHECK(cli::subscription_table(subscription)
            .find("note: who is attached is not known: node 3 is away\n") != std::string::npos);
  CHECK(nlohmann::json::parse(cli::subscription_json(subscription))["note"] == "node 3 is away");
  client::ProducerInfo producer;
  producer.name = "p";
  CHECK(nlohmann::json::parse(cli::producer_json(producer))["connected"] == 0);
  CHECK(cli::producer_table(producer).find("note") == std::string::npos);
  producer.note = "node 3 is away";
  const auto json = nlohmann::json::parse(cli::producer_json(producer));
  CHECK(json["connected"].is_null());
  CHECK(json["note"] == "node 3 is away");
  CHECK(cli::producers_table({producer})
            .find("note: who is connected is not known: node 3 is away\n") != std::string::npos);
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

TEST_CASE("node status shows the CPU time that the server used") {
  client::NodeStatus node;
  node.cpu_us = 61'500'000;
  CHECK(nlohmann::json::parse(cli::node_json(node))["cpu_us"] == 61'500'000);
  CHECK(cli::node_table(node).find("CPU " + tools::format_duration_ms(61'500)) !=
        std::string::npos);
}

TEST_CASE("cluster status: what is not known is not shown as a number") {
  client::ClusterStatus cluster;
  cluster.cluster_id = "c";
  cluster.status = "partially-online";
  cluster.controller = 1;
  cluster.voters = {1, 2, 3};
  cluster.partitions = 12;
  cluster.under_replicated = 4;
  cluster.moves = 1;
  cluster.note = "1 node is offline";
  cluster.nodes.resize(2);
  cluster.nodes[0] = {.node_id = 1,
                      .host = "h",
                      .port = 6540,
                      .peer_port = 7540,
                      .roles = client::kRoleBroker | client::kRoleMetadata,
                      .status = "online",
                      .alive = true,
                      .controller = true,
                      .voter = true,
                      .version = 9,
                      .mains = 5,
                      .copies = 7,
                      .bytes_in = 1'000,
                      .in_rate = 5'000'000,
                      .disk_bytes = 2'000};
  cluster.nodes[1] = {.node_id = 2, .host = "i", .port = 6541, .status = "offline"};
  cluster.nodes[1].note = "is ill";
  const auto json = nlohmann::json::parse(cli::cluster_json(cluster));
  CHECK(json["status"] == "partially-online");
  CHECK(json["voters"] == nlohmann::json{1, 2, 3});
  CHECK(json["under_replicated"] == 4);
  CHECK(json["note"] == "1 node is offline");
  REQUIRE(json["nodes"].size() == 2);
  CHECK(json["nodes"][0]["roles"] == nlohmann::json{"broker", "metadata"});
  CHECK(json["nodes"][0]["bytes_in"] == 1'000);
  CHECK(json["nodes"][0]["in_rate"] == 5'000'000);
  CHECK(json["nodes"][1]["out_rate"].is_null());
  CHECK(json["nodes"][0]["copies"] == 7);
  CHECK(json["nodes"][1]["version"].is_null());
  CHECK(json["nodes"][1]["disk_bytes"].is_null());
  CHECK(json["nodes"][0]["note"] == "");
  CHECK(json["nodes"][1]["note"] == "is ill");
  CHECK(nlohmann::json::parse(cli::cluster_nodes_json(cluster))["nodes"] == json["nodes"]);
  const std::string table = cli::cluster_table(cluster);
  for (const char* text :
       {"c is partially-online", "voters 1,2,3", "4 under-replicated", "1 copy is moving",
        "note: 1 node is offline", "note: node 2 is ill\n", "h:6540", "controller"}) {
    CAPTURE(text);
    CHECK(table.find(text) != std::string::npos);
  }
  CHECK(cli::cluster_nodes_table(cluster).find("broker,metadata") != std::string::npos);
}

TEST_CASE("what balancing goes by, and what is off by it") {
  client::ClusterStatus cluster;
  cluster.controller = 1;
  CHECK(cli::balance_report(cluster).find("no node is off") != std::string::npos);
  cluster.by_traffic = true;
  cluster.uneven = {{.node_id = 2, .copies = false, .score = 167, .number = 100, .measured = 233},
                    {.node_id = 3, .copies = true, .score = 50, .number = 50, .measured = 100}};
  const std::string report = cli::balance_report(cluster);
  for (const char* text :
       {"balancing is on", "mains are spread by number and traffic, copies by number",
        "node 2: mains 167 % of the average (number 100 %, traffic 233 %)",
        "node 3: copies 50 % of the average (number 50 %)"}) {
    CAPTURE(text);
    CHECK(report.find(text) != std::string::npos);
  }
  CHECK(report.find("no node is off") == std::string::npos);
  const auto json = nlohmann::json::parse(cli::balance_json(cluster));
  CHECK(json["mains_by"] == nlohmann::json{"number", "traffic"});
  CHECK(json["copies_by"] == nlohmann::json{"number"});
  CHECK(json["uneven"][0]["of"] == "mains");
  CHECK(json["uneven"][0]["measured_percent"] == 233);
  CHECK(json["uneven"][1]["measured_percent"].is_null());
}
