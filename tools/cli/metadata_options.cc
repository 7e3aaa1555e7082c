#include "tools/cli/metadata_options.h"

#include "tools/common/options.h"

namespace andyx::cli {
namespace {

constexpr NodeId kMaxNodeId = 1'000'000;

template <typename Target>
void add_target(CLI::App& app, Target& target) {
  app.add_option("--data-dir", target.data_dir, "data directory of the node, which is stopped")
      ->required()
      ->type_name("DIR");
  tools::add_number<NodeId>(app, "--node-id", target.node, "NODE", "id of the node (default 1)", 1,
                            kMaxNodeId);
}

}  // namespace

void add_metadata_commands(CLI::App& app, MetadataValues& values, Chosen& chosen) {
  CLI::App& group = add_group(
      app, "metadata",
      "Back up the metadata of a running cluster; restore or recover those of a node that "
      "is stopped");
  add_command(group, "backup", "Write topics, settings, subscriptions and nodes to a file", chosen,
              values.backup)
      .add_option("FILE", values.backup.file, "replaced where it exists")
      ->required()
      ->type_name("");

  CLI::App& restore =
      add_command(group, "restore",
                  "Put a backup in the place of the metadata of a node that is stopped; in a new "
                  "directory, begin a new cluster with it",
                  chosen, values.restore);
  restore.add_option("FILE", values.restore.file, "a backup")->required()->type_name("");
  add_target(restore, values.restore);
  restore.add_flag("--force", values.restore.force,
                   "also where the metadata that are there are newer or damaged");

  CLI::App& recover = add_command(
      group, "force-recover",
      "Make a node that is stopped the only voter, with the metadata that it has: when the majority "
      "of the voters is gone for good",
      chosen, values.force_recover);
  add_target(recover, values.force_recover);
  recover.add_flag("--accept-data-loss", values.force_recover.accept_data_loss,
                   "do it; without, only say what may be lost");
}

}  // namespace andyx::cli
