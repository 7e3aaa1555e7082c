// Settings of every level, and what may be changed of a topic.
#include "tools/cli/print_result.h"
#include "tools/cli/show.h"
#include "tools/cli/show_scope.h"
#include "tools/cli/show_text.h"

namespace andyx::cli {
namespace {

Result<client::ScopeInfo> set_or_get(Session& session, const std::string& path,
                                     const SettingList& set) {
  auto scopes = session.client.admin().scopes();
  return set.empty() ? scopes.settings(path) : scopes.set_settings(path, set);
}

}  // namespace

Outcome run_command(Session& session, const SettingsCommand& command) {
  std::string path = command.path;
  if (command.of_topic) {
    const auto topic = TopicName::parse(path);
    if (!topic) return std::unexpected(topic.error());
    path = topic->path();
  }
  return show(session, set_or_get(session, path, command.set), &settings_json, &settings_table);
}

// The settings first: they are refused as a whole, and then nothing has happened yet.
Outcome run_command(Session& session, const TopicAlter& command) {
  if (!command.set.empty()) {
    const auto topic = TopicName::parse(command.topic);
    if (!topic) return std::unexpected(topic.error());
    const auto set = set_or_get(session, topic->path(), command.set);
    if (!set) return std::unexpected(set.error());
    if (!command.partitions && !command.replication_factor) {
      return print(session.json() ? settings_json(*set) : settings_table(*set));
    }
  }
  const client::TopicChange change{.partitions = command.partitions.value_or(0),
                                   .replication_factor = command.replication_factor.value_or(0)};
  return show(session, session.client.admin().alter_topic(command.topic, change), &topic_json,
              &topic_table);
}

}  // namespace andyx::cli
