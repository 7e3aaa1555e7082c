// What the commands' declarations share. For the argument parser only: CLI11 is a heavy header.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "tools/cli/arguments.h"

namespace andyx::cli {

// The command that was asked for, once the arguments are parsed.
using Chosen = std::optional<Command>;

// A command whose options are bound to `value`, which is chosen when the command is given.
template <typename Value>
CLI::App& add_command(CLI::App& parent, const std::string& name, const std::string& what,
                      Chosen& chosen, Value& value) {
  CLI::App* app = parent.add_subcommand(name, what);
  app->callback([&chosen, &value] { chosen = value; });
  return *app;
}

inline CLI::App& add_group(CLI::App& parent, const std::string& name, const std::string& what) {
  return *parent.add_subcommand(name, what)->require_subcommand(1);
}

inline void add_topic_name(CLI::App& app, std::string& topic) {
  app.add_option("TOPIC", topic, "NAME or andyx://tenant/product/component/NAME")
      ->required()
      ->type_name("");
}

}  // namespace andyx::cli
