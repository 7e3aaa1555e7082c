// Declares the metadata commands. For the argument parser only.
#pragma once

#include "tools/cli/command_options.h"

namespace andyx::cli {

struct MetadataValues {
  MetadataBackup backup;
  MetadataRestore restore;
  MetadataForceRecover force_recover;
};
void add_metadata_commands(CLI::App& app, MetadataValues& values, Chosen& chosen);

}  // namespace andyx::cli
