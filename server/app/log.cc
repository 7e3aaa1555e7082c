#include "server/app/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace andyx::server::log {
namespace {

bool json_format = false;

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      constexpr char kHex[] = "0123456789abcdef";
      out += "\\u00";
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[c & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

bool plain(std::string_view text) {
  return !text.empty() && text.find_first_of(" \"=\\\n\r\t") == std::string_view::npos;
}

void write(spdlog::level::level_enum level, std::string_view event,
           std::initializer_list<Field> fields) {
  if (!spdlog::should_log(level)) return;
  std::string line;
  if (json_format)
    append_quoted(line, event);
  else
    line = event;
  for (const Field& field : fields) {
    if (json_format) {
      line += ',';
      append_quoted(line, field.name);
      line += ':';
      append_quoted(line, field.value);
    } else {
      line += ' ';
      line += field.name;
      line += '=';
      if (plain(field.value))
        line += field.value;
      else
        append_quoted(line, field.value);
    }
  }
  spdlog::log(level, spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace

void setup(const std::string& level, const std::string& format) {
  json_format = format == "json";
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("andyx", std::make_shared<spdlog::sinks::stderr_sink_mt>()));
  spdlog::set_level(spdlog::level::from_str(level));
  spdlog::set_pattern(json_format ? R"({"time":"%Y-%m-%dT%H:%M:%S.%fZ","level":"%l","event":%v})"
                                  : "%Y-%m-%dT%H:%M:%S.%fZ %l %v",
                      spdlog::pattern_time_type::utc);
  spdlog::flush_on(spdlog::level::debug);
}

void debug(std::string_view event, std::initializer_list<Field> fields) {
  write(spdlog::level::debug, event, fields);
}
void info(std::string_view event, std::initializer_list<Field> fields) {
  write(spdlog::level::info, event, fields);
}
void warn(std::string_view event, std::initializer_list<Field> fields) {
  write(spdlog::level::warn, event, fields);
}
void error(std::string_view event, std::initializer_list<Field> fields) {
  write(spdlog::level::err, event, fields);
}

}  // namespace andyx::server::log
