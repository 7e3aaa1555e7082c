// Tenants, products and components, made explicitly or by the topic that needs them.
#include "protocol/base/limits.h"
#include "server/metadata/apply_commands.h"
#include "server/metadata/effective.h"

namespace andyx::server {
namespace {

// What says, on the level above, whether a missing one may be made by itself.
std::string_view switch_of(Level level) {
  switch (level) {
    case Level::kTenant:
      return {};  // nothing stands above it
    case Level::kProduct:
      return setting::kProductAutoCreate;
    case Level::kComponent:
      return setting::kComponentAutoCreate;
    case Level::kTopic:
      break;
  }
  return setting::kTopicAutoCreate;
}

Status check_switch(const Image& image, const LevelPath& path) {
  const std::string_view key = switch_of(path.level);
  if (key.empty()) return {};
  const auto said = find_setting_value(image, path.parent(), key);
  if (!said || is_on(said->value)) return {};
  return fail(ErrorCode::kCreationNotAllowed, "there is no " + path.describe() + ", and " +
                                                  std::string(key) + " is false on " +
                                                  said->origin);
}

Status check_room(const Image& image, std::size_t more) {
  if (image.scopes.size() + more <= limits::kMaxScopes) return {};
  return fail(ErrorCode::kLimitReached, "the cluster has " + std::to_string(image.scopes.size()) +
                                            " tenants, products and components, and takes " +
                                            std::to_string(limits::kMaxScopes));
}

void put_scope(Image& image, Scope scope) {
  image.scopes.put(std::make_shared<const Scope>(std::move(scope)));
}

Status check_create(const Image& image, const wire::CreateScope& command, const LevelPath& path) {
  if (image.scopes.find(path)) {
    return fail(ErrorCode::kScopeExists, path.describe() + " exists already");
  }
  if (path.level != Level::kTenant && !image.scopes.find(path.parent())) {
    return fail(ErrorCode::kUnknownScope, "there is no " + path.parent().describe() +
                                              " that could hold the " + path.describe());
  }
  if (command.description()->size() > limits::kMaxDescriptionBytes) {
    return fail(ErrorCode::kBadArgument,
                "a description has at most " + std::to_string(limits::kMaxDescriptionBytes) +
                    " bytes, not " + std::to_string(command.description()->size()));
  }
  return check_room(image, 1);
}

}  // namespace

Status check_levels(const Image& image, const TopicName& topic, bool automatic) {
  const LevelPath component = LevelPath::of(topic).parent();
  const LevelPath product = component.parent();
  const LevelPath tenant = product.parent();
  if (const auto found = image.scopes.find(tenant); found && !found->active) {
    return fail(ErrorCode::kTenantInactive,
                "no topic is created: " + tenant.describe() + " is deactivated");
  }
  std::size_t missing = 0;
  for (const LevelPath* level : {&tenant, &product, &component}) {
    if (image.scopes.find(*level)) continue;
    if (auto allowed = check_switch(image, *level); !allowed) return allowed;
    ++missing;
  }
  if (automatic) {
    if (auto allowed = check_switch(image, LevelPath::of(topic)); !allowed) return allowed;
  }
  return check_room(image, missing);
}

void make_levels(Image& image, const TopicName& topic, TimeUs time_us) {
  const LevelPath component = LevelPath::of(topic).parent();
  for (const LevelPath& level : {component.parent().parent(), component.parent(), component}) {
    if (image.scopes.find(level)) continue;
    put_scope(image, {.where = level, .description = {}, .created_us = time_us, .own = {}});
  }
}

Outcome apply_command(Image& image, const wire::CreateScope& command, TimeUs time_us) {
  auto path = LevelPath::parse(command.path()->string_view(), Level::kComponent);
  if (!path) return {.status = std::unexpected(path.error())};
  if (auto status = check_create(image, command, *path); !status) return {.status = status};
  put_scope(image, {.where = std::move(*path),
                    .description = command.description()->str(),
                    .created_us = time_us,
                    .own = {}});
  return {};
}

Outcome apply_command(Image& image, const wire::DeleteScope& command, TimeUs) {
  const auto path = LevelPath::parse(command.path()->string_view(), Level::kComponent);
  if (!path) return {.status = std::unexpected(path.error())};
  if (auto status = check_exists(image, *path); !status) return {.status = status};
  if (const std::uint32_t children = count_children(image, *path); children > 0) {
    return refused(ErrorCode::kNotEmpty, path->describe() + " holds " + std::to_string(children) +
                                             " " + std::string(level_name(below(path->level))) +
                                             (children == 1 ? "" : "s"));
  }
  image.scopes.erase(*path);
  return {};
}

Outcome apply_command(Image& image, const wire::ActivateTenant& command, TimeUs) {
  const auto path = LevelPath::parse(command.tenant()->string_view(), Level::kTenant);
  if (!path) return {.status = std::unexpected(path.error())};
  if (auto status = check_exists(image, *path); !status) return {.status = status};
  Scope changed = *image.scopes.find(*path);
  changed.active = command.active();
  put_scope(image, std::move(changed));
  refresh_topics(image, *path);
  return {};
}

}  // namespace andyx::server
