#include "server/app/metadata_command.h"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "server/app/log.h"
#include "server/app/metadata_recovery.h"

namespace andyx::server {
namespace {

Result<std::vector<std::uint8_t>> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<std::uint8_t> bytes{std::istreambuf_iterator<char>(file), {}};
  if (!file.is_open() || file.bad()) return fail(ErrorCode::kIo, path + " cannot be read");
  return bytes;
}

int told(const Result<std::string>& done) {
  if (done) {
    std::cout << *done << "\n";
    return 0;
  }
  const Error& error = done.error();
  std::cerr << "andyx-server: " << static_cast<unsigned>(error.code) << ' ' << error.name() << ": "
            << error.message << "\n  " << error.remedy() << "\n";
  return kRefusedStatus;
}

void add_target(CLI::App& app, RecoveryTarget& target) {
  app.add_option("--data-dir", target.data_dir, "Data directory of the node, which is stopped")
      ->envname("ANDYX_DATA_DIR")
      ->required();
  app.add_option("--node-id", target.node_id, "Id of the node")
      ->envname("ANDYX_NODE_ID")
      ->check(CLI::Range(1u, 1'000'000u))
      ->capture_default_str();
}

}  // namespace

int run_metadata_command(int argc, const char* const* argv) {
  RecoveryTarget target;
  std::string file;
  bool force = false, accept_data_loss = false;
  CLI::App app{"Works on the metadata in the data directory of a node that is stopped",
               "andyx-server metadata"};
  app.require_subcommand(1);
  CLI::App& restore =
      *app.add_subcommand("restore",
                          "Put a backup in the place of the metadata of this node, which becomes "
                          "the only voter; in a new directory, begin a new cluster with it");
  restore.add_option("FILE", file, "a backup, of andyx-cli metadata backup")->required();
  restore.add_flag("--force", force, "also where the metadata that are there are newer or damaged");
  add_target(restore, target);
  CLI::App& recover = *app.add_subcommand(
      "force-recover",
      "Make this node the only voter, with the metadata that it has: when the majority of the voters "
      "is gone for good");
  recover.add_flag("--accept-data-loss", accept_data_loss,
                   "do it; without, only say what may be lost");
  add_target(recover, target);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 1;
  }
  log::setup("warn", "text");
  if (recover.parsed()) return told(force_recover_metadata(target, accept_data_loss));
  const auto backup = read_file(file);
  if (!backup) return told(std::unexpected(backup.error()));
  return told(restore_metadata(target, *backup, force));
}

}  // namespace andyx::server
