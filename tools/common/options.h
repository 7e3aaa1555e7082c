// How command lines are declared, the same in every tool: CLI11 with our words, times and exit
// statuses. Included by the argument parsers only (CLI11 is a heavy header). Functions throw
// CLI::ParseError inside CLI11's parse; run_parser turns that into an exit status.
#pragma once

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>

#include "protocol/net/loop.h"
#include "tools/common/choices.h"
#include "tools/common/exit_status.h"
#include "tools/common/time_text.h"

namespace andyx::tools {

inline constexpr const char* kDefaultServer = "127.0.0.1:6540";

// An option whose value is one of `choices`; `target` is the enumeration or an optional of it, and
// must outlive the parser.
template <typename Enum, typename Target>
CLI::Option* add_choice(CLI::App& app, const std::string& name, Target& target,
                        const Choices<Enum>& choices, const std::string& what) {
  const auto set = [&target, &choices, name](const CLI::results_t& words) {
    const auto found = choices.value_of(words.back());
    if (!found) {
      throw CLI::ValidationError(name, "'" + words.back() + "' is not one of " + choices.words());
    }
    target = *found;
    return true;
  };
  return app.add_option(name, set, what)->type_name(choices.words())->expected(1);
}

// An option that `parse(text, now)` understands: a TIME or a position.
template <typename Value>
CLI::Option* add_parsed(CLI::App& app, const std::string& name, std::optional<Value>& target,
                        Result<Value> (*parse)(std::string_view, TimeUs), const std::string& type,
                        const std::string& what) {
  const auto set = [&target, parse, name](const CLI::results_t& words) {
    const Result<Value> value = parse(words.back(), net::wall_time_us());
    if (!value) throw CLI::ValidationError(name, value.error().message);
    target = *value;
    return true;
  };
  return app.add_option(name, set, what)->type_name(type)->expected(1);
}

// An option that is a whole number from `least` to `most`; `target` is an unsigned type or an
// optional of one. (CLI11's own conversion takes -1 for 2^64 - 1.)
template <typename Number, typename Target>
CLI::Option* add_number(CLI::App& app, const std::string& name, Target& target,
                        const std::string& type, const std::string& what,
                        std::type_identity_t<Number> least = 0,
                        std::type_identity_t<Number> most = std::numeric_limits<Number>::max()) {
  const auto set = [&target, name, least, most](const CLI::results_t& words) {
    const std::string& word = words.back();
    Number value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc{} || end != word.data() + word.size() || value < least || value > most) {
      throw CLI::ValidationError(name, "'" + word + "' is not a whole number from " +
                                           std::to_string(least) + " to " + std::to_string(most));
    }
    target = value;
    return true;
  };
  return app.add_option(name, set, what)->type_name(type)->expected(1);
}

// The same for a whole number that may be negative.
inline CLI::Option* add_integer(CLI::App& app, const std::string& name, std::int32_t& target,
                                const std::string& type, const std::string& what) {
  const auto set = [&target, name](const CLI::results_t& words) {
    const std::string& word = words.back();
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), target);
    if (error != std::errc{} || end != word.data() + word.size())
      throw CLI::ValidationError(name, "'" + word + "' is not a whole number");
    return true;
  };
  return app.add_option(name, set, what)->type_name(type)->expected(1);
}

// Parses; prints help, version or what is wrong. Empty: go on. Else the status to exit with.
inline std::optional<ExitStatus> run_parser(CLI::App& app, int argc, const char* const* argv) {
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kWrongUsage;
  }
}

}  // namespace andyx::tools
