#include "server/metadata/level_path.h"

#include <algorithm>
#include <array>
#include <cassert>

namespace andyx::server {
namespace {

constexpr std::string_view kScheme = "andyx://";
constexpr std::size_t kLevels = 4;

}  // namespace

std::string_view level_name(Level level) {
  constexpr std::array<std::string_view, kLevels + 1> kNames = {"", "tenant", "product",
                                                                "component", "topic"};
  return kNames[static_cast<std::size_t>(level)];
}

Result<LevelPath> LevelPath::parse(std::string_view text, Level deepest) {
  if (text.starts_with(kScheme)) text.remove_prefix(kScheme.size());
  const std::string_view path = text;
  for (auto level = Level::kTenant;; level = below(level)) {
    const std::size_t slash = text.find('/');
    const std::string what = "the " + std::string(level_name(level)) + " of the path";
    if (auto good = check_name(text.substr(0, slash), what); !good) {
      return std::unexpected(good.error());
    }
    if (slash == std::string_view::npos) return LevelPath{level, std::string(path)};
    if (level == deepest) {
      return fail(ErrorCode::kBadName,
                  "the path has more parts than " + std::to_string(static_cast<int>(deepest)) +
                      ": here it ends with the " + std::string(level_name(deepest)));
    }
    text.remove_prefix(slash + 1);
  }
}

LevelPath LevelPath::parent() const {
  assert(level > Level::kTenant);
  return {static_cast<Level>(static_cast<int>(level) - 1), path.substr(0, path.rfind('/'))};
}

TopicName LevelPath::topic_name() const {
  std::array<std::string, kLevels> parts;
  std::size_t at = 0;
  for (std::string& part : parts) {
    if (at > path.size()) break;
    const std::size_t slash = std::min(path.find('/', at), path.size());
    part = path.substr(at, slash - at);
    at = slash + 1;
  }
  return {parts[0], parts[1], parts[2], parts[3]};
}

std::string LevelPath::describe() const { return std::string(level_name(level)) + " " + path; }

}  // namespace andyx::server
