// A cluster of real processes. Each node has a place (1..n): an address 127.0.0.(10 + place) where
// it listens, one behind the proxy that it advertises, a disk, a log. A place keeps these for ever;
// the node id changes where a node is replaced.
//
// One thread: the one that made it (the processes die with it).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tests/fault/cluster/cluster_view.h"
#include "tests/fault/cluster/cut_proxy.h"
#include "tests/fault/cluster/disk_control.h"
#include "tests/integration/support/process.h"
#include "tests/integration/support/small_disk.h"

namespace andyx::test::fault {

struct ClusterOptions {
  std::uint32_t nodes = 1;
  std::string directory;    // of data and logs
  std::string disk_shim;    // path of the library; empty: disks cannot be commanded
  bool small_disk = false;  // the last place gets a file system of its own that can be filled
  std::vector<std::string> flags;  // of every server
};

class Cluster {
 public:
  using Place = std::uint32_t;

  explicit Cluster(ClusterOptions options);
  ~Cluster();

  std::uint32_t size() const { return options_.nodes; }
  NodeId node_at(Place place) const { return seats_.at(place - 1).node; }
  Place place_of(NodeId node) const;  // 0: nowhere
  CutProxy& proxy() { return *proxy_; }
  Disk& disk(Place place) { return *seats_.at(place - 1).disk; }
  // Null: that place has a plain disk.
  SmallDisk* small_disk(Place place) { return place == size() ? small_disk_.get() : nullptr; }
  std::string why_no_small_disk() const { return why_no_small_disk_; }

  // As clients know them: behind the proxy.
  std::vector<std::string> servers() const;
  const net::Address& listen_address(Place place) const { return seats_.at(place - 1).listen; }
  // As those say that run.
  ClusterView view(const std::vector<std::string>& topic_paths) const;
  std::optional<std::vector<CopyEnd>> copies(const std::string& topic_path) const;

  void start(Place place);  // does not wait
  bool ready(Place place);
  bool running(Place place);
  void kill(Place place);  // -9; of a stopped one too
  void stop(Place place);  // SIGSTOP
  void go_on(Place place);
  void terminate(Place place);  // SIGTERM; REQUIREs that it ends well, in a minute
  // Its data is gone, and it will come back as another node. Must not run. The id of before.
  NodeId wipe(Place place);
  // What was not synced is lost at a place that does not run.
  std::uint64_t lose_power(Place place, std::mt19937_64& random);
  std::string log_end(Place place) const;  // the last lines
  // Of a place that was not told to end, and has; empty: none.
  std::string unexpected_exit();

 private:
  struct Seat {
    NodeId node = 0;
    std::string data_dir, log_path;
    net::Address listen, peer_listen, advertise, peer_advertise;
    std::unique_ptr<Disk> disk;
    std::unique_ptr<Process> process;
    bool should_run = false, stopped = false;
    bool started_before = false;
  };
  Seat& seat(Place place) { return seats_.at(place - 1); }
  std::vector<std::string> arguments(Place place) const;
  std::vector<net::Address> listening() const;  // of those that run
  void make_seats();

  const ClusterOptions options_;
  std::unique_ptr<SmallDisk> small_disk_;
  std::string why_no_small_disk_;
  std::vector<Seat> seats_;
  NodeId next_node_ = 1;
  std::unique_ptr<CutProxy> proxy_;
};

}  // namespace andyx::test::fault
