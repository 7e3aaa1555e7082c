#include "tools/cli/dead_options.h"

#include "tools/common/options.h"

namespace andyx::cli {
namespace {

template <typename Dead>
void add_dead_options(CLI::App& app, Dead& dead) {
  add_topic_name(app, dead.topic);
  app.add_option("--subscription", dead.subscription, "only what this subscription gave up on")
      ->type_name("NAME");
  tools::add_number<std::uint64_t>(app, "--count", dead.count, "N", "at most this many");
}

}  // namespace

void add_dead_commands(CLI::App& app, DeadValues& values, Chosen& chosen) {
  CLI::App& group = add_group(app, "dead", "List messages that failed too often, send them back");
  add_dead_options(add_command(group, "list",
                               "List the dead letters of a topic: where, subscription, origin, "
                               "deliveries, key and payload",
                               chosen, values.list),
                   values.list);
  add_dead_options(
      add_command(group, "redrive", "Send dead letters back to their topic, to all subscriptions",
                  chosen, values.redrive),
      values.redrive);
}

}  // namespace andyx::cli
