// compare-load PEER publish|consume: the load of tools/compare on another system of this machine,
// by a small client for its wire protocol. Prints one JSON object. Not part of Andy X.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "protocol/net/loop.h"
#include "tools/common/exit_status.h"
#include "tools/compare_load/publish.h"

namespace andyx::compare {
namespace {

struct Arguments {
  std::string peer, action;
  PeerOptions options;
  PublishOptions publish;
};

Result<std::unique_ptr<Peer>> open(const Arguments& arguments) {
  if (arguments.peer == "nats") return open_nats(arguments.options);
  if (arguments.peer == "redis") return open_redis(arguments.options);
  if (arguments.peer == "rabbitmq") return open_rabbitmq(arguments.options);
  return open_kafka(arguments.options);
}

nlohmann::ordered_json latency_json(const bench::Histogram& latency) {
  const auto ms = [](std::uint64_t ns) { return static_cast<double>(ns) / 1e6; };
  return {{"p50", ms(latency.quantile_ns(0.5))},
          {"p99", ms(latency.quantile_ns(0.99))},
          {"p99_9", ms(latency.quantile_ns(0.999))},
          {"max", ms(latency.max_ns())}};
}

Result<nlohmann::ordered_json> run(const Arguments& arguments) {
  auto peer = open(arguments);
  if (!peer) return std::unexpected(peer.error());
  nlohmann::ordered_json json{{"peer", arguments.peer}, {"action", arguments.action}};
  if (arguments.action == "publish") {
    if (Status made = (*peer)->create(); !made) return std::unexpected(made.error());
    Arguments to_leader = arguments;
    if (const auto port = (*peer)->leader_port()) to_leader.options.port = *port;
    const auto published = publish([&] { return open(to_leader); }, arguments.publish);
    if (!published) return std::unexpected(published.error());
    json["messages"] = published->messages;
    json["elapsed_s"] = published->elapsed_s;
    json["latency_ms"] = latency_json(published->latency);
  } else {
    const std::uint64_t begin_ns = net::monotonic_ns();
    const auto consumed =
        (*peer)->consume(arguments.publish.messages, Deadline(arguments.publish.seconds));
    if (!consumed) return std::unexpected(consumed.error());
    json["messages"] = consumed->messages;
    json["elapsed_s"] = static_cast<double>(net::monotonic_ns() - begin_ns) / 1e9;
    json["payload_bytes"] = consumed->bytes;
  }
  const auto stored = (*peer)->stored();
  if (!stored) return std::unexpected(stored.error());
  json["stored"] = *stored;
  return json;
}

}  // namespace
}  // namespace andyx::compare

int main(int argc, char** argv) {
  using namespace andyx;
  compare::Arguments arguments;
  CLI::App app("Publishes to, or consumes from, a peer on this machine; tools/compare uses it",
               "compare-load");
  app.add_option("PEER", arguments.peer)
      ->required()
      ->check(CLI::IsMember({"nats", "redis", "kafka", "rabbitmq"}));
  app.add_option("ACTION", arguments.action)
      ->required()
      ->check(CLI::IsMember({"publish", "consume"}));
  app.add_option("--port", arguments.options.port, "on 127.0.0.1")->required();
  app.add_option("--name", arguments.options.name, "of the stream or topic");
  app.add_option("--partitions", arguments.options.partitions, "where the peer has them")
      ->check(CLI::Range(1, 1'000));
  app.add_option("--replicas", arguments.options.replicas, "of the stream; NATS only")
      ->check(CLI::Range(1, 5));
  app.add_option("--batch", arguments.options.batch_bytes, "bytes, where its clients send batches")
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--messages", arguments.publish.messages)->required()->check(CLI::PositiveNumber);
  app.add_option("--seconds", arguments.publish.seconds, "ends then, with fewer messages")
      ->check(CLI::PositiveNumber);
  app.add_option("--size", arguments.publish.message_bytes, "of a payload")
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--window", arguments.publish.window, "messages sent and not acknowledged")
      ->check(CLI::PositiveNumber);
  app.add_option("--connections", arguments.publish.connections, "that publish")
      ->check(CLI::Range(1, 256));
  CLI11_PARSE(app, argc, argv);
  const auto json = compare::run(arguments);
  if (!json) {
    tools::print_error("compare-load", json.error());
    return tools::exit_status_of(json.error());
  }
  std::printf("%s\n", json->dump(2).c_str());
  return 0;
}
