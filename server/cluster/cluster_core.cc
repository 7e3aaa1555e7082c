#include "server/cluster/cluster_core.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "protocol/base/limits.h"
#include "server/cluster/balance.h"
#include "server/cluster/convergence.h"

namespace andyx::server {
namespace {

constexpr std::int64_t kRetryMs = 500;     // of a refused action
constexpr std::int64_t kRoundMs = 250;     // between looks at all copies
constexpr std::int64_t kSpreadMs = 1'000;  // between rounds of spreading
// After one that went by measured load: until what has moved is measured in its new place.
constexpr std::int64_t kMeasuredMs = 15'000;
constexpr std::int64_t kUnrestMs = 5'000;        // no spreading so soon after a node came or went
constexpr std::int64_t kReplaceAgainMs = 5'000;  // between replacements of a partition's main

std::string tag_of(const Wish& wish) {
  return std::visit(
      [](const auto& w) -> std::string {
        using W = std::decay_t<decltype(w)>;
        const auto text = [](auto number) { return std::to_string(number); };
        if constexpr (std::is_same_v<W, NodeLostCommand>) {
          return "lost " + text(w.node_id) + "/" + text(w.incarnation);
        } else if constexpr (std::is_same_v<W, NodeFoundCommand>) {
          return "found " + text(w.node_id) + "/" + text(w.incarnation);
        } else if constexpr (std::is_same_v<W, ElectMainsCommand>) {
          return "mains away from " + text(w.away_from);
        } else if constexpr (std::is_same_v<W, ElectMainCommand>) {
          return "main of " + text(w.topic_id) + "/" + text(w.partition);
        } else if constexpr (std::is_same_v<W, ChangeReplicasCommand>) {
          return "copies of " + text(w.topic_id) + "/" + text(w.partition);
        } else {
          return "other";  // the core wishes for nothing else
        }
      },
      wish);
}

}  // namespace

void ClusterCore::lead(std::int64_t now_ms) {
  follow();
  leading_ = true;
  ticked_ms_ = unrest_ms_ = now_ms;
  next_round_ms_ = now_ms;
  next_look_ms_ = now_ms;
  moved_ms_ = now_ms;  // the last controller may have, just now
  if (active()) follow_nodes(now_ms);
}

void ClusterCore::follow() {
  leading_ = false;
  sessions_.clear();
  suspects_.clear();
  tried_.clear();
  actions_.clear();
  view_ = {};
  divergence_.forget_reports();
  moving_ = 0;
  evenness_ = {};
}

void ClusterCore::image(std::shared_ptr<const Image> image, std::int64_t now_ms) {
  image_ = std::move(image);
  divergence_.published(image_->position, image_->hash());
  arranged_.reset();
  if (active()) follow_nodes(now_ms);
}

// A node that came, or came back, begins with a whole session and in good health.
void ClusterCore::follow_nodes(std::int64_t now_ms) {
  std::erase_if(sessions_, [this](const auto& each) {
    const bool gone = !image_->find_node(each.first);
    if (gone) forget_health(each.first);
    return gone;
  });
  std::erase_if(view_.lost_since,
                [this](const auto& each) { return !image_->find_node(each.first); });
  for (const NodeRecord& node : image_->nodes) {
    if (!node.alive) {
      unrest_ms_ = sessions_.erase(node.id) > 0 ? now_ms : unrest_ms_;
      forget_health(node.id);
      view_.lost_since.try_emplace(node.id, now_ms);
      continue;
    }
    view_.lost_since.erase(node.id);
    Session& session = sessions_[node.id];
    if (session.incarnation == node.incarnation) continue;
    session = {
        .incarnation = node.incarnation, .until_ms = now_ms + options_.session_ms, .health = {}};
    forget_health(node.id);
    unrest_ms_ = now_ms;
  }
}

void ClusterCore::forget_health(NodeId node) {
  view_.ailing.erase(node);
  view_.astray.erase(node);
  view_.loads.erase(node);
  divergence_.forget(node);
}

bool ClusterCore::heartbeat(NodeId node, std::uint64_t incarnation, NodeHealth health,
                            std::int64_t now_ms) {
  if (!active()) return false;
  const auto record = image_->find_node(node);
  if (!record || record->incarnation != incarnation) return false;
  if (!record->alive) {
    if (!health.stopping) propose(NodeFoundCommand{node, incarnation}, now_ms);
    return false;
  }
  Session& session = sessions_[node];
  session.until_ms = now_ms + options_.session_ms;
  if (health.load)
    view_.loads[node] = *std::exchange(health.load, std::nullopt);
  else
    view_.loads.erase(node);
  session.health = std::move(health);
  compare(node, session.health);
  judge(node, session.health, now_ms);
  return !is_open(tag_of(NodeLostCommand{node, incarnation}));
}

void ClusterCore::compare(NodeId node, const NodeHealth& health) {
  divergence_.reported(node, health.version, health.image_hash);
  view_.astray = divergence_.astray(sessions_.size());
}

std::string ClusterCore::self_astray() const {
  return active() ? divergence_.self_astray(sessions_.size()) : std::string();
}

void ClusterCore::judge(NodeId node, const NodeHealth& health, std::int64_t now_ms) {
  const bool hangs = std::max(health.oldest_write_ms, health.slowest_loop_ms) >= options_.hang_ms;
  const bool astray = health.metadata_stopped || view_.astray.contains(node);
  if (!hangs && !health.stopping && !astray) {
    if (view_.ailing.erase(node) > 0) unrest_ms_ = now_ms;
    return;
  }
  if (view_.ailing.insert(node).second) unrest_ms_ = now_ms;
  move_mains_from_ailing(now_ms);
}

void ClusterCore::connection_closed(NodeId node, std::int64_t now_ms) {
  const auto session = sessions_.find(node);
  if (session == sessions_.end()) return;
  session->second.until_ms = std::min(session->second.until_ms, now_ms + options_.closed_ms);
}

void ClusterCore::tick(std::int64_t now_ms) {
  if (!active()) return;
  // Who stood still itself has heard of nobody, and knows nothing of them.
  if (now_ms - ticked_ms_ > options_.session_ms / 3) {
    for (auto& [node, session] : sessions_) session.until_ms = now_ms + options_.session_ms;
  }
  ticked_ms_ = now_ms;
  std::erase_if(tried_, [now_ms](const auto& each) {
    return !each.second.open && now_ms >= each.second.again_ms;
  });
  expire_sessions(now_ms);
  move_mains_from_ailing(now_ms);
  replace_unreachable_mains(now_ms);
  arrange(now_ms);
}

void ClusterCore::expire_sessions(std::int64_t now_ms) {
  for (const auto& [node, session] : sessions_) {
    // Who is about to stop, and leads nothing any more, leaves every set before it pulls no more:
    // so nobody waits for it.
    const bool leaves = session.health.stopping && !leads_movable(node);
    if (node == options_.self || (now_ms < session.until_ms && !leaves)) continue;
    propose(NodeLostCommand{node, session.incarnation}, now_ms);
  }
}

void ClusterCore::move_mains_from_ailing(std::int64_t now_ms) {
  for (const NodeId node : view_.ailing) {
    if (!leads_movable(node)) continue;
    std::vector<NodeId> avoid;
    std::ranges::copy_if(view_.ailing, std::back_inserter(avoid),
                         [node](NodeId other) { return other != node; });
    propose(ElectMainsCommand{node, std::move(avoid)}, now_ms);
  }
}

bool ClusterCore::leads_movable(NodeId node) const {
  if (image_->loads.of(node).mains == 0) return false;
  const auto movable = [&](const PartitionRecord& p) {
    return p.main == node && std::ranges::any_of(p.in_sync, [&](NodeId other) {
             return other != node && view_.may_lead(*image_, other);
           });
  };
  for (const Topic& topic : image_->topics_by_id) {
    if (std::ranges::any_of(topic.partitions(), movable)) return true;
  }
  return false;
}

// A main that can reach the controller and not its replicas is replaced, rather than shrunk to
// itself.
void ClusterCore::replace_unreachable_mains(std::int64_t now_ms) {
  std::map<PartitionId, std::vector<NodeId>> reported;
  for (const auto& [node, session] : sessions_) {
    for (const PartitionId id : session.health.failing_pulls) reported[id].push_back(node);
  }
  std::erase_if(suspects_, [&](const auto& each) {
    return !reported.contains(each.first) && now_ms >= each.second.replaced_ms + kReplaceAgainMs;
  });
  if (reported.empty()) return;
  for (const Topic& topic : image_->topics_by_id) {
    for (const PartitionRecord& partition : topic.partitions()) {
      const auto found = reported.find(partition.partition_id);
      if (found == reported.end()) continue;
      replace_if_unreachable(topic.id, partition, found->second, now_ms);
    }
  }
}

void ClusterCore::replace_if_unreachable(TopicId topic, const PartitionRecord& partition,
                                         const std::vector<NodeId>& reporters,
                                         std::int64_t now_ms) {
  if (partition.main == 0) return;
  const auto [at, is_new] = suspects_.try_emplace(partition.partition_id);
  Suspect& suspect = at->second;
  if (is_new) suspect.replaced_ms = now_ms - kReplaceAgainMs;
  if (suspect.main_epoch != partition.main_epoch) {
    suspect.main_epoch = partition.main_epoch;
    suspect.since = image_->position;
  }
  std::size_t failing = 0;
  NodeId successor = 0;
  for (const NodeId node : reporters) {
    const bool counts = node != partition.main &&
                        std::ranges::find(partition.in_sync, node) != partition.in_sync.end() &&
                        sessions_.at(node).health.version >= suspect.since;
    if (!counts) continue;
    ++failing;
    if (successor == 0 && view_.may_lead(*image_, node)) successor = node;
  }
  const std::size_t others = partition.in_sync.size() - 1;
  if (failing * 2 <= others || successor == 0) return;
  if (now_ms < suspect.replaced_ms + kReplaceAgainMs) return;
  suspect.replaced_ms = now_ms;
  propose(ElectMainCommand{.topic_id = topic,
                           .partition = partition.index,
                           .node = successor,
                           .main_epoch = partition.main_epoch},
          now_ms);
}

// Takes the next steps towards the wanted copies; whether there were any. An image in which there
// was nothing to do, while all nodes are well, is not gone through again: it may have very many
// partitions.
bool ClusterCore::converge_now(std::int64_t now_ms) {
  const bool all_well = view_.ailing.empty() && view_.lost_since.empty();
  if (all_well && image_ == arranged_) return false;
  Convergence round = converge(*image_, view_, now_ms, limits::kMaxClusterActions);
  moving_ = round.moving;
  const bool busy = !round.steps.empty();
  for (Wish& step : round.steps) propose(std::move(step), now_ms);
  arranged_ = all_well && !busy ? image_ : nullptr;
  return busy;
}

void ClusterCore::arrange(std::int64_t now_ms) {
  if (now_ms < next_round_ms_) return;
  next_round_ms_ = now_ms + kRoundMs;
  const bool busy = converge_now(now_ms);
  if (moving_ > 0) moved_ms_ = now_ms;
  if (now_ms < next_look_ms_) return;
  next_look_ms_ = now_ms + kSpreadMs;
  spread(!busy && !image_->balancing_paused && now_ms - unrest_ms_ >= kUnrestMs, now_ms);
}

void ClusterCore::spread(bool allowed, std::int64_t now_ms) {
  Balance balance(*image_, view_);
  evenness_ = {balance.mains.measured(), balance.copies.measured(), balance.off()};
  if (!allowed || (balance.measured() && now_ms - moved_ms_ < kMeasuredMs)) return;
  std::vector<Wish> moves = spread_mains(*image_, balance);
  if (moves.empty() && moving_ < limits::kMaxMoves) moves = spread_copies(*image_, balance);
  if (!moves.empty()) moved_ms_ = now_ms;
  for (Wish& move : moves) propose(std::move(move), now_ms);
}

void ClusterCore::propose(Wish wish, std::int64_t now_ms) {
  std::string tag = tag_of(wish);
  const bool failover = std::holds_alternative<NodeLostCommand>(wish) ||
                        std::holds_alternative<NodeFoundCommand>(wish) ||
                        std::holds_alternative<ElectMainsCommand>(wish);
  if (!failover && tried_.size() >= limits::kMaxClusterActions) return;
  const auto [tried, is_new] = tried_.try_emplace(tag);
  if (!is_new && (tried->second.open || now_ms < tried->second.again_ms)) return;
  tried->second = {};
  actions_.push_back({std::move(tag), std::move(wish)});
}

bool ClusterCore::is_open(const std::string& tag) const {
  const auto tried = tried_.find(tag);
  return tried != tried_.end() && tried->second.open;
}

void ClusterCore::done(const std::string& tag, const Status& status, std::int64_t now_ms) {
  const auto tried = tried_.find(tag);
  if (tried == tried_.end()) return;
  if (status) {
    tried_.erase(tried);
  } else {
    tried->second = {.open = false, .again_ms = now_ms + kRetryMs};
  }
}

}  // namespace andyx::server
