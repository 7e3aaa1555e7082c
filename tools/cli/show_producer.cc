#include "tools/cli/show.h"
#include "tools/cli/show_text.h"
#include "tools/common/choices.h"
#include "tools/common/table.h"
#include "tools/common/time_text.h"

namespace andyx::cli {
namespace {

Json json_of(const client::ProducerInfo& producer) {
  Json json{{"producer", producer.name},
            {"instance", tools::instance_choices().word_of(producer.instance)},
            {"created", tools::format_time(producer.created_us)},
            {"connected", producer.note.empty() ? Json(producer.connected) : Json(nullptr)},
            {"note", producer.note}};
  if (producer.instance == client::ProducerInstance::kSingle) {
    json["producer_id"] = producer.producer_id;
    json["producer_epoch"] = producer.producer_epoch;
  }
  return json;
}

}  // namespace

std::string producers_table(const std::vector<client::ProducerInfo>& producers) {
  tools::Table table({"PRODUCER", "INSTANCE", ">ID", ">EPOCH", ">CONNECTED", "CREATED"});
  for (const client::ProducerInfo& p : producers) {
    const bool single = p.instance == client::ProducerInstance::kSingle;
    table.add({p.name, std::string(tools::instance_choices().word_of(p.instance)),
               single ? number(p.producer_id) : "-", single ? number(p.producer_epoch) : "-",
               p.note.empty() ? number(p.connected) : "-", tools::format_time(p.created_us)});
  }
  const std::string note = producers.empty() ? std::string() : producers.front().note;
  return note_line(note.empty() ? note : "who is connected is not known: " + note) + table.text();
}

std::string producers_json(const std::vector<client::ProducerInfo>& producers) {
  Json json{{"producers", Json::array()}};
  for (const client::ProducerInfo& producer : producers)
    json["producers"].push_back(json_of(producer));
  return json_line(json);
}

std::string producer_table(const client::ProducerInfo& producer) {
  return producers_table({producer});
}

std::string producer_json(const client::ProducerInfo& producer) {
  return json_line(json_of(producer));
}

}  // namespace andyx::cli
