#include "tools/cli/message_text.h"

#include <charconv>
#include <span>

#include "tools/common/json_text.h"
#include "tools/common/time_text.h"

namespace andyx::cli {
namespace {

void append_number(std::string& out, std::uint64_t number) {
  char text[24];
  const auto end = std::to_chars(text, text + sizeof text, number).ptr;
  out.append(text, static_cast<std::size_t>(end - text));
}

// Only the last of several headers with one name is shown: a JSON object has each name once.
bool is_last_of_its_name(std::span<const client::Header> headers, std::size_t index) {
  for (std::size_t i = index + 1; i < headers.size(); ++i) {
    if (headers[i].name == headers[index].name) return false;
  }
  return true;
}

// `"headers":{…}` of those whose value is UTF-8, or `"headers_base64":{…}` of the others.
void append_headers(std::string& out, std::span<const client::Header> headers, bool utf8) {
  bool first = true;
  for (std::size_t i = 0; i < headers.size(); ++i) {
    if (tools::is_utf8(headers[i].value) != utf8 || !is_last_of_its_name(headers, i)) continue;
    out += first ? (utf8 ? ",\"headers\":{" : ",\"headers_base64\":{") : ",";
    first = false;
    tools::append_json_string(out, headers[i].name);
    out += ':';
    if (utf8) {
      tools::append_json_string(out, headers[i].value);
    } else {
      out += '"';
      tools::append_base64(out, headers[i].value);
      out += '"';
    }
  }
  if (!first) out += '}';
}

void append_json(std::string& out, const client::Message& message) {
  out += "{\"partition\":";
  append_number(out, message.partition);
  out += ",\"offset\":";
  append_number(out, message.offset);
  out += ",\"append_time\":\"";
  tools::append_time(out, message.append_time_us);
  out += "\",\"time\":\"";
  tools::append_time(out, message.time_us);
  out += '"';
  if (message.deliver_at_us != 0) {
    out += ",\"deliver_at\":\"";
    tools::append_time(out, message.deliver_at_us);
    out += '"';
  }
  if (message.delivery_count > 1) {
    out += ",\"redelivered\":";
    append_number(out, message.delivery_count - 1);
    out += ",\"first_delivered\":\"";
    tools::append_time(out, message.first_delivered_us);
    out += '"';
  }
  if (message.key) {
    out += ',';
    tools::append_json_bytes(out, "key", *message.key);
  }
  if (!message.headers.empty()) {
    append_headers(out, message.headers, true);
    append_headers(out, message.headers, false);
  }
  out += ',';
  tools::append_json_bytes(out, "payload", message.payload);
  out += '}';
}

}  // namespace

void append_message(std::string& out, Print print, const client::Message& message) {
  switch (print) {
    case Print::kKeyValue:
      if (message.key) {
        out += *message.key;
        out += '\t';
      }
      [[fallthrough]];
    case Print::kValue:
      out += message.payload;
      break;
    case Print::kJson:
      append_json(out, message);
      break;
  }
  out += '\n';
}

}  // namespace andyx::cli
