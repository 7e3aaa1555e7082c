// Declares the options of cluster_arguments.h. For the argument parser only: CLI11 is a heavy
// header.
#pragma once

#include "tools/cli/command_options.h"

namespace andyx::cli {

// What these options are bound to; must outlive the parser.
struct ClusterValues {
  ClusterStatusCommand status;
  ClusterNodes nodes;
  ClusterRemove remove;
  ClusterAdd add;
  ClusterDrain drain;
  ClusterBalance balance;
  ClusterSafeToStop safe_to_stop;
  ClusterMove move;
  ClusterElect elect;
};

void add_cluster_commands(CLI::App& app, ClusterValues& values, Chosen& chosen);

}  // namespace andyx::cli
