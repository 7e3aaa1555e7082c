// Structured logs on stderr: an event name and fields. Light: only log.cc knows the library. Any
// thread.
#pragma once

#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>

namespace andyx::server::log {

struct Field {
  std::string_view name;
  std::string value;

  Field(std::string_view field_name, std::string text) : name(field_name), value(std::move(text)) {}
  Field(std::string_view field_name, std::string_view text) : name(field_name), value(text) {}
  Field(std::string_view field_name, const char* text) : name(field_name), value(text) {}
  Field(std::string_view field_name, std::integral auto number)
      : name(field_name), value(std::to_string(number)) {}
};

// `level`: debug, info, warn, error; `format`: text or json. Once at start, before other threads.
void setup(const std::string& level, const std::string& format);

void debug(std::string_view event, std::initializer_list<Field> fields = {});
void info(std::string_view event, std::initializer_list<Field> fields = {});
void warn(std::string_view event, std::initializer_list<Field> fields = {});
void error(std::string_view event, std::initializer_list<Field> fields = {});

}  // namespace andyx::server::log
