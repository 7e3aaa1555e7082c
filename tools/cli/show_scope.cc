#include "tools/cli/show_scope.h"

#include <algorithm>

#include "tools/cli/show_text.h"
#include "tools/common/progress.h"
#include "tools/common/table.h"
#include "tools/common/time_text.h"

namespace andyx::cli {
namespace {

// By the parts of its path: 0 is a tenant, 3 a topic.
std::size_t depth_of(const std::string& path) {
  return static_cast<std::size_t>(std::ranges::count(path, '/'));
}

std::string level_of(const std::string& path) {
  constexpr const char* kWords[] = {"tenant", "product", "component", "topic"};
  return kWords[std::min<std::size_t>(depth_of(path), 3)];
}

std::string children_of(const std::string& path) {
  constexpr const char* kWords[] = {"products", "components", "topics", ""};
  return kWords[std::min<std::size_t>(depth_of(path), 3)];
}

Json summary(const client::ScopeInfo& scope) {
  return Json{{"path", scope.path},
              {"description", scope.description},
              {"active", scope.active},
              {"created", tools::format_time(scope.created_us)},
              {"children", scope.children}};
}

Json settings_of(const client::ScopeInfo& scope) {
  Json settings = Json::array();
  for (const client::Setting& setting : scope.settings) {
    settings.push_back(
        Json{{"key", setting.key}, {"value", setting.value}, {"origin", setting.origin}});
  }
  return settings;
}

// What is not set is null.
Json amount(std::int64_t value) { return value < 0 ? Json() : Json(value); }

Json retention_of(const client::ScopeInfo& scope) {
  if (!scope.retention) return Json();
  return Json{{"soft_ms", amount(scope.retention->soft_ms)},
              {"hard_ms", amount(scope.retention->hard_ms)},
              {"size_bytes", amount(scope.retention->size_bytes)}};
}

std::string settings_rows(const client::ScopeInfo& scope) {
  tools::Table table({"SETTING", "VALUE", "FROM"});
  for (const client::Setting& setting : scope.settings) {
    table.add({setting.key, setting.value, setting.origin.empty() ? "default" : setting.origin});
  }
  return table.text();
}

std::string duration(std::int64_t ms) {
  return tools::format_duration_ms(static_cast<std::uint64_t>(ms));
}

std::string retention_line(const client::ScopeInfo& scope) {
  if (!scope.retention) return "retention: none, nothing is deleted\n";
  std::string text;
  const auto add = [&text](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  if (scope.retention->soft_ms >= 0) add("soft " + duration(scope.retention->soft_ms));
  if (scope.retention->hard_ms >= 0) add("hard " + duration(scope.retention->hard_ms));
  if (scope.retention->size_bytes >= 0) {
    add("size " + tools::short_bytes(static_cast<double>(scope.retention->size_bytes)) +
        " of each partition");
  }
  return "retention: " + text + ", from " + scope.retention_origin + '\n';
}

}  // namespace

std::string scope_table(const client::ScopeInfo& scope) {
  std::string out = level_of(scope.path) + " " + scope.path +
                    (scope.active ? "" : "  deactivated") + "  created " +
                    tools::format_time(scope.created_us) + "  " + number(scope.children) + " " +
                    children_of(scope.path) + '\n';
  if (!scope.description.empty()) out += scope.description + '\n';
  return out + retention_line(scope) + settings_rows(scope);
}

std::string scope_json(const client::ScopeInfo& scope) {
  Json json = summary(scope);
  json["settings"] = settings_of(scope);
  json["retention"] = retention_of(scope);
  json["retention_origin"] = scope.retention_origin;
  return json_line(json);
}

std::string scopes_table(ScopeLevel level, const std::vector<client::ScopeInfo>& scopes) {
  constexpr const char* kColumns[][2] = {
      {"TENANT", ">PRODUCTS"}, {"PRODUCT", ">COMPONENTS"}, {"COMPONENT", ">TOPICS"}};
  const auto& columns = kColumns[static_cast<std::size_t>(level) - 1];
  tools::Table table({columns[0], "ACTIVE", columns[1], "CREATED", "DESCRIPTION"});
  for (const client::ScopeInfo& scope : scopes) {
    table.add({scope.path, scope.active ? "yes" : "no", number(scope.children),
               tools::format_time(scope.created_us), scope.description});
  }
  return table.text();
}

std::string scopes_json(ScopeLevel level, const std::vector<client::ScopeInfo>& scopes) {
  const std::string name = std::string(level_word(level)) + "s";
  Json json{{name, Json::array()}};
  for (const client::ScopeInfo& scope : scopes) json[name].push_back(summary(scope));
  return json_line(json);
}

std::string settings_table(const client::ScopeInfo& scope) { return settings_rows(scope); }

std::string settings_json(const client::ScopeInfo& scope) {
  return json_line(Json{{"path", scope.path}, {"settings", settings_of(scope)}});
}

std::string retention_table(const client::ScopeInfo& scope) { return retention_line(scope); }

std::string retention_json(const client::ScopeInfo& scope) {
  return json_line(Json{{"path", scope.path},
                        {"retention", retention_of(scope)},
                        {"retention_origin", scope.retention_origin}});
}

}  // namespace andyx::cli
