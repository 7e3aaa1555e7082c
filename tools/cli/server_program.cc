#include "tools/cli/server_program.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace andyx::cli {
namespace {

constexpr const char* kProgram = "andyx-server";

}  // namespace

Error become_server(std::vector<std::string> arguments) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path here = fs::read_symlink("/proc/self/exe", error).parent_path();
  std::vector<std::string> programs;
  for (const fs::path& path : {here / kProgram, here / ".." / "server" / kProgram}) {
    if (fs::is_regular_file(path, error)) programs.push_back(path.string());
  }
  programs.emplace_back(kProgram);
  arguments.insert(arguments.begin(), kProgram);
  std::vector<char*> words;
  for (std::string& argument : arguments) words.push_back(argument.data());
  words.push_back(nullptr);
  for (const std::string& program : programs) ::execvp(program.c_str(), words.data());
  return {ErrorCode::kIo, std::string(kProgram) + " is needed for this, and cannot be run: " +
                              std::strerror(errno) + "; it lies beside andyx-cli, or in PATH"};
}

}  // namespace andyx::cli
