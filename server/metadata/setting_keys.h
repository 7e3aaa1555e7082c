// The settings that a level may have: one table for parsing, checking and showing them. Pure; any
// thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "protocol/base/error.h"
#include "server/metadata/level_path.h"

namespace andyx::server {

struct SettingKey {
  enum class Type : std::uint8_t {
    kSwitch,  // true, false
    kOff,     // false: what it would switch on does not exist in this version
    kNumber,  // least..most
  };
  std::string_view key;
  std::string_view original;  // its name in the reference, accepted as well; "": none
  Type type;
  Level settable;  // from the tenant down to this level
  Level shown;     // the lowest level where it means something
  std::uint64_t least, most;
  std::string_view default_value;  // "": the node's
};

namespace setting {
inline constexpr std::string_view kProductAutoCreate = "product-auto-create";
inline constexpr std::string_view kComponentAutoCreate = "component-auto-create";
inline constexpr std::string_view kTopicAutoCreate = "topic-auto-create";
inline constexpr std::string_view kSubscriptionAutoCreate = "subscription-auto-create";
inline constexpr std::string_view kProducerAutoCreate = "producer-auto-create";
inline constexpr std::string_view kDefaultPartitions = "default-partitions";
inline constexpr std::string_view kMaxMessageBytes = "max-message-bytes";
inline constexpr std::string_view kDedupWindowMs = "dedup-window-ms";
}  // namespace setting

std::span<const SettingKey> setting_keys();

// By its key or its original name, for a level where it may be set. kBadArgument, with what is
// possible there, otherwise.
Result<const SettingKey*> find_setting(std::string_view key, Level level);

// The value as it is kept. kBadArgument, with what is possible, otherwise.
Result<std::string> check_value(const SettingKey& key, std::string_view value);

// Of a value that check_value gave.
inline bool is_on(std::string_view value) { return value == "true"; }
std::uint32_t number_of(std::string_view value);

}  // namespace andyx::server
