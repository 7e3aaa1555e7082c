// What a level's own settings and those above it come to: key by key the nearest level that says
// something wins; of retention policies the nearest one wins as a whole. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/metadata/image.h"
#include "server/metadata/setting_keys.h"

namespace andyx::server {

// Of a topic, as it is in `image` or is about to be.
EffectiveSettings effective_settings(const Image& image, const Topic& topic);

struct FoundSetting {
  std::string value;
  std::string origin;  // the path that says it
};
// Of any path, whether it is there or not; empty: no level says anything.
std::optional<FoundSetting> find_setting_value(const Image& image, const LevelPath& path,
                                               std::string_view key);

struct ShownSetting {
  std::string_view key;
  std::string value;   // empty: the node's default
  std::string origin;  // empty: the default
};
std::vector<ShownSetting> shown_settings(const Image& image, const LevelPath& path);

struct FoundRetention {
  RetentionPolicy policy;
  std::string origin;
};
std::optional<FoundRetention> find_retention(const Image& image, const LevelPath& path);

// kUnknownTopic, kUnknownScope.
Status check_exists(const Image& image, const LevelPath& path);
// What stands directly in it: products, components, topics.
std::uint32_t count_children(const Image& image, const LevelPath& path);

// Gives every topic at or below `path` its effective settings anew; those that differ are other
// objects then.
void refresh_topics(Image& image, const LevelPath& path);

}  // namespace andyx::server
