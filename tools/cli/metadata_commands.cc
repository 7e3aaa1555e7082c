// metadata commands: a backup is asked for and written here; what works on a data directory is the
// server's, and is passed on to it.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "protocol/base/backup_file.h"
#include "tools/cli/print_result.h"
#include "tools/cli/server_program.h"
#include "tools/cli/show_text.h"

namespace andyx::cli {
namespace {

std::string hex(const std::array<std::uint8_t, 16>& id) {
  std::string text;
  for (const std::uint8_t byte : id) {
    char pair[3];
    std::snprintf(pair, sizeof pair, "%02x", byte);
    text += pair;
  }
  return text;
}

Error why_not(const std::string& what) {
  return {ErrorCode::kIo, what + ": " + std::strerror(errno)};
}

// The whole file or none of it.
Status write_file(const std::string& path, const std::vector<std::uint8_t>& bytes) {
  const std::string fresh = path + ".new";
  const int file = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return std::unexpected(why_not("create " + fresh));
  std::size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t size = ::write(file, bytes.data() + written, bytes.size() - written);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    written += static_cast<std::size_t>(size);
  }
  const bool good = written == bytes.size() && ::fsync(file) == 0;
  Status outcome = good ? Status{} : std::unexpected(why_not("write " + fresh));
  ::close(file);
  if (outcome && std::rename(fresh.c_str(), path.c_str()) != 0)
    outcome = std::unexpected(why_not("rename " + fresh));
  if (!outcome) ::unlink(fresh.c_str());
  return outcome;
}

// Returns only where the server's program cannot be run.
Outcome pass_on(std::vector<std::string> words, const std::string& data_dir, NodeId node, bool flag,
                const char* flag_name) {
  words.insert(words.end(), {"--data-dir", data_dir, "--node-id", number(node)});
  if (flag) words.emplace_back(flag_name);
  return std::unexpected(become_server(std::move(words)));
}

}  // namespace

Outcome run_command(Session& session, const MetadataBackup& command) {
  const auto bytes = session.client.admin().metadata_backup();
  if (!bytes) return std::unexpected(bytes.error());
  const auto backup = decode_backup(*bytes);
  if (!backup)
    return fail(backup.error().code, "what the node sent as a backup: " + backup.error().message);
  if (const Status written = write_file(command.file, *bytes); !written)
    return std::unexpected(written.error());
  const std::string cluster = hex(backup->head.cluster_id);
  return print(session.json() ? json_line({{"file", command.file},
                                           {"cluster_id", cluster},
                                           {"version", backup->head.version},
                                           {"bytes", bytes->size()}})
                              : "backed up the metadata of cluster " + cluster + ", version " +
                                    number(backup->head.version) + ", to " + command.file + " (" +
                                    number(bytes->size()) + " bytes)\n");
}

Outcome run_offline(const MetadataRestore& command) {
  return pass_on({"metadata", "restore", command.file}, command.data_dir, command.node,
                 command.force, "--force");
}

Outcome run_offline(const MetadataForceRecover& command) {
  return pass_on({"metadata", "force-recover"}, command.data_dir, command.node,
                 command.accept_data_loss, "--accept-data-loss");
}

}  // namespace andyx::cli
