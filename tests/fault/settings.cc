#include "tests/fault/settings.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "tests/integration/support/seed.h"

namespace andyx::test::fault {
namespace {

std::string environment_text(const char* variable) {
  const char* given = std::getenv(variable);
  return given == nullptr ? std::string() : std::string(given);
}

std::uint32_t number(const char* variable, std::uint32_t otherwise) {
  return static_cast<std::uint32_t>(environment_number(variable, otherwise));
}

FaultKind named(std::string_view name) {
  const auto kind = kind_named(name);
  REQUIRE_MESSAGE(kind.has_value(), "there is no fault '", std::string(name),
                  "'; tests/fault/README.md lists them");
  return *kind;
}

// "a,b": only these. "-a,-b": all but these.
std::vector<FaultKind> kinds_of(std::string_view text) {
  std::vector<FaultKind> wanted, unwanted;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (word.empty()) continue;
    if (word.starts_with('-')) {
      unwanted.push_back(named(word.substr(1)));
    } else {
      wanted.push_back(named(word));
    }
  }
  if (wanted.empty()) {
    for (const KindInfo& info : all_kinds()) wanted.push_back(info.kind);
  }
  std::erase_if(wanted, [&](FaultKind kind) { return std::ranges::count(unwanted, kind) > 0; });
  return wanted;
}

}  // namespace

Settings settings_from_environment() {
  Settings settings;
  settings.faults = number("ANDYX_FAULTS", settings.faults);
  settings.nodes = number("ANDYX_NODES", settings.nodes);
  settings.minutes = number("ANDYX_MINUTES", settings.minutes);
  settings.keep = environment_text("ANDYX_KEEP");
  settings.disk_shim = environment_text("ANDYX_DISK_SHIM");
  settings.kinds = kinds_of(environment_text("ANDYX_FAULT_KINDS"));
  return settings;
}

std::vector<FaultKind> possible_kinds(const std::vector<FaultKind>& wanted, std::uint32_t nodes,
                                      bool disk_shim, bool small_disk) {
  std::vector<FaultKind> kinds;
  for (const FaultKind kind : wanted) {
    const KindInfo& needs = info(kind);
    if (needs.least_nodes > nodes || (needs.disk_shim && !disk_shim) ||
        (needs.small_disk && !small_disk)) {
      continue;
    }
    kinds.push_back(kind);
  }
  return kinds;
}

bool any_needs_small_disk(const std::vector<FaultKind>& kinds) {
  return std::ranges::any_of(kinds, [](FaultKind kind) { return info(kind).small_disk; });
}

}  // namespace andyx::test::fault
