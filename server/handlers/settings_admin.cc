// The settings and the retention policy of a level: show, set, delete.
#include "frame_generated.h"
#include "server/handlers/handlers.h"
#include "server/handlers/routing.h"
#include "server/handlers/scope_info.h"
#include "server/metadata/setting_keys.h"

namespace andyx::server {
namespace {

// The metadata know the bound of every node; this one may have a lower one.
Status check_here(const Node& node, std::string_view key, std::string_view value) {
  if (key != setting::kMaxMessageBytes || value.empty()) return {};
  const std::uint64_t limit = node.config.max_message_bytes;
  if (number_of(value) <= limit) return {};
  return fail(ErrorCode::kBadArgument, std::string(key) + " is at most " + std::to_string(limit) +
                                           ", the max-message-bytes of the node, not " +
                                           std::to_string(number_of(value)));
}

}  // namespace

void handle(ClientConnection& client, const protocol::SettingsShow& body, Reply reply) {
  auto path = LevelPath::parse(body.path()->string_view());
  if (!path) return reply.error(path.error());
  answer_scope(client.loop(), *path, ScopeDetail::kSettings, std::move(reply));
}

void handle(ClientConnection& client, const protocol::SettingsSet& body, Reply reply) {
  auto path = LevelPath::parse(body.path()->string_view());
  if (!path) return reply.error(path.error());
  CoreLoop& here = client.loop();
  std::vector<std::pair<std::string, std::string>> settings;
  for (const protocol::Setting* setting : *body.settings()) {
    settings.emplace_back(setting->key()->str(), setting->value()->str());
    const auto& [key, value] = settings.back();
    if (auto good = check_here(here.node(), key, value); !good) return reply.error(good.error());
  }
  auto done = then_answer_scope(here, *path, ScopeDetail::kSettings, std::move(reply));
  here.node().controller->set_settings(*path, std::move(settings), std::move(done));
}

void handle(ClientConnection& client, const protocol::RetentionShow& body, Reply reply) {
  auto path = LevelPath::parse(body.path()->string_view());
  if (!path) return reply.error(path.error());
  answer_scope(client.loop(), *path, ScopeDetail::kRetention, std::move(reply));
}

void handle(ClientConnection& client, const protocol::RetentionSet& body, Reply reply) {
  auto path = LevelPath::parse(body.path()->string_view());
  if (!path) return reply.error(path.error());
  CoreLoop& here = client.loop();
  const RetentionPolicy policy{body.retention()->soft_ms(), body.retention()->hard_ms(),
                               body.retention()->size_bytes()};
  auto done = then_answer_scope(here, *path, ScopeDetail::kRetention, std::move(reply));
  here.node().controller->set_retention(*path, policy, std::move(done));
}

void handle(ClientConnection& client, const protocol::RetentionDelete& body, Reply reply) {
  auto path = LevelPath::parse(body.path()->string_view());
  if (!path) return reply.error(path.error());
  CoreLoop& here = client.loop();
  auto done = then_answer_scope(here, *path, ScopeDetail::kRetention, std::move(reply));
  here.node().controller->set_retention(*path, std::nullopt, std::move(done));
}

}  // namespace andyx::server
