#include "server/app/cluster_parts.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "server/app/log.h"
#include "server/cluster/remote_metadata_log.h"
#include "server/loop/core_loop.h"
#include "server/loop/loop_load.h"
#include "server/metadata/raft_metadata_log.h"

namespace andyx::server {
namespace {

constexpr const char* kReplaceNode =
    "; it leads nothing any more: replace it by a node with an empty data directory and a new id";
constexpr std::uint32_t kLeaveMs = 50;  // between the steps of a node that stops

}  // namespace

// The Raft group, by this node's peer.
class ClusterParts::Group final : public MetadataGroup {
 public:
  explicit Group(RaftMetadataLog& log) : log_(log) {}

  void status(std::move_only_function<void(raft::NodeStatus)> done) override {
    log_.status(std::move(done));
  }
  void change(raft::ConfChange change, std::move_only_function<void()> done) override {
    log_.propose_conf_change(std::move(change),
                             [done = std::move(done)](raft::ProposalResult) mutable { done(); });
  }
  void add_peer(raft::PeerId peer, const net::Address& address) override {
    log_.add_peer({peer, address});
  }
  void remove_peer(raft::PeerId peer) override { log_.remove_peer(peer); }
  void transfer_leader(raft::PeerId to) override { log_.transfer_leader(to); }

 private:
  RaftMetadataLog& log_;
};

ClusterParts::ClusterParts(Node& node, net::Loop& loop, std::vector<net::Address> known)
    : node_(node),
      loop_(loop),
      links_(NodeLinks::create(loop, {.self = node.config.node_id,
                                      .incarnation = node.incarnation,
                                      .metadata_group = [&node] { return node.said_group(); }})),
      peers_(MetadataPeers::create(*links_, node.config.node_id, std::move(known))),
      link_(*links_, peers_) {}

ClusterParts::~ClusterParts() = default;

std::unique_ptr<MetadataLog> ClusterParts::remote_log() {
  auto log = std::make_unique<RemoteMetadataLog>(loop_, peers_);
  remote_ = log.get();
  return log;
}

void ClusterParts::set_controller(Controller& controller) {
  if (node_.raft != nullptr) group_ = std::make_unique<Group>(*node_.raft);
  cluster_ = std::make_unique<ClusterController>(
      loop_, controller, group_.get(), ClusterControllerOptions{.self = node_.config.node_id});
  replication_ = std::make_unique<NodeReplication>(
      controller, [this] { return heard_ms_.load(std::memory_order_relaxed); },
      [this] {
        if (beat_posted_.exchange(true)) return;  // for thousands of partitions at a time
        loop_.post([this] {
          beat_posted_ = false;
          if (heartbeats_) heartbeats_->beat_now();
        });
      });
  Heartbeats::Inputs inputs;
  inputs.report = [this] { return report(); };
  inputs.leader = [&controller] { return controller.leader(); };
  inputs.local = cluster_.get();
  inputs.heard = [this, &controller](const NodeSessions::Answer& answer) {
    if (!answer.astray.empty()) {
      controller.give_up({ErrorCode::kCorrupt, "node " + std::to_string(node_.config.node_id) +
                                                   ' ' + answer.astray + kReplaceNode});
    }
    if (remote_ != nullptr) {
      remote_->tail_is(answer.tail);
      remote_->leader_is(answer.controller);
    }
    heard_ms_.store(heartbeats_->heard_controller_ms(), std::memory_order_relaxed);
  };
  inputs.refused = [said = std::string()](const Error& error) mutable {
    if (std::exchange(said, error.message) == error.message) return;  // with every heartbeat
    log::error("the controller does not know this node as it is",
               {{"error", error.name()}, {"message", error.message}, {"remedy", error.remedy()}});
  };
  heartbeats_ = std::make_unique<Heartbeats>(
      loop_, peers_,
      HeartbeatsOptions{.self = node_.config.node_id, .incarnation = node_.incarnation},
      std::move(inputs));
  node_.sessions = cluster_.get();
  node_.cluster = cluster_.get();
  node_.replication = replication_.get();
}

void ClusterParts::start() {
  cluster_->start();
  heartbeats_->start();
}

void ClusterParts::image(const std::shared_ptr<const Image>& image) {
  links_->image_moved(*image);
  peers_->image_moved(*image);
  cluster_->image(image);
  auto others = other_nodes(*image, node_.config.node_id);
  if (others == written_) return;
  if (auto written = write_known_nodes(node_.config.data_dir, others); !written)
    log::warn("addresses of other nodes not kept", {{"message", written.error().message}});
  written_ = std::move(others);
}

void ClusterParts::role(bool leading) { cluster_->role(leading); }

void ClusterParts::metadata_failed(const Error& error) {
  metadata_stopped_ = error.message;
  cluster_->controller_failed();
  if (heartbeats_) heartbeats_->beat_now();
}

// The controller goes on using the cluster's parts until it has stopped: only what needs the loop
// ends here.
void ClusterParts::close() {
  peers_->close();
  link_.close();
  heartbeats_.reset();
  leaving_.reset();
  cluster_->stop();
  links_.reset();
}

void ClusterParts::stopping() {
  stopping_ = true;
  loop_.post([this] {
    if (!heartbeats_) return;
    leaving_ = loop_.timer();
    leaving_->start(0, kLeaveMs, [this] { leave(); });
  });
}

// The controller is told again and again: it may be another one by now.
void ClusterParts::leave() {
  heartbeats_->beat_now();
  const auto self = node_.controller->image()->find_node(node_.config.node_id);
  if (leads_movable()) return;
  const bool lost = !self || !self->alive;
  const bool alone = node_.controller->leading() && cluster_->successor() == 0;
  if (lost || alone) may_stop_ = true;
  cluster_->resign();
}

bool ClusterParts::leads_movable() const {
  const auto image = node_.controller->image();
  const NodeId self = node_.config.node_id;
  for (const Topic& topic : image->topics) {
    for (const PartitionRecord& partition : topic.partitions()) {
      if (partition.main != self) continue;
      const auto could_lead = [&](NodeId other) {
        const auto node = image->find_node(other);
        return other != self && node && node->alive;
      };
      if (std::ranges::any_of(partition.in_sync, could_lead)) return true;
    }
  }
  return false;
}

std::uint32_t ClusterParts::slowest_loop_ms() const {
  const std::uint64_t now_ms = net::boottime_ns() / 1'000'000;
  std::uint64_t slowest = 0;
  for (const auto& loop : node_.loops) {
    const std::uint64_t turned_ms = loop->turned_ms();
    if (turned_ms != 0 && turned_ms < now_ms) slowest = std::max(slowest, now_ms - turned_ms);
  }
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(slowest, ~std::uint32_t{0}));
}

NodeReport ClusterParts::report() const {
  const auto image = node_.controller->image();
  const auto storage = node_.shard->status();
  const auto load = image->loads.of(node_.config.node_id);
  NodeReport report;
  report.version = image->position;
  report.image_hash = image->hash();
  // A shard that has stopped for good finishes nothing any more, and one whose disk is full takes
  // nothing: others lead until there is room.
  const bool takes_nothing =
      storage.error == ErrorCode::kStorageFailed || storage.error == ErrorCode::kDiskFull;
  report.oldest_write_ms = takes_nothing
                               ? std::numeric_limits<std::uint32_t>::max()
                               : static_cast<std::uint32_t>(storage.sync_running_us / 1'000);
  report.slowest_loop_ms = slowest_loop_ms();
  report.failing_pulls = replication_->failing();
  report.partitions = load.copies;
  report.mains = load.mains;
  auto measured = measured_load(node_);
  report.bytes_in = measured.bytes_in;
  report.bytes_out = measured.bytes_out;
  report.load = std::move(measured.load);
  report.disk_bytes = storage.disk_bytes;
  report.disk_free_bytes = storage.free_bytes;
  report.stopping = stopping_;
  report.metadata_stopped = metadata_stopped_;
  return report;
}

}  // namespace andyx::server
