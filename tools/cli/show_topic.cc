#include <map>

#include "tools/cli/show.h"
#include "tools/cli/show_text.h"
#include "tools/common/table.h"
#include "tools/common/time_text.h"

namespace andyx::cli {
namespace {

Json summary(const client::TopicInfo& topic) {
  return Json{{"topic", topic_url(topic.topic)},
              {"topic_id", topic.topic_id},
              {"created", tools::format_time(topic.created_us)},
              {"partition_count", topic.partitions.size()}};
}

std::string list_or_none(const std::vector<NodeId>& nodes) {
  return nodes.empty() ? "-" : number_list(nodes);
}

// How far each copy is durable: "1:500,2:498,3:?".
std::string durable_text(const client::PartitionInfo& partition) {
  std::string text;
  for (std::size_t i = 0; i < partition.replicas.size(); ++i) {
    const bool known =
        i < partition.replica_offsets.size() && partition.replica_offsets[i] != kNoOffset;
    if (i > 0) text += ',';
    text += number(partition.replicas[i]) + ':';
    text += known ? number(partition.replica_offsets[i]) : "?";
  }
  return text;
}

// In the order of the replicas; null where the main does not know.
Json replica_offsets(const client::PartitionInfo& partition) {
  Json offsets = Json::array();
  for (const Offset offset : partition.replica_offsets)
    offsets.push_back(offset == kNoOffset ? Json(nullptr) : Json(offset));
  return offsets;
}

// What an ack at quorum is worth where it is less than people expect; empty: nothing to say.
std::string quorum_note(const client::PartitionInfo& partition) {
  const std::size_t members = partition.replicas.size() - partition.observers.size();
  if (members == 1 && partition.replicas.size() > 1) return "main only";
  if (members > 1 && partition.min_in_sync == 1) return "may be one disk";
  return {};
}

// "quorum = main only (partitions 0,1)", a line for each kind of note.
std::string quorum_lines(const client::TopicInfo& topic) {
  std::map<std::string, std::vector<std::uint32_t>> noted;
  for (const client::PartitionInfo& p : topic.partitions)
    if (auto note = quorum_note(p); !note.empty()) noted[std::move(note)].push_back(p.partition);
  std::string text;
  for (const auto& [note, partitions] : noted) {
    text += "quorum = " + note;
    text += partitions.size() == topic.partitions.size()
                ? "\n"
                : " (partitions " + number_list(partitions) + ")\n";
  }
  return text;
}

// What is missing in the table, and why: one line for each reason.
std::string missing_lines(const client::TopicInfo& topic) {
  std::map<std::string, std::vector<std::uint32_t>> by_reason;
  for (const client::PartitionInfo& p : topic.partitions) {
    if (!p.note.empty()) by_reason[p.note].push_back(p.partition);
  }
  std::string lines;
  for (const auto& [reason, partitions] : by_reason)
    lines +=
        note_line("offsets of partitions " + number_list(partitions) + " are not known: " + reason);
  return lines;
}

}  // namespace

std::string topic_table(const client::TopicInfo& topic) {
  tools::Table table({">PARTITION", ">MAIN", ">EPOCH", "REPLICAS", "IN-SYNC", ">MIN", "ELIGIBLE",
                      "OBSERVERS", ">START", ">COMMITTED", "DURABLE", ">MESSAGES", ">BYTES"});
  for (const client::PartitionInfo& p : topic.partitions) {
    table.add({number(p.partition), number(p.main), number(p.main_epoch), number_list(p.replicas),
               number_list(p.in_sync), number(p.min_in_sync), list_or_none(p.eligible),
               list_or_none(p.observers), number(p.start_offset), number(p.committed_offset),
               durable_text(p), number(p.committed_offset - p.start_offset), number(p.bytes)});
  }
  return topic_url(topic.topic) + "  id " + number(topic.topic_id) + "  created " +
         tools::format_time(topic.created_us) + '\n' + missing_lines(topic) + table.text() +
         quorum_lines(topic);
}

std::string topic_json(const client::TopicInfo& topic) {
  Json json = summary(topic);
  json["partitions"] = Json::array();
  for (const client::PartitionInfo& p : topic.partitions) {
    json["partitions"].push_back(Json{{"partition", p.partition},
                                      {"partition_id", p.partition_id},
                                      {"main", p.main},
                                      {"main_epoch", p.main_epoch},
                                      {"version", p.version},
                                      {"replicas", p.replicas},
                                      {"in_sync", p.in_sync},
                                      {"min_in_sync", p.min_in_sync},
                                      {"quorum_note", quorum_note(p)},
                                      {"eligible", p.eligible},
                                      {"observers", p.observers},
                                      {"start_offset", p.start_offset},
                                      {"committed_offset", p.committed_offset},
                                      {"replica_offsets", replica_offsets(p)},
                                      {"bytes", p.bytes},
                                      {"note", p.note}});
  }
  return json_line(json);
}

std::string topics_table(const std::vector<client::TopicInfo>& topics) {
  tools::Table table({"TOPIC", ">PARTITIONS", "CREATED"});
  for (const client::TopicInfo& topic : topics) {
    table.add({topic_url(topic.topic), number(topic.partitions.size()),
               tools::format_time(topic.created_us)});
  }
  return table.text();
}

std::string topics_json(const std::vector<client::TopicInfo>& topics) {
  Json json{{"topics", Json::array()}};
  for (const client::TopicInfo& topic : topics) json["topics"].push_back(summary(topic));
  return json_line(json);
}

}  // namespace andyx::cli
