#include "server/metadata/effective.h"

#include <utility>

#include "server/metadata/apply_commands.h"

namespace andyx::server {
namespace {

struct Said {
  std::string path;
  const OwnSettings* own = nullptr;  // lives as long as the image
};

// The scopes at and above `path`, the nearest first; those that are there.
std::vector<Said> scopes_from(const Image& image, LevelPath path) {
  std::vector<Said> said;
  if (path.level == Level::kTopic) path = path.parent();
  while (true) {
    if (const auto scope = image.scopes.find(path)) said.push_back({path.path, &scope->own});
    if (path.level == Level::kTenant) return said;
    path = path.parent();
  }
}

std::vector<Said> levels_from(const Image& image, const LevelPath& path) {
  std::vector<Said> said = scopes_from(image, path);
  if (path.level != Level::kTopic) return said;
  if (const auto topic = image.find_topic(path.topic_name())) {
    said.insert(said.begin(), {path.path, &topic->own});
  }
  return said;
}

std::optional<FoundSetting> nearest(const std::vector<Said>& levels, std::string_view key) {
  for (const Said& level : levels) {
    const auto found = level.own->values.find(key);
    if (found != level.own->values.end()) return FoundSetting{found->second, level.path};
  }
  return std::nullopt;
}

bool lies_below(const TopicName& topic, const TopicName& prefix, Level level) {
  return topic.tenant == prefix.tenant &&
         (level < Level::kProduct || topic.product == prefix.product) &&
         (level < Level::kComponent || topic.component == prefix.component) &&
         (level < Level::kTopic || topic.topic == prefix.topic);
}

// `visit(item)` for each topic at or below `path`, in the order of names.
template <typename Visit>
void for_topics_of(const Image& image, const LevelPath& path, Visit visit) {
  const TopicName prefix = path.topic_name();
  for (auto it = image.topics.lower_bound(prefix); it != image.topics.end(); ++it) {
    if (!lies_below(it->name, prefix, path.level)) return;
    visit(it.item());
  }
}

}  // namespace

EffectiveSettings effective_settings(const Image& image, const Topic& topic) {
  std::vector<Said> levels = scopes_from(image, LevelPath::of(topic.name));
  levels.insert(levels.begin(), {topic.name.path(), &topic.own});
  const auto is_off = [&](std::string_view key) {
    const auto found = nearest(levels, key);
    return found && !is_on(found->value);
  };
  const auto number = [&](std::string_view key) {
    const auto found = nearest(levels, key);
    return found ? number_of(found->value) : 0;
  };
  EffectiveSettings out;
  const auto tenant = image.scopes.find(LevelPath{Level::kTenant, topic.name.tenant});
  out.tenant_active = !tenant || tenant->active;
  out.subscription_auto_create = !is_off(setting::kSubscriptionAutoCreate);
  out.producer_auto_create = !is_off(setting::kProducerAutoCreate);
  out.dedup_window_ms = number(setting::kDedupWindowMs);
  out.max_message_bytes = number(setting::kMaxMessageBytes);
  for (const Said& level : levels) {
    if (!level.own->retention) continue;
    out.retention = *level.own->retention;
    break;
  }
  return out;
}

std::optional<FoundSetting> find_setting_value(const Image& image, const LevelPath& path,
                                               std::string_view key) {
  return nearest(levels_from(image, path), key);
}

std::vector<ShownSetting> shown_settings(const Image& image, const LevelPath& path) {
  const std::vector<Said> levels = levels_from(image, path);
  std::vector<ShownSetting> out;
  for (const SettingKey& key : setting_keys()) {
    if (path.level > key.shown) continue;
    if (auto found = nearest(levels, key.key)) {
      out.push_back({key.key, std::move(found->value), std::move(found->origin)});
    } else {
      out.push_back({key.key, std::string(key.default_value), {}});
    }
  }
  return out;
}

std::optional<FoundRetention> find_retention(const Image& image, const LevelPath& path) {
  for (const Said& level : levels_from(image, path)) {
    if (level.own->retention) return FoundRetention{*level.own->retention, level.path};
  }
  return std::nullopt;
}

Status check_exists(const Image& image, const LevelPath& path) {
  if (path.level == Level::kTopic) {
    if (image.find_topic(path.topic_name())) return {};
    return fail(ErrorCode::kUnknownTopic, "there is no topic " + path.path);
  }
  if (image.scopes.find(path)) return {};
  return fail(ErrorCode::kUnknownScope, "there is no " + path.describe());
}

std::uint32_t count_children(const Image& image, const LevelPath& path) {
  std::uint32_t count = 0;
  if (path.level == Level::kComponent) {
    for_topics_of(image, path, [&](const auto&) { ++count; });
    return count;
  }
  if (path.level == Level::kTopic) return 0;
  const LevelPath first{below(path.level), path.path + '/'};
  for (auto it = image.scopes.lower_bound(first); it != image.scopes.end(); ++it) {
    if (it->where.level != first.level || !it->where.path.starts_with(first.path)) break;
    ++count;
  }
  return count;
}

void refresh_topics(Image& image, const LevelPath& path) {
  std::vector<std::shared_ptr<const Topic>> changed;
  for_topics_of(image, path, [&](const std::shared_ptr<const Topic>& topic) {
    EffectiveSettings effective = effective_settings(image, *topic);
    if (effective == topic->effective) return;
    auto renewed = std::make_shared<Topic>(*topic);
    renewed->effective = effective;
    changed.push_back(std::move(renewed));
  });
  put_topics(image, std::move(changed));
}

}  // namespace andyx::server
