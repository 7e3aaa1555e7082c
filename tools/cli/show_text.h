// Small shared pieces of show_*.cc. Any thread.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "protocol/base/names.h"

namespace andyx::cli {

using Json = nlohmann::ordered_json;

// On one line, LF at the end.
inline std::string json_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
}

// "tenant/product/component/topic" as the URL that every command accepts.
inline std::string topic_url(const std::string& path) {
  const Result<TopicName> name = TopicName::parse(path);
  return name ? name->url() : path;
}

inline std::string number(std::uint64_t value) { return std::to_string(value); }

// What the node that answered adds to its answer, on a line of its own; nothing for nothing.
inline std::string note_line(const std::string& note) {
  return note.empty() ? std::string() : "note: " + note + '\n';
}

template <typename Numbers>
std::string number_list(const Numbers& numbers) {
  std::string text;
  for (const auto value : numbers) {
    if (!text.empty()) text += ',';
    text += std::to_string(value);
  }
  return text;
}

}  // namespace andyx::cli
