// The composition root: makes the parts of a node, in order, and ends them in the reverse order.
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "server/app/cluster_parts.h"
#include "server/app/metadata_start.h"
#include "server/app/node.h"
#include "server/loop/core_loop.h"
#include "storage/rocksdb_shard.h"

namespace andyx::server {

class Server {
 public:
  // Opens the data directory, starts the threads, recovers, listens. When it returns the node
  // serves, and is registered: where it is not the controller, that takes as long as the voters of
  // the metadata need to have one. `file_system`: for tests that inject faults; null: the real one.
  static Result<std::unique_ptr<Server>> start(
      Config config, std::shared_ptr<rocksdb::FileSystem> file_system = nullptr);

  // Stops at once where stop() was not called: nothing acknowledged is lost.
  ~Server();

  const net::Address& address() const { return node_.address; }
  // Drains, syncs, closes: everything accepted is answered. Blocks for at most about 5 s.
  // Idempotent.
  Status stop();
  // From here on until stop() SIGTERM and SIGINT are noticed; wait_for_signal blocks until one
  // came. Once.
  void watch_signals();
  void wait_for_signal();

 private:
  explicit Server(Config config);
  Status open_storage(std::shared_ptr<rocksdb::FileSystem> file_system);
  Status start_controller(std::shared_ptr<rocksdb::FileSystem> file_system);
  Result<std::unique_ptr<MetadataLog>> open_metadata(
      ControllerOptions& options, std::shared_ptr<rocksdb::FileSystem> file_system);
  Result<Joined> join(std::vector<net::Address> addresses, const NodeSpec& node);
  std::vector<net::Address> known_addresses() const;
  void meet_known_peers();
  Status register_node();
  Status start_loops();
  void hand_over();
  void drain_loops();
  void stop_threads();
  void publish(std::shared_ptr<const Image> image);

  Node node_;
  std::optional<net::AddressClaim> claim_;  // as long as the loops may listen
  std::unique_ptr<net::Loop> control_loop_;
  std::unique_ptr<ClusterParts> parts_;
  std::unique_ptr<Controller> controller_;
  std::unique_ptr<net::SignalWatch> signals_;  // of the control loop, as the flag
  bool signalled_ = false;
  std::promise<int> signal_;
  std::thread control_thread_;
  std::vector<std::thread> loop_threads_;
  std::vector<KnownNode> known_;  // other nodes, before there is metadata that names them
  bool loops_listen_ = false;
  bool stopped_ = false;
};

}  // namespace andyx::server
