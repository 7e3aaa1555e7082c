// Declares the options of scope_arguments.h. For the argument parser only: CLI11 is a heavy header.
#pragma once

#include <map>

#include "tools/cli/command_options.h"

namespace andyx::cli {

// What these options are bound to; must outlive the parser.
struct ScopeValues {
  struct OfLevel {
    ScopeCreate create;
    ScopeList list;
    ScopeDescribe describe;
    ScopeDelete remove;
    SettingsCommand settings;
  };
  std::map<ScopeLevel, OfLevel> levels;
  TenantActivate activate, deactivate;
  SettingsCommand topic_settings;
  TopicAlter topic_alter;
  RetentionSet retention_set;
  RetentionShow retention_show;
  RetentionDelete retention_delete;
};

// `topics` is the group of topic commands, to which settings and alter are added.
void add_scope_commands(CLI::App& app, CLI::App& topics, ScopeValues& values, Chosen& chosen);

}  // namespace andyx::cli
