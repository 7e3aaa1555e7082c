#include "tools/cli/arguments.h"

#include <charconv>

#include "protocol/base/limits.h"
#include "tools/cli/cluster_options.h"
#include "tools/cli/command_options.h"
#include "tools/cli/dead_options.h"
#include "tools/cli/metadata_options.h"
#include "tools/cli/scope_options.h"
#include "tools/common/options.h"

namespace andyx::cli {
namespace {

using tools::add_choice;
using tools::add_integer;
using tools::add_number;
using tools::add_parsed;

constexpr std::uint32_t kMaxTimeoutMs = 86'400'000;

const tools::Choices<Print>& print_choices() {
  static const tools::Choices<Print> kChoices{
      {{"value", Print::kValue}, {"key-value", Print::kKeyValue}, {"json", Print::kJson}}};
  return kChoices;
}

const tools::Choices<OutputFormat>& output_choices() {
  static const tools::Choices<OutputFormat> kChoices{
      {{"table", OutputFormat::kTable}, {"json", OutputFormat::kJson}}};
  return kChoices;
}

// Every command's values, to which its options are bound; the one that was asked for becomes the
// Command.
struct Values {
  TopicCreate topic_create;
  TopicList topic_list;
  TopicDescribe topic_describe;
  TopicDelete topic_delete;
  Produce produce;
  Read read;
  Consume consume;
  SubscriptionCreate subscription_create;
  SubscriptionList subscription_list;
  SubscriptionDescribe subscription_describe;
  SubscriptionReset subscription_reset;
  SubscriptionDelete subscription_delete;
  DeadValues dead;
  ProducerCreate producer_create;
  ProducerList producer_list;
  ProducerDelete producer_delete;
  NodeStatus node_status;
  ClusterValues cluster;
  MetadataValues metadata;
  ScopeValues scopes;
  Chosen chosen;
};

void add_subscription_name(CLI::App& app, std::string& name) {
  app.add_option("SUBSCRIPTION", name, "name of the subscription")->required()->type_name("");
}

CLI::App& add_topic_commands(CLI::App& app, Values& values) {
  CLI::App& group = add_group(app, "topic", "Create, list, describe, alter and delete topics");
  CLI::App& create =
      add_command(group, "create", "Create a topic", values.chosen, values.topic_create);
  add_topic_name(create, values.topic_create.topic);
  client::TopicSpec& spec = values.topic_create.spec;
  add_number<std::uint32_t>(create, "--partitions", spec.partitions, "N",
                            "how many partitions (default 1)", 1, limits::kMaxPartitionsPerTopic);
  add_number<std::uint32_t>(create, "--replication-factor", spec.replication_factor, "R",
                            "copies of each partition (default: 3, or one on each broker)", 1,
                            limits::kMaxReplicationFactor);
  create.add_flag("--async", spec.async,
                  "acknowledged by one copy; the others follow behind and are no quorum");
  add_command(group, "list", "List all topics", values.chosen, values.topic_list);
  CLI::App& describe = add_command(group, "describe", "Show a topic and its partitions",
                                   values.chosen, values.topic_describe);
  add_topic_name(describe, values.topic_describe.topic);
  CLI::App& remove = add_command(group, "delete", "Delete a topic with all its messages",
                                 values.chosen, values.topic_delete);
  add_topic_name(remove, values.topic_delete.topic);
  return group;
}

std::pair<std::string, std::string> parse_header(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw CLI::ValidationError("--header", "'" + text + "' should be NAME=VALUE");
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

void add_produce(CLI::App& parent, Values& values) {
  Produce& produce = values.produce;
  CLI::App& app = add_command(
      parent, "produce",
      "Send every line of a file or of standard input as a message; ends when all are acknowledged",
      values.chosen, produce);
  add_topic_name(app, produce.topic);
  app.add_option("--file", produce.file, "what to send; - is standard input")
      ->capture_default_str()
      ->type_name("FILE");
  CLI::Option* key = app.add_option("--key", produce.key, "key of every message")->type_name("KEY");
  const auto set_separator = [&produce](const CLI::results_t& words) {
    const Result<std::string> separator = unescape_separator(words.back());
    if (!separator) throw CLI::ValidationError("--key-separator", separator.error().message);
    produce.key_separator = *separator;
    return true;
  };
  app.add_option("--key-separator", set_separator,
                 "a line is KEY, the first separator, payload; a line without it has no key "
                 "(\\t is a tab)")
      ->type_name("C")
      ->expected(1)
      ->excludes(key);
  const auto add_headers = [&produce](const CLI::results_t& words) {
    for (const std::string& word : words) produce.headers.push_back(parse_header(word));
    return true;
  };
  app.add_option("--header", add_headers, "header of every message; may be given several times")
      ->type_name("NAME=VALUE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  add_choice(app, "--acks", produce.acks, tools::acks_choices(),
             "acknowledged: on receipt, when durable on the main, when committed (default main)");
  add_choice(app, "--compression", produce.compression, tools::compression_choices(),
             "of batches (default none)");
  add_parsed(app, "--deliver-at", produce.deliver_at, &tools::parse_time, "TIME",
             "not delivered before TIME (RFC 3339, or +10s); reading shows it at once");
  app.add_option(
         "--message-id-header", produce.message_id_header,
         "the value of this header is the message id, by which the server knows repetitions")
      ->type_name("NAME");
  CLI::Option* name =
      app.add_option("--producer", produce.producer, "name of this producer (default: none)")
          ->type_name("NAME");
  add_choice(app, "--instance", produce.instance, tools::instance_choices(),
             "of a producer with a name: one at a time, or any number (default multiple)")
      ->needs(name);
}

void add_producer_commands(CLI::App& app, Values& values) {
  CLI::App& group = add_group(app, "producer", "Create, list and delete producers with a name");
  const auto add_name = [](CLI::App& command, std::string& producer) {
    command.add_option("NAME", producer, "name of the producer")->required();
  };
  ProducerCreate& create = values.producer_create;
  CLI::App& create_app =
      add_command(group, "create", "Register a producer with a topic", values.chosen, create);
  add_topic_name(create_app, create.topic);
  add_name(create_app, create.producer);
  add_choice(create_app, "--instance", create.instance, tools::instance_choices(),
             "one at a time, or any number (default multiple)");

  CLI::App& list = add_command(group, "list", "List the producers of a topic", values.chosen,
                               values.producer_list);
  add_topic_name(list, values.producer_list.topic);

  CLI::App& remove = add_command(group, "delete", "Delete a producer: it can produce no longer",
                                 values.chosen, values.producer_delete);
  add_topic_name(remove, values.producer_delete.topic);
  add_name(remove, values.producer_delete.producer);
}

void add_print(CLI::App& app, Print& print) {
  add_choice(app, "--print", print, print_choices(),
             "what to print of a message; key-value puts a tab between (default value)");
}

void add_read(CLI::App& parent, Values& values) {
  Read& read = values.read;
  CLI::App& app = add_command(
      parent, "read",
      "Print messages without a subscription: to the end as it was at the start, or --follow",
      values.chosen, read);
  add_topic_name(app, read.topic);
  add_number<std::uint32_t>(app, "--partition", read.partition, "P",
                            "only this one (default: all)");
  CLI::Option* offset = add_number<std::uint64_t>(app, "--offset", read.offset, "N",
                                                  "from this offset on, in each partition");
  add_parsed(app, "--since", read.since, &tools::parse_time, "TIME",
             "from the first message appended at or after TIME (RFC 3339, or -1h) on")
      ->excludes(offset);
  add_number<std::uint64_t>(app, "--count", read.count, "N", "at most this many messages");
  app.add_flag("--follow", read.follow, "wait for new messages at the end");
  add_print(app, read.print);
}

constexpr const char* kStartType = "earliest|latest|offset:N|TIME";

void add_consumer(CLI::App& app, Consume& consume) {
  app.add_option("--consumer", consume.consumer,
                 "name of this consumer, unique on the subscription (default: a random one)")
      ->type_name("NAME");
  add_integer(app, "--priority", consume.priority, "N",
              "failover: partitions go to the consumers of the highest (default 0)");
  add_number<std::uint32_t>(app, "--ack-timeout", consume.ack_timeout_ms, "MS",
                            "a message unanswered for so long is delivered again (default: never)",
                            1, limits::kMaxAckTimeoutMs);
  add_number<std::uint32_t>(
      app, "--max-deliveries", consume.max_deliveries, "N",
      "a message that failed so often goes to the dead-letter topic (default: never)", 1);
  app.add_flag("--key-ordered", consume.key_ordered,
               "a new shared subscription keeps messages of one key in order");
  app.add_flag("--take-over", consume.take_over,
               "detach who is in the way: the consumer of a unique subscription, or the one of the "
               "same name");
}

void add_consume(CLI::App& parent, Values& values) {
  Consume& consume = values.consume;
  CLI::App& app = add_command(
      parent, "consume",
      "Print and answer the messages of a subscription; creates the subscription when it is missing",
      values.chosen, consume);
  add_topic_name(app, consume.topic);
  app.add_option("--subscription", consume.subscription, "name of the subscription")
      ->required()
      ->type_name("NAME");
  add_choice(app, "--type", consume.type, tools::type_choices(),
             "(default: as the subscription is; a new one: unique)");
  add_choice(app, "--mode", consume.mode, tools::mode_choices(),
             "(default: as the subscription is; a new one: resilient)");
  add_parsed(app, "--from", consume.from, &tools::parse_start, kStartType,
             "where a new subscription starts (default latest)");
  add_number<std::uint64_t>(
      app, "--count", consume.count, "N",
      "exit after this many messages; status 4 when none comes for --idle-exit, "
      "or else --timeout, before that");
  add_number<std::uint32_t>(app, "--idle-exit", consume.idle_exit_ms, "MS",
                            "exit when no message came for so long");
  add_choice(app, "--answer", consume.answer, tools::answer_choices(),
             "how to answer each message (default ack)");
  add_number<std::uint32_t>(app, "--delay", consume.delay_ms, "MS",
                            "with --answer unack: come again after so long (default 0)", 0,
                            limits::kMaxRedeliveryDelayMs);
  add_consumer(app, consume);
  add_print(app, consume.print);
  app.callback([&values, &consume] {
    if (consume.delay_ms > 0 && consume.answer != client::AnswerKind::kUnacknowledge)
      throw CLI::ValidationError("--delay", "goes with --answer unack");
    values.chosen = consume;
  });
}

void add_watch(CLI::App& app, SubscriptionDescribe& describe) {
  CLI::Option* watch =
      app.add_flag("--watch", describe.watch, "show it again and again, until a signal");
  add_number<std::uint32_t>(app, "--interval", describe.interval_ms, "MS",
                            "with --watch: how often (default 1000)", 1, kMaxTimeoutMs)
      ->needs(watch);
  add_number<std::uint64_t>(app, "--count", describe.count, "N",
                            "with --watch: exit after so many times", 1)
      ->needs(watch);
}

void add_subscription_commands(CLI::App& app, Values& values) {
  CLI::App& group =
      add_group(app, "subscription", "Create, list, describe, reset and delete subscriptions");
  SubscriptionCreate& create = values.subscription_create;
  CLI::App& create_app =
      add_command(group, "create", "Create a subscription", values.chosen, create);
  add_topic_name(create_app, create.topic);
  add_subscription_name(create_app, create.subscription);
  add_choice(create_app, "--type", create.type, tools::type_choices(), "(default unique)");
  add_choice(create_app, "--mode", create.mode, tools::mode_choices(), "(default resilient)");
  add_parsed(create_app, "--from", create.from, &tools::parse_start, kStartType,
             "where it starts (default latest)");
  create_app.add_flag("--key-ordered", create.key_ordered,
                      "shared only: messages of one key stay in order");

  CLI::App& list = add_command(group, "list", "List the subscriptions of a topic", values.chosen,
                               values.subscription_list);
  add_topic_name(list, values.subscription_list.topic);

  CLI::App& describe = add_command(group, "describe", "Show a subscription, its position and lag",
                                   values.chosen, values.subscription_describe);
  add_topic_name(describe, values.subscription_describe.topic);
  add_subscription_name(describe, values.subscription_describe.subscription);
  add_watch(describe, values.subscription_describe);

  SubscriptionReset& reset = values.subscription_reset;
  CLI::App& reset_app =
      add_command(group, "reset", "Move a subscription to another position", values.chosen, reset);
  add_topic_name(reset_app, reset.topic);
  add_subscription_name(reset_app, reset.subscription);
  add_parsed(reset_app, "--to", reset.to, &tools::parse_start, kStartType, "the next message")
      ->required();
  add_number<std::uint32_t>(reset_app, "--partition", reset.partition, "P",
                            "only this one (default: all)", 0, limits::kMaxPartitionsPerTopic - 1);

  CLI::App& remove = add_command(group, "delete", "Delete a subscription and its position",
                                 values.chosen, values.subscription_delete);
  add_topic_name(remove, values.subscription_delete.topic);
  add_subscription_name(remove, values.subscription_delete.subscription);
}

void add_global_options(CLI::App& app, GlobalOptions& global) {
  app.set_version_flag("--version", "andyx-cli " ANDYX_VERSION);
  app.add_option("--server", global.server, "nodes of the cluster; any that answers will do")
      ->envname("ANDYX_SERVER")
      ->capture_default_str()
      ->type_name("HOST:PORT,…");
  app.add_flag("--front-door", global.front_door,
               "only these addresses can be reached: they pass on what is for other nodes");
  add_choice(app, "--output", global.output, output_choices(),
             "how to print results (default table); JSON.md describes the JSON");
  add_number<std::uint32_t>(
      app, "--timeout", global.timeout_ms, "MS",
      "give up, with status 4, after so long without progress (default 30000)", 1, kMaxTimeoutMs);
}

}  // namespace

Result<std::string> unescape_separator(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    if (text.front() != '\\') {
      out += text.front();
      text.remove_prefix(1);
      continue;
    }
    const char kind = text.size() > 1 ? text[1] : '\0';
    std::size_t used = 2;
    unsigned code = 0;
    if (kind == 't') {
      code = '\t';
    } else if (kind == 'n') {
      code = '\n';
    } else if (kind == '\\') {
      code = '\\';
    } else if (kind == '0') {
      code = 0;
    } else if (kind == 'x' && text.size() >= 4 &&
               std::from_chars(text.data() + 2, text.data() + 4, code, 16).ptr == text.data() + 4) {
      used = 4;
    } else {
      return fail(ErrorCode::kBadArgument,
                  "a backslash should start one of \\t \\n \\0 \\\\ \\xHH");
    }
    out += static_cast<char>(code);
    text.remove_prefix(used);
  }
  if (out.empty()) return fail(ErrorCode::kBadArgument, "the separator should not be empty");
  return out;
}

std::variant<Arguments, tools::ExitStatus> parse_arguments(int argc, const char* const* argv) {
  CLI::App app(
      "Talks to an Andy X node: topics, messages, subscriptions, settings, the cluster.\n"
      "Exit status: 0 done, 1 wrong usage, 2 no server reached, 3 refused by the server, 4 timed out",
      "andyx-cli");
  app.require_subcommand(1);
  app.fallthrough();  // global options may follow the command
  Arguments arguments;
  arguments.global.server = tools::kDefaultServer;
  Values values;
  add_global_options(app, arguments.global);
  CLI::App& topics = add_topic_commands(app, values);
  add_produce(app, values);
  add_read(app, values);
  add_consume(app, values);
  add_subscription_commands(app, values);
  add_dead_commands(app, values.dead, values.chosen);
  add_scope_commands(app, topics, values.scopes, values.chosen);
  add_producer_commands(app, values);
  CLI::App& node = add_group(app, "node", "Show the state of a node");
  add_command(node, "status", "Show the state of the node", values.chosen, values.node_status);
  add_cluster_commands(app, values.cluster, values.chosen);
  add_metadata_commands(app, values.metadata, values.chosen);

  if (const auto status = tools::run_parser(app, argc, argv)) return *status;
  arguments.command = std::move(*values.chosen);
  return arguments;
}

}  // namespace andyx::cli
