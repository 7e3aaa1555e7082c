// tenant, product and component commands.
#include "tools/cli/print_result.h"
#include "tools/cli/show.h"
#include "tools/cli/show_scope.h"
#include "tools/cli/show_text.h"

namespace andyx::cli {

Outcome run_command(Session& session, const ScopeCreate& command) {
  return show(session, session.client.admin().scopes().create(command.path, command.description),
              &scope_json, &scope_table);
}

Outcome run_command(Session& session, const ScopeList& command) {
  const auto scopes = session.client.admin().scopes().list(command.parent);
  if (!scopes) return std::unexpected(scopes.error());
  return print(session.json() ? scopes_json(command.level, *scopes)
                              : scopes_table(command.level, *scopes));
}

Outcome run_command(Session& session, const ScopeDescribe& command) {
  return show(session, session.client.admin().scopes().describe(command.path), &scope_json,
              &scope_table);
}

Outcome run_command(Session& session, const ScopeDelete& command) {
  const Status removed = session.client.admin().scopes().remove(command.path);
  if (!removed) return std::unexpected(removed.error());
  return print(session.json() ? json_line({{"deleted", command.path}})
                              : "deleted " + std::string(level_word(command.level)) + " " +
                                    command.path + '\n');
}

Outcome run_command(Session& session, const TenantActivate& command) {
  const Status done = session.client.admin().scopes().activate(command.tenant, command.active);
  if (!done) return std::unexpected(done.error());
  return print(session.json() ? json_line({{"tenant", command.tenant}, {"active", command.active}})
                              : "tenant " + command.tenant + " is " +
                                    (command.active ? "active" : "deactivated") + '\n');
}

}  // namespace andyx::cli
