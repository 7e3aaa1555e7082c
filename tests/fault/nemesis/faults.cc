#include "tests/fault/nemesis/faults.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <utility>

namespace andyx::test::fault {
namespace {

using enum FaultKind;

constexpr Millis kCliPatience{15'000}, kSafe{60'000};

std::string number(std::uint64_t value) { return std::to_string(value); }

}  // namespace

Faults::Faults(Cluster& cluster, std::vector<TestTopic> topics, std::mt19937_64& random)
    : cluster_(cluster), topics_(std::move(topics)), random_(random) {}

std::optional<ActiveFault> Faults::begin(FaultKind kind) {
  view_ = look();
  std::optional<ActiveFault> fault = begin_process_fault(kind);
  if (!fault) fault = begin_network_fault(kind);
  if (!fault) fault = begin_disk_fault(kind);
  if (!fault) fault = begin_change(kind);
  if (!fault) return std::nullopt;
  fault->kind = kind;
  fault->controller = std::ranges::any_of(fault->places, [this](Place place) {
    return view_.controller != 0 && cluster_.node_at(place) == view_.controller;
  });
  busy_.insert(fault->places.begin(), fault->places.end());
  return fault;
}

void Faults::end(ActiveFault& fault) {
  fault.end();
  for (const Place place : fault.places) busy_.erase(place);
}

// ---- Processes

std::optional<ActiveFault> Faults::begin_process_fault(FaultKind kind) {
  std::optional<Place> place;
  switch (kind) {
    case kKillMain:
    case kStopMain:
      place = main_place();
      break;
    case kKillReplica:
    case kStopReplica:
      place = replica_place();
      break;
    case kKillController:
    case kStopController:
      place = free_place(view_.controller);
      break;
    case kKillBoth:
      if (std::ranges::find(view_.partitions, view_.controller, &PartitionView::main) !=
          view_.partitions.end()) {
        place = free_place(view_.controller);
      }
      break;
    case kRestart:
      place = any_place();
      break;
    case kRollingRestart:
      return rolling_restart();
    case kKillAll:
    case kPowerLoss:
      return kill_all(kind == kPowerLoss);
    default:
      return std::nullopt;
  }
  if (!place) return std::nullopt;
  if (kind == kStopMain || kind == kStopReplica || kind == kStopController) return stop(*place);
  return kind == kRestart ? restart(*place) : kill(*place);
}

ActiveFault Faults::kill(Place place) {
  cluster_.kill(place);
  return {.text = "kill -9 of node " + number(cluster_.node_at(place)),
          .hold_ms = between(0, 4'000),
          .places = {place},
          .end = [this, place] { cluster_.start(place); }};
}

ActiveFault Faults::stop(Place place) {
  cluster_.stop(place);
  return {.text = "SIGSTOP of node " + number(cluster_.node_at(place)),
          .hold_ms = between(1'000, 5'000),
          .places = {place},
          .end = [this, place] { cluster_.go_on(place); }};
}

ActiveFault Faults::restart(Place place) {
  cluster_.terminate(place);
  return {.text = "orderly restart of node " + number(cluster_.node_at(place)),
          .hold_ms = between(0, 1'000),
          .places = {place},
          .end = [this, place] { cluster_.start(place); }};
}

// As an operator does it: a node is stopped when the cluster says that it may be, which is never so
// of the main of an async topic.
ActiveFault Faults::rolling_restart() {
  std::vector<Place> places;
  for (Place place = 1; place <= cluster_.size(); ++place) places.push_back(place);
  return {.text = "rolling restart of all nodes", .places = places, .end = [this, places] {
            for (const Place place : places) {
              const std::string node = number(cluster_.node_at(place));
              CHECK_MESSAGE(
                  wait_until([&] { return move_only_copies_from(cluster_.node_at(place)); }, kSafe),
                  "node ", node, " keeps the mains of an async topic");
              CHECK_MESSAGE(
                  wait_until([&] { return run_cli({"cluster", "safe-to-stop", node}); }, kSafe),
                  "node ", node, " may not be stopped for a long time");
              cluster_.terminate(place);
              cluster_.start(place);
              CHECK_MESSAGE(wait_until([&] { return cluster_.ready(place); }, kSafe), "node ", node,
                            " does not come back");
            }
          }};
}

ActiveFault Faults::kill_all(bool power) {
  std::uint64_t lost = 0;
  std::vector<Place> places;
  for (Place place = 1; place <= cluster_.size(); ++place) {
    cluster_.kill(place);
    places.push_back(place);
  }
  for (const Place place : places) {
    if (power) lost += cluster_.lose_power(place, random_);
  }
  return {.text = power ? "power loss of all nodes, " + number(lost) + " bytes gone"
                        : "kill -9 of all nodes",
          .hold_ms = between(0, 1'000),
          .places = places,
          .end = [this, places] {
            for (const Place place : places) cluster_.start(place);
          }};
}

// ---- The network

std::optional<ActiveFault> Faults::begin_network_fault(FaultKind kind) {
  const std::optional<Place> place = any_place();
  if (!place || view_.partitions.empty()) return std::nullopt;
  const NodeId node = cluster_.node_at(*place);
  const std::vector<NodeId> others = others_of(node);
  const PartitionView& partition = view_.partitions[random_() % view_.partitions.size()];
  const std::string name = "node " + number(node);
  constexpr LinkState kHeld{.flow = Flow::kHeld};
  std::vector<std::pair<NodeId, NodeId>> links = both_ways(node, others);
  switch (kind) {
    case kCutNode:
      return cut(name + " cut from all", links, kHeld, {*place});
    case kCutOut:
      std::erase_if(links, [node](const auto& link) { return link.first != node; });
      return cut(name + " is not heard", links, kHeld, {*place});
    case kCutIn:
      std::erase_if(links, [node](const auto& link) { return link.second != node; });
      return cut(name + " hears nobody", links, kHeld, {*place});
    case kCutPair: {
      const NodeId other = others[random_() % others.size()];
      return cut(name + " cut from node " + number(other), both_ways(node, {other}), kHeld,
                 {*place});
    }
    case kLinkDown: {
      const auto main = free_place(partition.main);
      if (!main) return std::nullopt;
      std::vector<NodeId> all = others_of(partition.main);
      all.push_back(kClients);
      return cut("link of main " + number(partition.main) + " down", both_ways(partition.main, all),
                 kHeld, {*main});
    }
    case kReset:
      links.emplace_back(kClients, node);
      return cut("connections of " + name + " reset", links, {.flow = Flow::kClosed}, {*place});
    case kSlowLink:
      return cut(name + " has a slow link", links,
                 {.delay_ms = between(20, 200), .bytes_per_s = 2'000'000}, {*place});
    case kMainFromReplicas: {
      std::vector<NodeId> replicas = partition.replicas;
      std::erase_if(replicas,
                    [&](NodeId id) { return id == partition.main || id == view_.controller; });
      const auto main = free_place(partition.main);
      if (!main || replicas.empty()) return std::nullopt;
      return cut("main " + number(partition.main) + " cut from its replicas, not the controller",
                 both_ways(partition.main, replicas), kHeld, {*main});
    }
    case kMainFromController: {
      const auto main = free_place(partition.main);
      if (!main || view_.controller == 0 || partition.main == view_.controller) {
        return std::nullopt;
      }
      return cut("main " + number(partition.main) + " cut from the controller",
                 both_ways(partition.main, {view_.controller}), kHeld, {*main});
    }
    default:
      return std::nullopt;
  }
}

ActiveFault Faults::cut(std::string text, std::vector<std::pair<NodeId, NodeId>> links,
                        LinkState state, std::vector<Place> places) {
  for (const auto& [from, to] : links) cluster_.proxy().set(from, to, state);
  return {.text = std::move(text),
          .hold_ms = between(500, 6'000),
          .places = std::move(places),
          .end = [this, links = std::move(links)] {
            for (const auto& [from, to] : links) cluster_.proxy().set(from, to, {});
          }};
}

// ---- Administration

std::optional<ActiveFault> Faults::begin_change(FaultKind kind) {
  if (view_.partitions.empty()) return std::nullopt;
  const PartitionView& partition = view_.partitions[random_() % view_.partitions.size()];
  const std::vector<NodeId> others = others_of(partition.main);
  if (kind == kMove && partition.main != 0 && !others.empty()) {
    const NodeId to = others[random_() % others.size()];
    const bool begun = move(partition, to);
    return ActiveFault{.text = "partition " + number(partition.index) + " of " +
                               topics_[partition.topic].name + " moves to node " + number(to) +
                               (begun ? "" : " (refused)"),
                       .hold_ms = between(0, 2'000),
                       .places = {},
                       .end = [] {}};
  }
  if (kind == kDrain) {
    const std::optional<Place> place = any_place();
    if (!place) return std::nullopt;
    const std::string node = number(cluster_.node_at(*place));
    const bool begun = run_cli({"cluster", "drain", node});
    return ActiveFault{.text = "node " + node + " drained" + (begun ? "" : " (refused)"),
                       .hold_ms = between(1'000, 4'000),
                       .places = {},
                       .end = [this, node] {
                         wait_until([&] { return run_cli({"cluster", "drain", node, "--off"}); });
                       }};
  }
  return std::nullopt;
}

bool Faults::move(const PartitionView& partition, NodeId to) const {
  return run_cli({"cluster", "move", topics_[partition.topic].name, number(partition.index), "--to",
                  number(to)});
}

bool Faults::run_cli(std::vector<std::string> arguments) const {
  std::string servers;
  for (const std::string& server : cluster_.servers()) {
    servers += (servers.empty() ? "" : ",") + server;
  }
  Launch launch{.argv = {cli_binary(), "--server", servers, "--timeout", "5000"}};
  launch.argv.insert(launch.argv.end(), arguments.begin(), arguments.end());
  return run_command(std::move(launch), kCliPatience).exit_code == 0;
}

// ---- Victims

ClusterView Faults::look() const {
  std::vector<std::string> paths;
  for (const TestTopic& topic : topics_) paths.push_back(topic.path());
  return cluster_.view(paths);
}

std::optional<Faults::Place> Faults::free_place(NodeId node) const {
  const Place place = cluster_.place_of(node);
  if (place == 0 || busy_.contains(place)) return std::nullopt;
  return place;
}

std::optional<Faults::Place> Faults::any_place() {
  std::vector<Place> places;
  for (Place place = 1; place <= cluster_.size(); ++place) {
    if (!busy_.contains(place)) places.push_back(place);
  }
  if (places.empty()) return std::nullopt;
  return places[random_() % places.size()];
}

std::optional<Faults::Place> Faults::main_place() {
  if (view_.partitions.empty()) return std::nullopt;
  return free_place(view_.partitions[random_() % view_.partitions.size()].main);
}

std::optional<Faults::Place> Faults::replica_place() {
  if (view_.partitions.empty()) return std::nullopt;
  const PartitionView& partition = view_.partitions[random_() % view_.partitions.size()];
  std::vector<NodeId> replicas = partition.replicas;
  std::erase(replicas, partition.main);
  if (replicas.empty()) return std::nullopt;
  return free_place(replicas[random_() % replicas.size()]);
}

std::vector<NodeId> Faults::others_of(NodeId node) const {
  std::vector<NodeId> others;
  for (Place place = 1; place <= cluster_.size(); ++place) {
    if (cluster_.node_at(place) != node) others.push_back(cluster_.node_at(place));
  }
  return others;
}

std::vector<std::pair<NodeId, NodeId>> Faults::both_ways(NodeId node,
                                                         const std::vector<NodeId>& others) {
  std::vector<std::pair<NodeId, NodeId>> links;
  for (const NodeId other : others) {
    links.emplace_back(node, other);
    links.emplace_back(other, node);
  }
  return links;
}

std::uint32_t Faults::between(std::uint32_t least_ms, std::uint32_t most_ms) {
  return least_ms + static_cast<std::uint32_t>(random_() % (most_ms - least_ms + 1));
}

}  // namespace andyx::test::fault
