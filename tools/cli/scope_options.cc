#include "tools/cli/scope_options.h"

#include <algorithm>

#include "protocol/base/limits.h"
#include "tools/common/options.h"
#include "tools/common/size_text.h"

namespace andyx::cli {
namespace {

constexpr const char* kAnyPath =
    "TENANT, TENANT/PRODUCT, TENANT/PRODUCT/COMPONENT or one with /TOPIC";

constexpr const char* kSettingsHelp =
    "Settings, and down to which level they may be set; below, they are inherited:\n"
    "  tenant     product-auto-create, encryption\n"
    "  product    component-auto-create\n"
    "  component  topic-auto-create, subscription-auto-create, producer-auto-create,\n"
    "             authorization, schema-validation\n"
    "  topic      default-partitions, max-message-bytes, dedup-window-ms\n"
    "KEY= without a value removes what this level says. Several --set are all done, or none.";

std::string form_of(ScopeLevel level) {
  switch (level) {
    case ScopeLevel::kTenant:
      return "TENANT";
    case ScopeLevel::kProduct:
      return "TENANT/PRODUCT";
    case ScopeLevel::kComponent:
      break;
  }
  return "TENANT/PRODUCT/COMPONENT";
}

std::string_view without_scheme(std::string_view path) {
  constexpr std::string_view kScheme = "andyx://";
  if (path.starts_with(kScheme)) path.remove_prefix(kScheme.size());
  return path;
}

// Whether it has the right number of parts; the server looks at the names.
CLI::Option* add_path(CLI::App& app, ScopeLevel level, std::string& path) {
  const auto check = [level](const std::string& text) -> std::string {
    const auto slashes = std::ranges::count(without_scheme(text), '/');
    if (slashes + 1 == static_cast<int>(level)) return {};
    return "'" + text + "' should be " + form_of(level);
  };
  return app.add_option("PATH", path, form_of(level))->required()->type_name("")->check(check);
}

void add_any_path(CLI::App& app, std::string& path) {
  app.add_option("PATH", path, kAnyPath)->required()->type_name("");
}

void add_set(CLI::App& app, SettingList& set) {
  const auto add = [&set](const CLI::results_t& words) {
    for (const std::string& word : words) {
      const std::size_t equals = word.find('=');
      if (equals == std::string::npos || equals == 0) {
        throw CLI::ValidationError("--set", "'" + word + "' should be KEY=VALUE");
      }
      set.emplace_back(word.substr(0, equals), word.substr(equals + 1));
    }
    return true;
  };
  app.add_option("--set", add, "set this; may be given several times. KEY= removes it")
      ->type_name("KEY=VALUE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.footer(kSettingsHelp);
}

CLI::App& add_level(CLI::App& app, ScopeLevel level, const std::string& what,
                    ScopeValues::OfLevel& values, Chosen& chosen) {
  const std::string word(level_word(level));
  CLI::App& group = *app.add_subcommand(word, what)->require_subcommand(1);
  values.create.level = values.list.level = level;
  values.describe.level = values.remove.level = level;
  CLI::App& create = add_command(group, "create", "Create a " + word, chosen, values.create);
  add_path(create, level, values.create.path);
  create.add_option("--description", values.create.description, "what it is for")
      ->type_name("TEXT");

  CLI::App& list = add_command(group, "list", "List the " + word + "s", chosen, values.list);
  if (level > ScopeLevel::kTenant) {
    add_path(list, static_cast<ScopeLevel>(static_cast<int>(level) - 1), values.list.parent);
  }
  CLI::App& describe =
      add_command(group, "describe", "Show a " + word + ", its settings and its retention", chosen,
                  values.describe);
  add_path(describe, level, values.describe.path);
  CLI::App& remove = add_command(group, "delete", "Delete a " + word + " that holds nothing",
                                 chosen, values.remove);
  add_path(remove, level, values.remove.path);
  CLI::App& settings = add_command(group, "settings", "Show the settings in force, or --set some",
                                   chosen, values.settings);
  add_path(settings, level, values.settings.path);
  add_set(settings, values.settings.set);
  return group;
}

void add_activation(CLI::App& tenants, ScopeValues& values, Chosen& chosen) {
  values.deactivate.active = false;
  CLI::App& activate =
      add_command(tenants, "activate", "Let its topics be produced to and consumed again", chosen,
                  values.activate);
  add_path(activate, ScopeLevel::kTenant, values.activate.tenant);
  CLI::App& deactivate = add_command(tenants, "deactivate",
                                     "Refuse producers and consumers of its topics; the data stays",
                                     chosen, values.deactivate);
  add_path(deactivate, ScopeLevel::kTenant, values.deactivate.tenant);
}

void add_topic_commands(CLI::App& topics, ScopeValues& values, Chosen& chosen) {
  CLI::App& settings = add_command(topics, "settings", "Show the settings in force, or --set some",
                                   chosen, values.topic_settings);
  values.topic_settings.of_topic = true;
  add_topic_name(settings, values.topic_settings.path);
  add_set(settings, values.topic_settings.set);

  CLI::App& alter =
      add_command(topics, "alter",
                  "Add partitions to a topic, change how many copies they have, or its settings",
                  chosen, values.topic_alter);
  add_topic_name(alter, values.topic_alter.topic);
  CLI::Option* partitions = tools::add_number<std::uint32_t>(
      alter, "--partitions", values.topic_alter.partitions, "N",
      "how many it has from now on; never fewer than before. Keys may move to other partitions", 1,
      limits::kMaxPartitionsPerTopic);
  CLI::Option* copies = tools::add_number<std::uint32_t>(
      alter, "--replication-factor", values.topic_alter.replication_factor, "R",
      "copies of each partition from now on", 1, limits::kMaxReplicationFactor);
  add_set(alter, values.topic_alter.set);
  alter.callback([&alter, &values, &chosen, partitions, copies] {
    if (partitions->count() + copies->count() + alter.get_option("--set")->count() == 0) {
      throw CLI::RequiredError("--partitions, --replication-factor or --set");
    }
    chosen = values.topic_alter;
  });
}

// `parse(text)` into a field that is -1 until then.
CLI::Option* add_amount(CLI::App& app, const std::string& name, std::int64_t& target,
                        Result<std::int64_t> (*parse)(std::string_view), const std::string& type,
                        const std::string& what) {
  const auto set = [&target, parse, name](const CLI::results_t& words) {
    const Result<std::int64_t> value = parse(words.back());
    if (!value) throw CLI::ValidationError(name, value.error().message);
    target = *value;
    return true;
  };
  return app.add_option(name, set, what)->type_name(type)->expected(1);
}

void add_retention(CLI::App& app, ScopeValues& values, Chosen& chosen) {
  CLI::App& group =
      *app.add_subcommand("retention", "Say how long messages are kept")->require_subcommand(1);
  group.footer(
      "The nearest level with a policy decides: topic, component, product, tenant; its policy\n"
      "stands as a whole. Without any nothing is deleted. Ages are judged by append time.");
  client::RetentionPolicy& policy = values.retention_set.policy;
  CLI::App& set = add_command(group, "set", "Give a level a policy, in place of the one it had",
                              chosen, values.retention_set);
  add_any_path(set, values.retention_set.path);
  auto* amounts = set.add_option_group("policy", "at least one of them");
  amounts->require_option(1, 3);
  add_amount(*amounts, "--soft", policy.soft_ms, &tools::parse_duration_ms, "D",
             "delete messages older than this once every subscription has answered them");
  add_amount(*amounts, "--hard", policy.hard_ms, &tools::parse_duration_ms, "D",
             "delete messages older than this, answered or not; not shorter than --soft");
  add_amount(*amounts, "--size", policy.size_bytes, &tools::parse_bytes, "BYTES",
             "keep about so much of each partition; the oldest go, answered or not");
  set.footer("D is 30s, 5m, 12h, 7d, 2w or milliseconds; BYTES is 10GB, 512MiB or a number.");

  CLI::App& show = add_command(group, "show", "Show the policy in force, and where it comes from",
                               chosen, values.retention_show);
  add_any_path(show, values.retention_show.path);
  CLI::App& remove = add_command(group, "delete", "Take a level's own policy away", chosen,
                                 values.retention_delete);
  add_any_path(remove, values.retention_delete.path);
}

}  // namespace

std::string_view level_word(ScopeLevel level) {
  switch (level) {
    case ScopeLevel::kTenant:
      return "tenant";
    case ScopeLevel::kProduct:
      return "product";
    case ScopeLevel::kComponent:
      break;
  }
  return "component";
}

void add_scope_commands(CLI::App& app, CLI::App& topics, ScopeValues& values, Chosen& chosen) {
  add_topic_commands(topics, values, chosen);
  CLI::App& tenants = add_level(app, ScopeLevel::kTenant, "Manage tenants, which hold products",
                                values.levels[ScopeLevel::kTenant], chosen);
  add_activation(tenants, values, chosen);
  add_level(app, ScopeLevel::kProduct, "Manage products, which hold components",
            values.levels[ScopeLevel::kProduct], chosen);
  add_level(app, ScopeLevel::kComponent, "Manage components, which hold topics",
            values.levels[ScopeLevel::kComponent], chosen);
  add_retention(app, values, chosen);
}

}  // namespace andyx::cli
