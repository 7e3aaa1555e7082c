#include "tests/fault/cluster/cluster.h"

#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>

#include "tests/integration/support/server_process.h"

namespace andyx::test::fault {
namespace {

constexpr std::uint32_t kFirstHost = 10, kFirstProxyHost = 110;
constexpr Millis kOrderlyStop{60'000};
constexpr std::size_t kLogEndBytes = 2'000;

std::string host(std::uint32_t number) { return "127.0.0." + std::to_string(number); }

}  // namespace

Cluster::Cluster(ClusterOptions options) : options_(std::move(options)) {
  REQUIRE(options_.nodes >= 1);
  REQUIRE(options_.nodes <= 99);
  std::filesystem::create_directories(options_.directory);
  if (options_.small_disk) {
    small_disk_ = std::make_unique<SmallDisk>("size=2g");
    if (!small_disk_->mounted()) {
      why_no_small_disk_ = small_disk_->reason();
      small_disk_.reset();
    }
  }
  make_seats();
  std::vector<CutProxy::Door> doors;
  for (const Seat& seat : seats_) {
    doors.push_back({seat.node, seat.advertise, seat.listen});
    doors.push_back({seat.node, seat.peer_advertise, seat.peer_listen});
  }
  auto proxy = CutProxy::start(std::move(doors));
  REQUIRE_MESSAGE(proxy.has_value(), proxy.error().message);
  proxy_ = std::move(*proxy);
}

Cluster::~Cluster() {
  for (Seat& seat : seats_) {
    if (seat.process) seat.process->kill_now();
  }
}

void Cluster::make_seats() {
  const std::uint16_t port = free_port();
  std::uint16_t peer_port = free_port();
  while (peer_port == port) peer_port = free_port();
  for (Place place = 1; place <= options_.nodes; ++place) {
    const std::string name = options_.directory + "/node-" + std::to_string(place);
    Seat& seat = seats_.emplace_back();
    seat.node = next_node_++;
    seat.data_dir = small_disk(place) != nullptr ? small_disk_->data_dir() : name + "-data";
    seat.log_path = name + ".log";
    seat.listen = {host(kFirstHost + place), port};
    seat.peer_listen = {host(kFirstHost + place), peer_port};
    seat.advertise = {host(kFirstProxyHost + place), port};
    seat.peer_advertise = {host(kFirstProxyHost + place), peer_port};
    seat.disk = std::make_unique<Disk>(name + "-disk", options_.disk_shim);
  }
}

Cluster::Place Cluster::place_of(NodeId node) const {
  for (Place place = 1; place <= size(); ++place) {
    if (node_at(place) == node) return place;
  }
  return 0;
}

std::vector<std::string> Cluster::servers() const {
  std::vector<std::string> addresses;
  for (const Seat& seat : seats_) addresses.push_back(seat.advertise.text());
  return addresses;
}

std::vector<net::Address> Cluster::listening() const {
  std::vector<net::Address> nodes;
  for (const Seat& seat : seats_) {
    if (seat.should_run && !seat.stopped) nodes.push_back(seat.listen);
  }
  return nodes;
}

ClusterView Cluster::view(const std::vector<std::string>& topic_paths) const {
  return observe(listening(), topic_paths);
}

std::optional<std::vector<CopyEnd>> Cluster::copies(const std::string& topic_path) const {
  return observe_copies(listening(), topic_path);
}

std::vector<std::string> Cluster::arguments(Place place) const {
  const Seat& seat = seats_.at(place - 1);
  std::vector<std::string> arguments = {
      server_binary(),          "--data-dir",  seat.data_dir,         "--listen",
      seat.listen.text(),       "--advertise", seat.advertise.text(), "--node-id",
      std::to_string(seat.node)};
  if (size() > 1) {
    arguments.insert(arguments.end(), {"--peer-listen", seat.peer_listen.text()});
    std::string others;
    for (const Seat& other : seats_) {
      if (&other != &seat) others += (others.empty() ? "" : ",") + other.advertise.text();
    }
    // The first one makes the cluster, once.
    if (seat.node != 1 || seat.started_before) {
      arguments.insert(arguments.end(), {"--join", others});
    }
  }
  arguments.insert(arguments.end(), options_.flags.begin(), options_.flags.end());
  return arguments;
}

void Cluster::start(Place place) {
  Seat& at = seat(place);
  at.process = std::make_unique<Process>(Launch{.argv = arguments(place),
                                                .environment = at.disk->environment(),
                                                .input = {},
                                                .stdout_path = {},
                                                .stderr_path = at.log_path,
                                                .directory = options_.directory});
  at.should_run = true;
  at.stopped = false;
  at.started_before = true;
}

bool Cluster::ready(Place place) {
  Seat& at = seat(place);
  return at.process && at.process->out().find("andyx-server ready on ") != std::string::npos;
}

bool Cluster::running(Place place) {
  Seat& at = seat(place);
  return at.process && at.process->running();
}

void Cluster::kill(Place place) {
  Seat& at = seat(place);
  at.should_run = false;
  at.stopped = false;
  if (at.process) at.process->kill_now();
}

void Cluster::stop(Place place) {
  seat(place).stopped = true;
  seat(place).process->send_signal(SIGSTOP);
}

void Cluster::go_on(Place place) {
  seat(place).stopped = false;
  seat(place).process->send_signal(SIGCONT);
}

void Cluster::terminate(Place place) {
  Seat& at = seat(place);
  at.should_run = false;
  at.process->send_signal(SIGTERM);
  const std::optional<int> status = at.process->wait(kOrderlyStop);
  REQUIRE_MESSAGE(status.has_value(), "node ", at.node, " does not stop when asked to");
  CHECK_MESSAGE(*status == 0, "node ", at.node, " stopped with status ", *status);
}

NodeId Cluster::wipe(Place place) {
  Seat& at = seat(place);
  REQUIRE_FALSE(running(place));
  std::filesystem::remove_all(at.data_dir);
  const NodeId before = at.node;
  // Alone there is nobody to tell that it is another one.
  if (size() > 1) at.node = next_node_++;
  proxy_->renumber(before, at.node);
  return before;
}

std::uint64_t Cluster::lose_power(Place place, std::mt19937_64& random) {
  REQUIRE_FALSE(running(place));
  return seat(place).disk->lose_power(seat(place).data_dir, random);
}

std::string Cluster::log_end(Place place) const {
  const std::string log = read_file(seats_.at(place - 1).log_path);
  return log.substr(log.size() - std::min(log.size(), kLogEndBytes));
}

std::string Cluster::unexpected_exit() {
  for (Place place = 1; place <= size(); ++place) {
    Seat& at = seat(place);
    if (!at.should_run || running(place)) continue;
    return "node " + std::to_string(at.node) + " ended by itself with status " +
           std::to_string(at.process->wait().value_or(-1));
  }
  return {};
}

}  // namespace andyx::test::fault
