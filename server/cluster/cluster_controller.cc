#include "server/cluster/cluster_controller.h"

#include <algorithm>
#include <utility>

#include "protocol/net/loop.h"
#include "server/app/log.h"
#include "server/cluster/voters.h"

namespace andyx::server {
namespace {

// A learner that lacks no more than this has caught up: the rest is on its way. One that has
// confirmed nothing yet has not, however short the log is: it may not be there at all.
constexpr raft::Index kCaughtUpEntries = 100;

std::int64_t now_ms() { return static_cast<std::int64_t>(net::boottime_ns() / 1'000'000); }

NodeHealth health_of(const NodeReport& report) {
  return {.version = report.version,
          .image_hash = report.image_hash,
          .oldest_write_ms = report.oldest_write_ms,
          .slowest_loop_ms = report.slowest_loop_ms,
          .failing_pulls = report.failing_pulls,
          .stopping = report.stopping,
          .metadata_stopped = !report.metadata_stopped.empty(),
          .load = report.load};
}

std::vector<NodeId> node_ids(const std::vector<raft::PeerId>& peers) {
  std::vector<NodeId> ids;
  for (const raft::PeerId peer : peers) ids.push_back(static_cast<NodeId>(peer));
  return ids;
}

raft::ConfChange conf_change(const VoterChange& change) {
  using raft::ConfChangeType;
  auto type = ConfChangeType::kRemove;
  switch (change.kind) {
    case VoterChange::Kind::kPromote:
      type = ConfChangeType::kAddVoter;
      break;
    case VoterChange::Kind::kAddLearner:
    case VoterChange::Kind::kDemote:
      type = ConfChangeType::kAddLearner;
      break;
    case VoterChange::Kind::kRemove:
      break;
  }
  return {.changes = {{type, change.node}}, .context = {}};
}

const char* text_of(VoterChange::Kind kind) {
  switch (kind) {
    case VoterChange::Kind::kAddLearner:
      return "add as learner";
    case VoterChange::Kind::kPromote:
      return "make voter";
    case VoterChange::Kind::kDemote:
      return "make learner";
    case VoterChange::Kind::kRemove:
      return "remove";
  }
  return "";
}

}  // namespace

ClusterController::ClusterController(net::Loop& loop, Controller& controller, MetadataGroup* group,
                                     ClusterControllerOptions options)
    : loop_(loop),
      controller_(controller),
      group_(group),
      options_(options),
      core_(ClusterOptions{.self = options.self}) {}

ClusterController::~ClusterController() = default;

void ClusterController::start() {
  ticks_ = loop_.timer();
  ticks_->start(options_.tick_ms, options_.tick_ms, [this] { tick(); });
  looks_ = loop_.timer();
  looks_->start(options_.group_ms, options_.group_ms, [this] { look_at_group(); });
}

void ClusterController::stop() {
  stopping_ = true;
  ticks_.reset();
  looks_.reset();
}

void ClusterController::image(std::shared_ptr<const Image> image) {
  image_ = std::move(image);
  for (const NodeRecord& node : image_->nodes) {
    if (node.alive)
      away_since_.erase(node.id);
    else
      away_since_.emplace(node.id, now_ms());
  }
  meet_peers(*image_);
  core_.image(image_, now_ms());
  act();
}

void ClusterController::role(bool leading) {
  leading_ = leading;
  if (leading)
    core_.lead(now_ms());
  else
    core_.follow();
  if (!leading) {
    const std::lock_guard lock(mutex_);
    reports_.clear();
    astray_.clear();
  }
  act();
}

NodeId ClusterController::successor() const {
  if (!leading_ || group_ == nullptr) return 0;
  const std::lock_guard lock(mutex_);
  const auto could_lead = [this](NodeId voter) {
    const auto node = image_->find_node(voter);
    return voter != options_.self && node && node->alive;
  };
  const auto found = std::ranges::find_if(members_.voters, could_lead);
  return found == members_.voters.end() ? 0 : *found;
}

void ClusterController::resign() {
  if (const NodeId to = successor(); to != 0) group_->transfer_leader(to);
}

Result<NodeSessions::Answer> ClusterController::heartbeat(NodeId node, std::uint64_t incarnation,
                                                          const NodeReport& report) {
  if (!leading_ || !controller_.leading()) {
    return std::unexpected(
        Error{ErrorCode::kNotController, "this node is not the controller", controller_.leader()});
  }
  const auto known = image_->find_node(node);
  if (!known) {
    return fail(ErrorCode::kUnknownNode,
                "node " + std::to_string(node) + " is no member of this cluster");
  }
  if (known->incarnation != incarnation) {
    return fail(ErrorCode::kNodeConflict,
                "node " + std::to_string(node) + " has registered as incarnation " +
                    std::to_string(known->incarnation) + ", not " + std::to_string(incarnation));
  }
  const bool stands = core_.heartbeat(node, incarnation, health_of(report), now_ms());
  const std::string astray = tell_astray(node);
  {
    const std::lock_guard lock(mutex_);
    reports_[node] = report;
  }
  act();
  if (!stands) {
    return fail(ErrorCode::kTimedOut, "the session of node " + std::to_string(node) +
                                          " has ended; it is found again in a moment");
  }
  return Answer{.controller = options_.self,
                .epoch = controller_.epoch(),
                .tail = image_->position,
                .session_ms = static_cast<std::uint32_t>(ClusterOptions{}.session_ms),
                .astray = astray};
}

// What a node is told of its image, and the log once for each that is found. Where it is this node
// that went astray, it is told, and nobody else is.
std::string ClusterController::tell_astray(NodeId node) {
  std::map<NodeId, std::string> found = core_.view().astray;
  if (const std::string mine = core_.self_astray(); !mine.empty()) found = {{options_.self, mine}};
  {
    const std::lock_guard lock(mutex_);
    std::swap(astray_, found);
  }
  for (const auto& [id, how] : astray_) {
    if (!found.contains(id))
      log::error("the metadata of a node has gone astray", {{"node", id}, {"message", how}});
  }
  const auto told = astray_.find(node);
  return told == astray_.end() ? std::string() : told->second;
}

void ClusterController::connection_closed(NodeId node, std::uint64_t incarnation) {
  const auto known = image_->find_node(node);
  if (known && known->incarnation == incarnation) core_.connection_closed(node, now_ms());
}

void ClusterController::tick() {
  core_.tick(now_ms());
  act();
}

void ClusterController::act() {
  for (ClusterAction& action : core_.take_actions()) {
    if (stopping_) continue;
    log::info("cluster decides", {{"what", action.tag}});
    controller_.decide(std::move(action.wish), [this, tag = action.tag](Status status) {
      if (!status) {
        log::warn(
            "cluster could not decide",
            {{"what", tag}, {"error", status.error().name()}, {"message", status.error().message}});
      }
      core_.done(tag, status, now_ms());
    });
  }
  const std::lock_guard lock(mutex_);
  moving_ = core_.moving();
  evenness_ = core_.evenness();
}

// ---- The voters ----

void ClusterController::meet_peers(const Image& image) {
  if (group_ == nullptr) return;
  for (const NodeRecord& node : image.nodes) {
    if (node.id == options_.self || node.peer_port == 0) continue;
    const net::Address address{node.host, node.peer_port};
    auto& met = met_[node.id];
    if (met.host == address.host && met.port == address.port) continue;
    met = address;
    group_->add_peer(node.id, address);
  }
  for (auto it = met_.begin(); it != met_.end();) {
    if (image.nodes.find(it->first)) {
      ++it;
      continue;
    }
    group_->remove_peer(it->first);
    it = met_.erase(it);
  }
}

void ClusterController::look_at_group() {
  if (group_ == nullptr || std::exchange(looking_, true)) return;
  group_->status([this](raft::NodeStatus status) {
    loop_.post([this, status = std::move(status)] {
      looking_ = false;
      if (!stopping_) group_seen(status);
    });
  });
}

void ClusterController::group_seen(const raft::NodeStatus& status) {
  const auto voters = node_ids(status.conf.voters), learners = node_ids(status.conf.learners);
  {
    const std::lock_guard lock(mutex_);
    members_ = {voters, learners, static_cast<NodeId>(status.soft.leader)};
  }
  if (failed_) return hand_leadership_on(status);
  if (!leading_ || changing_ || !status.conf.voters_outgoing.empty()) return;
  std::vector<MetadataNode> nodes;
  for (const NodeRecord& node : image_->nodes) {
    if ((node.roles & kMetadataRole) == 0 || node.peer_port == 0) continue;
    const auto progress = status.progress.find(node.id);
    const auto away = away_since_.find(node.id);
    nodes.push_back({.node = node.id,
                     .alive = node.alive,
                     .draining = node.draining,
                     .caught_up = progress != status.progress.end() && progress->second.match > 0 &&
                                  progress->second.match + kCaughtUpEntries >= status.last_index,
                     .away_since_ms = away == away_since_.end() ? 0 : away->second});
  }
  const auto change = next_voter_change(nodes, voters, learners, options_.self, now_ms());
  if (!change) return;
  log::info("metadata voters change", {{"what", text_of(change->kind)}, {"node", change->node}});
  changing_ = true;
  group_->change(conf_change(*change), [this] { loop_.post([this] { changing_ = false; }); });
}

// A peer whose controller has failed still votes and stores, but the metadata would have no
// controller for as long as it leads the group.
void ClusterController::hand_leadership_on(const raft::NodeStatus& status) {
  if (status.soft.role != raft::Role::kLeader) return;
  raft::PeerId best = raft::kNone;
  raft::Index furthest = 0;
  for (const raft::PeerId voter : status.conf.voters) {
    const auto progress = status.progress.find(voter);
    const auto node = image_->find_node(static_cast<NodeId>(voter));
    if (voter == options_.self || progress == status.progress.end() || !node || !node->alive)
      continue;
    if (best != raft::kNone && progress->second.match <= furthest) continue;
    best = voter;
    furthest = progress->second.match;
  }
  if (best != raft::kNone) group_->transfer_leader(best);
}

// ---- For descriptions ----

ClusterController::Members ClusterController::members() const {
  const std::lock_guard lock(mutex_);
  return members_;
}

std::map<NodeId, NodeReport> ClusterController::reports() const {
  const std::lock_guard lock(mutex_);
  return reports_;
}

std::map<NodeId, std::string> ClusterController::astray() const {
  const std::lock_guard lock(mutex_);
  return astray_;
}

std::uint32_t ClusterController::moving() const {
  const std::lock_guard lock(mutex_);
  return moving_;
}

ClusterCore::Evenness ClusterController::evenness() const {
  const std::lock_guard lock(mutex_);
  return evenness_;
}

}  // namespace andyx::server
