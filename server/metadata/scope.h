// A tenant, product or component in the image, and what each level (topics too) sets of its own.
// Values; any thread.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "protocol/base/ids.h"
#include "server/metadata/level_path.h"
#include "server/metadata/settings.h"

namespace andyx::server {

// What one level says itself; what it does not say comes from the nearest level above that does.
struct OwnSettings {
  std::map<std::string, std::string, std::less<>> values;  // setting_keys.h; canonical
  std::optional<RetentionPolicy> retention;                // stands as a whole

  bool operator==(const OwnSettings&) const = default;
};

struct Scope {
  LevelPath where;  // not a topic
  std::string description;
  bool active = true;  // tenants only
  TimeUs created_us = 0;
  OwnSettings own;
};

struct ByLevelPath {
  static const LevelPath& key(const Scope& s) { return s.where; }
};

}  // namespace andyx::server
