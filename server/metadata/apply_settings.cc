// What a level sets of its own: settings, and its retention policy.
#include "protocol/base/limits.h"
#include "server/metadata/apply_commands.h"
#include "server/metadata/effective.h"

namespace andyx::server {
namespace {

// All of them, or none.
Result<OwnSettings> with_settings(OwnSettings own, const wire::SetSettings& command, Level level) {
  for (const wire::SettingValue* setting : *command.settings()) {
    const auto key = find_setting(setting->key()->string_view(), level);
    if (!key) return std::unexpected(key.error());
    const std::string name((*key)->key);
    if (setting->value()->size() == 0) {
      own.values.erase(name);
      continue;
    }
    auto value = check_value(**key, setting->value()->string_view());
    if (!value) return std::unexpected(value.error());
    own.values.insert_or_assign(name, std::move(*value));
  }
  return own;
}

Status check_bound(std::string_view what, std::int64_t& value, std::int64_t most) {
  if (value < 0) value = kNotSet;
  if (value == kNotSet || (value >= 1 && value <= most)) return {};
  return fail(ErrorCode::kBadArgument, std::string(what) + " is 1 to " + std::to_string(most) +
                                           ", not " + std::to_string(value));
}

Result<RetentionPolicy> checked(RetentionPolicy policy) {
  for (auto status :
       {check_bound("soft retention in ms", policy.soft_ms, limits::kMaxRetentionMs),
        check_bound("hard retention in ms", policy.hard_ms, limits::kMaxRetentionMs),
        check_bound("retention by size in bytes", policy.size_bytes, limits::kMaxRetentionBytes)}) {
    if (!status) return std::unexpected(status.error());
  }
  if (policy == RetentionPolicy{}) {
    return fail(ErrorCode::kBadArgument,
                "a retention policy has at least one of soft, hard and size");
  }
  if (policy.hard_ms != kNotSet && policy.soft_ms > policy.hard_ms) {
    return fail(ErrorCode::kBadArgument, "soft retention (" + std::to_string(policy.soft_ms) +
                                             " ms) may not be longer than hard retention (" +
                                             std::to_string(policy.hard_ms) +
                                             " ms), which would delete first");
  }
  return policy;
}

OwnSettings own_of(const Image& image, const LevelPath& path) {
  if (path.level == Level::kTopic) return image.find_topic(path.topic_name())->own;
  return image.scopes.find(path)->own;
}

// The level is there.
void put_own(Image& image, const LevelPath& path, OwnSettings own) {
  if (path.level == Level::kTopic) {
    Topic changed = *image.find_topic(path.topic_name());
    changed.own = std::move(own);
    changed.effective = effective_settings(image, changed);
    put_topic(image, std::move(changed));
    return;
  }
  Scope changed = *image.scopes.find(path);
  changed.own = std::move(own);
  image.scopes.put(std::make_shared<const Scope>(std::move(changed)));
  refresh_topics(image, path);
}

Result<LevelPath> existing(const Image& image, const flatbuffers::String& text) {
  auto path = LevelPath::parse(text.string_view());
  if (!path) return path;
  if (auto status = check_exists(image, *path); !status) return std::unexpected(status.error());
  return path;
}

}  // namespace

Outcome apply_command(Image& image, const wire::SetSettings& command, TimeUs) {
  const auto path = existing(image, *command.path());
  if (!path) return {.status = std::unexpected(path.error())};
  auto own = with_settings(own_of(image, *path), command, path->level);
  if (!own) return {.status = std::unexpected(own.error())};
  put_own(image, *path, std::move(*own));
  return {};
}

Outcome apply_command(Image& image, const wire::SetRetention& command, TimeUs) {
  const auto path = existing(image, *command.path());
  if (!path) return {.status = std::unexpected(path.error())};
  OwnSettings own = own_of(image, *path);
  own.retention.reset();
  if (command.retention() != nullptr) {
    auto policy = checked(from_wire(*command.retention()));
    if (!policy) return {.status = std::unexpected(policy.error())};
    own.retention = *policy;
  }
  put_own(image, *path, std::move(own));
  return {};
}

}  // namespace andyx::server
