// The part of the command line about tenants, products, components, settings and retention. Values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "andyx/scopes.h"

namespace andyx::cli {

enum class ScopeLevel : std::uint8_t { kTenant = 1, kProduct = 2, kComponent = 3 };
std::string_view level_word(ScopeLevel level);  // "tenant"

struct ScopeCreate {
  ScopeLevel level{};
  std::string path;
  std::string description;
};
struct ScopeList {
  ScopeLevel level{};
  std::string parent;  // empty: tenants
};
struct ScopeDescribe {
  ScopeLevel level{};
  std::string path;
};
struct ScopeDelete {
  ScopeLevel level{};
  std::string path;
};
struct TenantActivate {
  std::string tenant;
  bool active = true;
};

using SettingList = std::vector<std::pair<std::string, std::string>>;

// Of a scope, or of a topic: shows; or sets and shows.
struct SettingsCommand {
  std::string path;
  SettingList set;
  bool of_topic = false;  // then a bare name is default/default/default/NAME
};
struct TopicAlter {
  std::string topic;
  std::optional<std::uint32_t> partitions, replication_factor;
  SettingList set;
};

struct RetentionSet {
  std::string path;
  client::RetentionPolicy policy;
};
struct RetentionShow {
  std::string path;
};
struct RetentionDelete {
  std::string path;
};

}  // namespace andyx::cli
