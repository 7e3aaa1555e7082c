#include "tools/bench/options.h"

#include <algorithm>
#include <string_view>

#include "protocol/base/limits.h"
#include "tools/common/options.h"
#include "tools/common/size_text.h"

namespace andyx::bench {
namespace {

using tools::add_choice;
using tools::add_number;

constexpr std::uint32_t kMaxWorkers = 1'000;
constexpr std::uint32_t kMaxIdle = 1'000'000;
constexpr std::uint32_t kMaxPlots = 8;          // that a plot still tells apart
constexpr std::uint64_t kMinStampedBytes = 16;  // end-to-end: time and run id

CLI::App& add_command(CLI::App& app, Options& options, const std::string& name,
                      const std::string& what, BenchCommand command) {
  CLI::App* added = app.add_subcommand(name, what);
  added->callback([&options, command] { options.command = command; });
  return *added;
}

void add_amount(CLI::App& app, Options& options) {
  add_number<std::uint64_t>(app, "--messages", options.messages, "N", "how many messages", 1);
  app.add_option("--seconds", options.seconds,
                 "how long (default 10, without --messages); with both, until the first of them")
      ->type_name("S")
      ->check(CLI::Range(0.01, 86'400.0));
}

void add_size(CLI::App& app, Options& options, std::uint64_t least) {
  add_number<std::uint64_t>(app, "--size", options.size_bytes, "BYTES",
                            "of a payload (default 100)", least, limits::kMaxMessageBytes);
}

void add_batch(CLI::App& app, Options& options) {
  add_number<std::uint64_t>(app, "--batch", options.batch_bytes, "BYTES",
                            "of a batch (default 65536)", 1, limits::kMaxBatchBytes);
}

void add_json(CLI::App& app, Options& options) {
  app.add_option("--json", options.json_file, "write the report there; - is standard output")
      ->type_name("FILE");
}

void add_replication_factor(CLI::App& app, std::uint32_t& target) {
  add_number<std::uint32_t>(app, "--replication-factor", target, "N",
                            "copies of each partition of a topic that is created here (default: as "
                            "the server decides)",
                            1, limits::kMaxReplicationFactor);
}

void add_connection(CLI::App& app, Options& options) {
  app.add_option("TOPIC", options.topic, "NAME or andyx://tenant/product/component/NAME")
      ->required()
      ->type_name("");
  add_number<std::uint32_t>(app, "--partitions", options.partitions, "N",
                            "of a topic that is missing, and so is created (default 4)", 1,
                            limits::kMaxPartitionsPerTopic);
  add_replication_factor(app, options.replication_factor);
}

// How messages are sent, whatever decides their number.
void add_sending(CLI::App& app, Options& options) {
  add_choice(app, "--acks", options.acks, tools::acks_choices(), "(default main)");
  add_choice(app, "--compression", options.compression, tools::compression_choices(),
             "of batches (default none)");
  add_batch(app, options);
  add_number<std::uint32_t>(app, "--linger", options.linger_ms, "MS",
                            "how long a batch waits for more messages (default 2)", 0, 60'000);
  add_number<std::uint64_t>(app, "--buffer", options.buffer_bytes, "BYTES",
                            "of each producer: sent and not yet answered (default 32 MiB)", 1,
                            1u << 30);
}

CLI::Option* add_rate(CLI::App& app, Options& options, const std::string& what) {
  return add_number<std::uint64_t>(app, "--rate", options.rate, "N",
                                   what + " (default: as many as possible)", 1);
}

void add_producing(CLI::App& app, Options& options) {
  add_number<std::uint32_t>(app, "--producers", options.producers, "N",
                            "each with a connection of its own (default 1)", 1, kMaxWorkers);
  add_rate(app, options, "messages/s of all producers together");
  add_sending(app, options);
}

void add_consuming(CLI::App& app, Options& options) {
  add_number<std::uint32_t>(app, "--consumers", options.consumers, "N",
                            "each with a connection of its own (default 1)", 1, kMaxWorkers);
  app.add_option("--subscription", options.subscription,
                 "its name (default: one of its own, deleted at the end)")
      ->type_name("NAME");
  add_choice(app, "--type", options.type, tools::type_choices(), "(default unique)");
  add_choice(app, "--mode", options.mode, tools::mode_choices(), "(default nonresilient)");
}

void add_write_factor(CLI::App& app, Options& options, const std::string& what) {
  app.add_option("--write-factor", options.write_factor, what)
      ->type_name("F")
      ->check(CLI::Range(1.0, 100.0));
}

void add_limit_share(CLI::App& app, Options& options) {
  CLI::Option* file = app.add_option("--limit-file", options.limit_file,
                                     "compare with this report of `limit --json`")
                          ->type_name("FILE");
  app.add_option(
         "--with-limit", options.limit_directory,
         "run `limit` in this directory before and after, and compare with the mean (with --rate: "
         "at that rate, and compare the latencies); use the server's disk")
      ->type_name("DIRECTORY")
      ->excludes(file);
  add_write_factor(
      app, options,
      "with --with-limit: compare also (with --rate: only) with a `limit` that writes so "
      "many bytes for each byte of payload, as the server does");
}

void add_limit(CLI::App& app, Options& options) {
  CLI::App& limit = add_command(
      app, options, "limit",
      "What this machine can do: loopback TCP, append to a raw file, fdatasync, no features",
      BenchCommand::kLimit);
  add_amount(limit, options);
  add_size(limit, options, 1);
  add_batch(limit, options);
  add_number<std::uint64_t>(
      limit, "--window", options.window_bytes, "BYTES",
      "sent and not yet acknowledged (default: 10 batches for each of 4 partitions)", 1, 1u << 30);
  limit
      .add_option("--directory", options.directory,
                  "where the file is written; use the server's disk")
      ->capture_default_str()
      ->type_name("DIRECTORY");
  add_write_factor(limit, options, "bytes to the disk for each byte of payload (default 1)");
  CLI::Option* rate =
      add_rate(limit, options, "messages/s; the latency counts from when each was due");
  limit
      .add_flag("--one-at-a-time", options.one_at_a_time,
                "each message is sent by the acknowledgement of the one before")
      ->excludes(rate);
  limit.add_flag("--loopback-only", options.loopback_only,
                 "nothing is written: loopback TCP alone");
  add_json(limit, options);
}

const tools::Choices<SuitePart>& part_choices() {
  static const tools::Choices<SuitePart> kChoices{
      {{"shared", SuitePart::kShared},
       {"many-subscriptions", SuitePart::kManySubscriptions},
       {"many-partitions", SuitePart::kManyPartitions},
       {"backlog", SuitePart::kBacklog}}};
  return kChoices;
}

// "shared,backlog": run in this order, each once.
std::vector<SuitePart> parse_parts(std::string_view text) {
  std::vector<SuitePart> parts;
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string word(text.substr(0, comma));
    const auto part = part_choices().value_of(word);
    if (!part) {
      throw CLI::ValidationError("--parts",
                                 "'" + word + "' is not one of " + part_choices().words());
    }
    if (std::ranges::find(parts, *part) == parts.end()) parts.push_back(*part);
    if (comma == std::string_view::npos) return parts;
    text.remove_prefix(comma + 1);
  }
}

void add_suite(CLI::App& app, Options& options) {
  CLI::App& suite = add_command(
      app, options, "subscriptions",
      "A table of what delivery costs, on topics of its own that are deleted at the end",
      BenchCommand::kSubscriptions);
  SuiteOptions& target = options.suite;
  add_number<std::uint64_t>(suite, "--messages", target.messages, "N",
                            "of each run (default 2000000)", 1);
  add_size(suite, options, 1);
  add_number<std::uint32_t>(suite, "--subscriptions", target.subscriptions, "N",
                            "that are idle on one topic (default 1000)", 1,
                            limits::kMaxSubscriptionsPerTopic);
  add_number<std::uint32_t>(suite, "--partitions", target.partitions, "N",
                            "of one topic (default 10000)", 1, limits::kMaxPartitionsPerTopic);
  const auto set_parts = [&target](const CLI::results_t& words) {
    target.parts = parse_parts(words.back());
    return true;
  };
  suite
      .add_option("--parts", set_parts,
                  "separated by commas (default all): " + part_choices().words())
      ->type_name("PART,…")
      ->expected(1);
  const auto set_backlog = [&target](const CLI::results_t& words) {
    const Result<std::int64_t> bytes = tools::parse_bytes(words.back());
    if (!bytes) throw CLI::ValidationError("--backlog-bytes", bytes.error().message);
    if (*bytes < 1) throw CLI::ValidationError("--backlog-bytes", "must be at least 1");
    target.backlog_bytes = static_cast<std::uint64_t>(*bytes);
    return true;
  };
  suite.add_option("--backlog-bytes", set_backlog, "of payloads that wait (default 1GiB)")
      ->type_name("SIZE")
      ->expected(1);
  add_json(suite, options);
}

void add_workload_times(CLI::App& run, Options& options) {
  WorkloadOptions& target = options.workload;
  run.add_option("--seconds", options.seconds, "measured, instead of testDurationMinutes")
      ->type_name("S")
      ->check(CLI::Range(0.1, 604'800.0));
  run.add_option("--warm-up", target.warmup_s, "instead of warmupDurationMinutes")
      ->type_name("S")
      ->check(CLI::Range(0.0, 604'800.0));
  CLI::Option* rate =
      run.add_option(
             "--rate", target.rate,
             "messages/s of all producers, instead of producerRate; 0: the highest sustained")
          ->type_name("N")
          ->check(CLI::Range(0.0, 1e9));
  run.add_flag("--closed-loop", target.closed_loop,
               "no rate: the next message as soon as the client takes it")
      ->excludes(rate);
  run.add_option("--search-seconds", target.search_seconds,
                 "how long each rate is tried (default 5)")
      ->type_name("S")
      ->check(CLI::Range(0.1, 3'600.0));
}

void add_workload(CLI::App& app, Options& options) {
  CLI::App& run = add_command(
      app, options, "run",
      "A workload file of the OpenMessaging Benchmark, on topics of its own that are deleted at "
      "the end",
      BenchCommand::kRun);
  WorkloadOptions& target = options.workload;
  run.add_option("FILE", target.file, "YAML")->required()->type_name("");
  add_workload_times(run, options);
  add_sending(run, options);
  add_replication_factor(run, options.replication_factor);
  add_choice(run, "--type", target.type, tools::type_choices(),
             "of subscriptions (default unique, failover where they have several consumers)");
  add_choice(run, "--mode", options.mode, tools::mode_choices(), "(default nonresilient)");
  add_number<std::uint32_t>(run, "--connections", target.connections, "N",
                            "of producers, and as many of consumers (default: up to 8)", 1,
                            kMaxWorkers);
  add_number<std::uint32_t>(run, "--threads", target.threads, "N",
                            "that send (default: one for each core)", 1, kMaxWorkers);
  run.add_option("--server-pid", target.server_pids,
                 "processes whose CPU, memory and writes are read from /proc (default: those that "
                 "listen on the nodes' ports here)")
      ->type_name("PID,…")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  add_json(run, options);
}

void add_idle(CLI::App& app, Options& options) {
  CLI::App& idle = add_command(app, options, "idle",
                               "Connections that say hello and nothing else: what they cost a node",
                               BenchCommand::kIdle);
  add_number<std::uint32_t>(idle, "--connections", options.connections, "N", "(default 10000)", 1,
                            kMaxIdle);
  idle.add_option("--seconds", options.seconds, "how long they are held (default 10)")
      ->type_name("S")
      ->check(CLI::Range(0.01, 86'400.0));
  add_json(idle, options);
}

void add_plot(CLI::App& app, Options& options) {
  CLI::App& plot =
      add_command(app, options, "plot",
                  "Draws latency percentiles and throughput over time of reports of `run --json`",
                  BenchCommand::kPlot);
  plot.add_option("OUT", options.plot.out_file, "the SVG file to write; - is standard output")
      ->required()
      ->type_name("");
  plot.add_option("FILE", options.plot.files, "reports; each is a line of its own colour")
      ->required()
      ->expected(1, static_cast<int>(kMaxPlots))
      ->type_name("");
}

// What no single option can check.
void check(const Options& options) {
  const bool unique = options.type == client::SubscriptionType::kUnique;
  const bool consuming =
      options.command == BenchCommand::kConsume || options.command == BenchCommand::kEndToEnd;
  if (consuming && unique && options.consumers > 1) {
    throw CLI::ValidationError("--consumers",
                               "a unique subscription has one consumer; give --type shared");
  }
}

}  // namespace

std::variant<Options, tools::ExitStatus> parse_options(int argc, const char* const* argv) {
  CLI::App app(
      "Loads an Andy X node and measures it; BENCHMARKS.md describes the runs and the report.\n"
      "Exit status: 0 done, 1 wrong usage, 2 no server reached, 3 refused by the server, 4 timed out",
      "andyx-bench");
  app.require_subcommand(1);
  app.fallthrough();  // --server and --timeout may follow the command
  Options options;
  options.server = tools::kDefaultServer;
  app.set_version_flag("--version", "andyx-bench " ANDYX_VERSION);
  app.add_option("--server", options.server, "nodes of the cluster to load")
      ->envname("ANDYX_SERVER")
      ->capture_default_str()
      ->type_name("HOST:PORT,…");
  add_number<std::uint32_t>(
      app, "--timeout", options.timeout_ms, "MS",
      "give up, with status 4, after so long without progress (default 30000)", 1, 86'400'000);
  add_limit(app, options);
  add_suite(app, options);
  add_workload(app, options);
  add_idle(app, options);
  add_plot(app, options);

  CLI::App& produce =
      add_command(app, options, "produce", "Send messages as fast as they are acknowledged",
                  BenchCommand::kProduce);
  CLI::App& consume = add_command(
      app, options, "consume",
      "Receive and acknowledge: what is there at the start, or --messages, or --seconds",
      BenchCommand::kConsume);
  CLI::App& end_to_end = add_command(
      app, options, "end-to-end",
      "Send and receive at once; the latency is that from send (or, with --rate, from when it "
      "was due) to receipt",
      BenchCommand::kEndToEnd);
  for (CLI::App* command : {&produce, &consume, &end_to_end}) {
    add_connection(*command, options);
    add_amount(*command, options);
  }
  add_size(produce, options, 0);
  add_size(end_to_end, options, kMinStampedBytes);
  for (CLI::App* command : {&produce, &end_to_end}) add_producing(*command, options);
  produce.add_flag("--one-at-a-time", options.one_at_a_time,
                   "each message waits for the acknowledgement of the one before, without linger");
  for (CLI::App* command : {&consume, &end_to_end}) add_consuming(*command, options);
  for (CLI::App* command : {&produce, &consume, &end_to_end}) {
    if (command != &consume) add_limit_share(*command, options);
    add_json(*command, options);
  }
  app.callback([&options] { check(options); });

  if (const auto status = tools::run_parser(app, argc, argv)) return *status;
  return options;
}

}  // namespace andyx::bench
