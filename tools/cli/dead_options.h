// Declares the options of the dead commands. For the argument parser only: CLI11 is a heavy header.
#pragma once

#include "tools/cli/command_options.h"

namespace andyx::cli {

// What these options are bound to; must outlive the parser.
struct DeadValues {
  DeadList list;
  DeadRedrive redrive;
};

void add_dead_commands(CLI::App& app, DeadValues& values, Chosen& chosen);

}  // namespace andyx::cli
