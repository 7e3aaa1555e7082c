#include "server/app/server.h"

#include <pthread.h>

#include <chrono>
#include <future>

#include "server/app/data_directory.h"
#include "server/app/log.h"
#include "server/log_ids.h"

namespace andyx::server {
namespace {

constexpr auto kDrainTime = std::chrono::seconds(3);
constexpr auto kHandOverTime = std::chrono::seconds(2);
constexpr auto kLookTime = std::chrono::milliseconds(20);
constexpr auto kSayAgain = std::chrono::seconds(10);
constexpr unsigned kReadThreads = 2;
constexpr std::size_t kMaxQueuedReads = 100'000;

// Runs `work` on a loop and waits for it.
template <typename T>
T run_on(net::Loop& loop, std::function<T()> work) {
  // set_value may still touch the promise when the waiter has gone on: both sides hold it.
  auto promise = std::make_shared<std::promise<T>>();
  auto future = promise->get_future();
  loop.post([promise, &work] { promise->set_value(work()); });
  return future.get();
}

}  // namespace

Server::Server(Config config) {
  node_.config = std::move(config);
  node_.started_ns = net::monotonic_ns();
}

Result<std::unique_ptr<Server>> Server::start(Config config,
                                              std::shared_ptr<rocksdb::FileSystem> file_system) {
  std::unique_ptr<Server> server(new Server(std::move(config)));
  auto claimed = net::claim_address(server->node_.config.listen);
  if (!claimed) return std::unexpected(claimed.error());
  const net::Address address = claimed->address();
  server->claim_ = std::move(*claimed);
  server->node_.address = address;
  server->node_.advertise =
      server->node_.config.advertise.host.empty() ? address : server->node_.config.advertise;
  if (auto opened = server->open_storage(file_system); !opened)
    return std::unexpected(opened.error());
  if (auto started = server->start_controller(std::move(file_system)); !started)
    return std::unexpected(started.error());
  if (auto registered = server->register_node(); !registered)
    return std::unexpected(registered.error());
  if (auto started = server->start_loops(); !started) return std::unexpected(started.error());
  return server;
}

Status Server::open_storage(std::shared_ptr<rocksdb::FileSystem> file_system) {
  const Config& config = node_.config;
  storage::ShardOptions options{
      .directory = config.data_dir,
      .fsync = config.fsync,
      .accept_data_loss = config.accept_data_loss,
      .generation_bytes = config.generation_bytes,
      // The loops keep to limits::kStorageQueueBytes in all; one group may be over it.
      .queue_bytes = 2 * limits::kStorageQueueBytes,
      .min_free_bytes = config.min_free_bytes,
      .busy_poll_us = config.busy_poll_us};
  storage::RecoveryReport report;
  auto shard = storage::open_rocksdb_shard(options, std::move(file_system), &report);
  if (!shard) return std::unexpected(shard.error());
  node_.shard = std::move(*shard);
  log::info("storage opened", {{"directory", config.data_dir},
                               {"clean_stop", report.clean_stop ? "yes" : "no"},
                               {"logs", report.logs},
                               {"replayed_batches", report.replayed_batches},
                               {"replayed_bytes", report.replayed_bytes},
                               {"cut_batches", report.cut_batches}});
  if (!report.data_loss.empty())
    log::error("data lost", {{"accepted", "yes"}, {"what", report.data_loss}});
  // Also when the loss was accepted by a start that ended before it came to this.
  if (config.accept_data_loss || !report.data_loss.empty()) {
    if (auto dropped = drop_lost_due_rows(*node_.shard); !dropped)
      return std::unexpected(dropped.error());
  }
  node_.read_pool = std::make_unique<ReadPool>(kReadThreads, kMaxQueuedReads);
  return {};
}

Status Server::start_controller(std::shared_ptr<rocksdb::FileSystem> file_system) {
  auto loop = net::Loop::create();
  if (!loop) return std::unexpected(loop.error());
  control_loop_ = std::move(*loop);
  node_.control_loop = control_loop_.get();
  auto disk_id = disk_id_of(*node_.shard);
  if (!disk_id) return std::unexpected(disk_id.error());
  auto incarnation = next_incarnation(*node_.shard, net::wall_time_us());
  if (!incarnation) return std::unexpected(incarnation.error());
  node_.incarnation = *incarnation;

  ControllerOptions options;
  options.node = {.node_id = node_.config.node_id,
                  .disk_id = *disk_id,
                  .incarnation = node_.incarnation,
                  .host = node_.advertise.host,
                  .port = node_.advertise.port,
                  .peer_port = 0,
                  .roles = node_.config.roles};
  known_ = read_known_nodes(node_.config.data_dir);
  parts_ = std::make_unique<ClusterParts>(node_, *control_loop_, known_addresses());
  options.peer = &parts_->controller_peer();
  auto metadata = open_metadata(options, std::move(file_system));
  if (!metadata) return std::unexpected(metadata.error());
  node_.metadata_pulls = MetadataPulls::create(*control_loop_, **metadata);
  controller_ =
      std::make_unique<Controller>(*control_loop_, std::move(*metadata), std::move(options));
  node_.controller = controller_.get();
  parts_->set_controller(*controller_);
  controller_->on_image([this](std::shared_ptr<const Image> image) { publish(std::move(image)); });
  controller_->on_role([this](bool leading) { parts_->role(leading); });
  controller_->on_failed([this](const Error& error) {
    log::error("metadata stopped",
               {{"error", error.name()}, {"message", error.message}, {"remedy", error.remedy()}});
    parts_->metadata_failed(error);
  });
  control_thread_ = std::thread([this] { control_loop_->run(); });
  pthread_setname_np(control_thread_.native_handle(), "andyx-control");
  control_loop_->post([this] { parts_->start(); });
  return {};
}

Result<std::unique_ptr<MetadataLog>> Server::open_metadata(
    ControllerOptions& options, std::shared_ptr<rocksdb::FileSystem> file_system) {
  const JoinCluster ask = [this](const Config& config, const NodeSpec& node) {
    return join(config.join, node);
  };
  if ((node_.config.roles & kMetadataRole) == 0) {
    auto cluster_id = join_without_peer(node_.config, options.node, *node_.shard, ask);
    if (!cluster_id) return std::unexpected(cluster_id.error());
    node_.cluster_id = *cluster_id;
    return parts_->remote_log();
  }
  options.node.peer_port = node_.config.peer_address().port;
  auto metadata = start_metadata_log(node_.config, options.node, *node_.shard,
                                     std::move(file_system), ask, known_addresses());
  if (!metadata) return std::unexpected(metadata.error());
  node_.cluster_id = metadata->cluster_id;
  node_.metadata_group = metadata->group;
  node_.raft = metadata->log.get();
  options.node.peer_port = node_.raft->port();
  if (metadata->founder) options.bootstrap_cluster = metadata->cluster_id;
  log::info("metadata peer started",
            {{"cluster", node_.cluster_id.text()}, {"peer_port", node_.raft->port()}});
  meet_known_peers();
  return std::move(metadata->log);
}

// Blocks until a node of the cluster has taken this one in.
Result<Joined> Server::join(std::vector<net::Address> addresses, const NodeSpec& node) {
  log::info("joining a cluster", {{"node", node.node_id}});
  JoinRequest request{.node = node, .cluster_id = {}, .addresses = std::move(addresses)};
  const std::atomic<bool> cancelled{false};
  auto joined = join_cluster(request, cancelled);
  if (!joined) return std::unexpected(joined.error());
  known_ = joined->others;
  return joined;
}

std::vector<net::Address> Server::known_addresses() const {
  auto addresses = node_.config.join;
  for (const KnownNode& known : known_) addresses.push_back(known.address);
  return addresses;
}

// Who has no metadata yet cannot know where the peers are that will send it.
void Server::meet_known_peers() {
  for (const KnownNode& known : known_) {
    if (known.peer_port != 0)
      node_.raft->add_peer({known.node, {known.address.host, known.peer_port}});
  }
}

Status Server::register_node() {
  auto ready = std::make_shared<std::promise<Status>>();
  auto registered = ready->get_future();
  controller_->start([ready](Status status) { ready->set_value(std::move(status)); });
  auto say_at = std::chrono::steady_clock::now() + kSayAgain;
  while (registered.wait_for(kLookTime) != std::future_status::ready) {
    // Without its own peer this node never learns that it is registered.
    if (node_.raft != nullptr) {
      if (auto failed = node_.raft->failure()) return std::unexpected(std::move(*failed));
    }
    if (std::chrono::steady_clock::now() < say_at) continue;
    say_at += kSayAgain;
    log::warn("waiting for a controller to register this node",
              {{"leader", controller_->leader()}, {"version", controller_->image()->position}});
  }
  if (auto outcome = registered.get(); !outcome) return outcome;
  return node_.raft == nullptr ? Status{} : confirm_metadata_log(*node_.shard);
}

// Control loop. Before the loops listen they take the image that they open.
void Server::publish(std::shared_ptr<const Image> image) {
  node_.metadata_pulls->tail_moved(image->position);
  parts_->image(image);
  if (!loops_listen_) return;
  for (auto& loop : node_.loops) {
    loop->net_loop().post([loop = loop.get(), image] { loop->apply_image(image); });
  }
}

Status Server::start_loops() {
  node_.make_links = [this](net::Loop& loop, NodeLinks::Events& events) {
    return NodeLinks::create(loop,
                             {.self = node_.config.node_id,
                              .incarnation = node_.incarnation,
                              .metadata_group = [this] { return node_.said_group(); }},
                             &events);
  };
  for (std::uint32_t index = 0; index < node_.config.cores; ++index) {
    auto loop = net::Loop::create();
    if (!loop) return std::unexpected(loop.error());
    node_.loops.push_back(std::make_unique<CoreLoop>(node_, index, std::move(*loop)));
  }
  for (auto& loop : node_.loops) {
    loop_threads_.emplace_back([loop = loop.get()] { loop->run(); });
    pthread_setname_np(loop_threads_.back().native_handle(),
                       ("andyx-loop-" + std::to_string(loop->index())).c_str());
  }
  // From here on images reach the loops by publish(); none is missed, because it runs on the
  // control loop.
  auto image = run_on<std::shared_ptr<const Image>>(*control_loop_, [this] {
    loops_listen_ = true;
    return controller_->image();
  });
  std::vector<std::future<Status>> opened;
  for (auto& loop : node_.loops) {
    auto promise = std::make_shared<std::promise<Status>>();
    opened.push_back(promise->get_future());
    loop->net_loop().post(
        [loop = loop.get(), image, promise] { promise->set_value(loop->open_partitions(image)); });
  }
  Status outcome;
  for (auto& one : opened) {
    if (auto status = one.get(); !status && outcome) outcome = status;
  }
  if (!outcome) return outcome;
  drop_orphan_logs(*node_.shard, *image);
  drop_orphan_due_rows(*node_.shard, *image);
  for (auto& loop : node_.loops) {
    auto listening = run_on<Status>(loop->net_loop(), [&] { return loop->listen(node_.address); });
    if (!listening) return listening;
  }
  return {};
}

void Server::watch_signals() {
  run_on<bool>(*control_loop_, [this] {
    signals_ = net::watch_termination(*control_loop_, [this](int number) {
      if (!std::exchange(signalled_, true)) signal_.set_value(number);
    });
    return true;
  });
}

void Server::wait_for_signal() { log::info("stopping", {{"signal", signal_.get_future().get()}}); }

// In a cluster the mains of this node go to others before it takes no more.
void Server::hand_over() {
  if (controller_->image()->nodes.size() < 2) return;
  parts_->stopping();
  const auto deadline = std::chrono::steady_clock::now() + kHandOverTime;
  while (!parts_->may_stop() && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(kLookTime);
}

void Server::drain_loops() {
  std::vector<std::future<void>> drained;
  for (auto& loop : node_.loops) {
    auto promise = std::make_shared<std::promise<void>>();
    drained.push_back(promise->get_future());
    loop->net_loop().post(
        [loop = loop.get(), promise] { loop->drain([promise] { promise->set_value(); }); });
  }
  auto deadline = std::chrono::steady_clock::now() + kDrainTime;
  for (auto& one : drained) {
    if (one.wait_until(deadline) != std::future_status::ready)
      log::warn("not everything was written before the stop");
  }
  // Answers cross from loop to loop: one more turn of each brings them to their connections.
  for (auto& loop : node_.loops) run_on<bool>(loop->net_loop(), [] { return true; });
  std::vector<std::future<void>> closed;
  for (auto& loop : node_.loops) {
    auto promise = std::make_shared<std::promise<void>>();
    closed.push_back(promise->get_future());
    loop->net_loop().post([loop = loop.get(), promise] {
      loop->close_connections([promise] { promise->set_value(); });
    });
  }
  for (auto& one : closed) one.wait_until(deadline + std::chrono::seconds(1));
}

void Server::stop_threads() {
  if (controller_ && control_thread_.joinable()) {
    auto stopped = std::make_shared<std::promise<void>>();  // it may come after we gave up waiting
    controller_->stop([stopped] { stopped->set_value(); });
    stopped->get_future().wait_for(std::chrono::seconds(1));
  }
  for (auto& loop : node_.loops) loop->stop();
  for (auto& thread : loop_threads_) thread.join();
  loop_threads_.clear();
  if (control_thread_.joinable()) {
    run_on<bool>(*control_loop_, [this] {
      signals_.reset();
      node_.metadata_pulls->close();
      parts_->close();
      return true;
    });
  }
  if (control_loop_) control_loop_->stop();
  if (control_thread_.joinable()) control_thread_.join();
}

Status Server::stop() {
  if (std::exchange(stopped_, true)) return {};
  if (!loop_threads_.empty()) {
    hand_over();
    drain_loops();
  }
  stop_threads();
  controller_.reset();
  node_.controller = nullptr;
  node_.raft = nullptr;
  node_.metadata_pulls.reset();
  node_.sessions = nullptr;
  node_.cluster = nullptr;
  node_.replication = nullptr;
  node_.read_pool.reset();
  // The loops' write queues are told of what is still under way, so they end after the shard.
  auto closed = node_.shard ? node_.shard->close() : Status{};
  for (auto& loop : node_.loops) loop->release();
  node_.loops.clear();
  parts_.reset();
  control_loop_.reset();
  return closed;
}

Server::~Server() { stop(); }

}  // namespace andyx::server
