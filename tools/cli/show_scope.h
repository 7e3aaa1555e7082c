// Tenants, products, components, settings and retention as tables and as the JSON that JSON.md
// describes. Any thread.
#pragma once

#include <string>
#include <vector>

#include "andyx/scopes.h"
#include "tools/cli/scope_arguments.h"

namespace andyx::cli {

// Each ends with LF.
std::string scope_table(const client::ScopeInfo& scope);
std::string scope_json(const client::ScopeInfo& scope);
std::string scopes_table(ScopeLevel level, const std::vector<client::ScopeInfo>& scopes);
std::string scopes_json(ScopeLevel level, const std::vector<client::ScopeInfo>& scopes);

std::string settings_table(const client::ScopeInfo& scope);
std::string settings_json(const client::ScopeInfo& scope);

std::string retention_table(const client::ScopeInfo& scope);
std::string retention_json(const client::ScopeInfo& scope);

}  // namespace andyx::cli
