// A place in the tree of tenants, products, components and topics, as settings and retention name
// it. Values; any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/base/names.h"

namespace andyx::server {

enum class Level : std::uint8_t { kTenant = 1, kProduct = 2, kComponent = 3, kTopic = 4 };

std::string_view level_name(Level level);  // "tenant"
inline Level below(Level level) { return static_cast<Level>(static_cast<int>(level) + 1); }

// In the order of levels, then of paths: what stands directly in one is a run.
struct LevelPath {
  Level level = Level::kTenant;
  std::string path;  // "tenant/product", without "andyx://"

  // "tenant" to "tenant/product/component/topic", with or without andyx://. kBadName otherwise.
  static Result<LevelPath> parse(std::string_view text, Level deepest = Level::kTopic);
  static LevelPath of(const TopicName& topic) { return {Level::kTopic, topic.path()}; }

  LevelPath parent() const;      // not of a tenant
  TopicName topic_name() const;  // the parts below the level are empty
  std::string describe() const;  // "product shop/orders"

  auto operator<=>(const LevelPath&) const = default;
};

}  // namespace andyx::server
