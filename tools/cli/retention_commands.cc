// Retention policies of every level.
#include "tools/cli/print_result.h"
#include "tools/cli/show_scope.h"

namespace andyx::cli {

Outcome run_command(Session& session, const RetentionSet& command) {
  return show(session, session.client.admin().scopes().set_retention(command.path, command.policy),
              &retention_json, &retention_table);
}

Outcome run_command(Session& session, const RetentionShow& command) {
  return show(session, session.client.admin().scopes().retention(command.path), &retention_json,
              &retention_table);
}

Outcome run_command(Session& session, const RetentionDelete& command) {
  return show(session, session.client.admin().scopes().delete_retention(command.path),
              &retention_json, &retention_table);
}

}  // namespace andyx::cli
