#include "server/cluster/cluster_status.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace andyx::server {
namespace {

class Notes {
 public:
  void add(const std::string& sentence) {
    if (!text_.empty()) text_ += "; ";
    text_ += sentence;
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

// "1 partition has", "2 partitions have".
std::string counted(std::size_t count, const std::string& what, const char* one, const char* many) {
  return std::to_string(count) + ' ' + what + (count == 1 ? " " : "s ") + (count == 1 ? one : many);
}

using NodeTest = bool (*)(const NodeRecord&);

std::size_t count_nodes(const Image& image, NodeTest test) {
  std::size_t count = 0;
  for (const NodeRecord& node : image.nodes) count += test(node) ? 1 : 0;
  return count;
}

bool is_broker(const NodeRecord& node) { return (node.roles & kBrokerRole) != 0; }
bool is_away(const NodeRecord& node) { return !node.alive; }
bool takes_copies(const NodeRecord& node) {
  return is_broker(node) && node.alive && !node.draining;
}

// A copy that is wanted, but has no node that it could lie on, is not missing.
bool is_under_replicated(const Topic& topic, const PartitionRecord& partition,
                         std::size_t brokers) {
  const std::size_t wanted = std::min<std::size_t>(topic.replication_factor, brokers);
  if (topic.async) return partition.in_sync.empty() || partition.replicas.size() < wanted;
  return partition.in_sync.size() < std::max<std::size_t>(wanted, 1);
}

void note_voters(const Image& image, const ClusterFacts& facts, Notes& notes) {
  const std::size_t voters = facts.voters.size();
  if (voters == 1 && image.nodes.size() > 1) {
    notes.add(std::to_string(image.nodes.size()) +
              " nodes have one voter: the cluster stops deciding when it is away");
  }
  const auto alive = static_cast<std::size_t>(std::ranges::count_if(facts.voters, [&](NodeId id) {
    const auto node = image.find_node(id);
    return node && node->alive;
  }));
  if (voters > 1 && alive < voters) {
    notes.add(std::to_string(alive) + " of " + std::to_string(voters) +
              " voters are online; the cluster decides with " + std::to_string(voters / 2 + 1));
  }
}

void note_drains(const Image& image, Notes& notes) {
  const bool room = count_nodes(image, takes_copies) > 0;
  for (const NodeRecord& node : image.nodes) {
    if (!node.draining) continue;
    const std::string which = "node " + std::to_string(node.id);
    if (image.loads.of(node.id).copies == 0) {
      notes.add(which + " is drained: it may be removed");
    } else if (!room) {
      notes.add(which + " is draining, and no other node can take its copies");
    }
  }
}

// Nodes that are there, but cannot be led by the metadata: in words, by id.
std::map<NodeId, std::string> odd_nodes(const Image& image, const ClusterFacts& facts) {
  std::map<NodeId, std::string> odd = facts.astray;
  for (const NodeRecord& node : image.nodes) {
    std::string note = node.alive ? node_note(node, facts) : std::string();
    if (!note.empty()) odd[node.id] = std::move(note);
  }
  return odd;
}

std::string_view cluster_word(const ClusterFacts& facts, const ClusterSummary& summary,
                              std::size_t away, bool any_odd) {
  if (!facts.silence.empty() || facts.controller == 0) return "offline";
  if (away > 0 || summary.without_main > 0 || any_odd) return "partially-online";
  return summary.under_replicated > 0 ? "recovering" : "online";
}

}  // namespace

ClusterSummary summarize(const Image& image, const ClusterFacts& facts) {
  const std::size_t brokers = count_nodes(image, is_broker);
  const std::size_t away = count_nodes(image, is_away);
  ClusterSummary summary;
  for (const Topic& topic : image.topics_by_id) {
    for (const PartitionRecord& partition : topic.partitions()) {
      ++summary.partitions;
      if (partition.main == 0) ++summary.without_main;
      if (is_under_replicated(topic, partition, brokers)) ++summary.under_replicated;
    }
  }
  const std::map<NodeId, std::string> odd = odd_nodes(image, facts);
  summary.status = cluster_word(facts, summary, away, !odd.empty());
  Notes notes;
  if (!facts.silence.empty()) notes.add("the controller does not answer: " + facts.silence);
  note_voters(image, facts, notes);
  if (away > 0) notes.add(counted(away, "node", "is", "are") + " offline");
  if (summary.without_main > 0) {
    notes.add(counted(summary.without_main, "partition", "has", "have") +
              " no main: nothing is written to them or read from them");
  }
  if (summary.under_replicated > 0) {
    notes.add(counted(summary.under_replicated, "partition", "has", "have") +
              " fewer copies in sync than wanted");
  }
  note_drains(image, notes);
  for (const auto& [node, how] : odd) {
    notes.add("node " + std::to_string(node) + ' ' + how);
  }
  summary.note = notes.take();
  return summary;
}

std::string_view status_word(const NodeRecord& node, const ClusterFacts& facts) {
  if (!node.alive) return "offline";
  const auto found = facts.reports.find(node.id);
  const bool stopping = found != facts.reports.end() && found->second.stopping;
  if (stopping || !node_note(node, facts).empty()) return "disconnecting";
  return node.draining ? "draining" : "online";
}

std::string node_note(const NodeRecord& node, const ClusterFacts& facts) {
  if (const auto found = facts.astray.find(node.id); found != facts.astray.end())
    return found->second;
  const auto report = facts.reports.find(node.id);
  if (report == facts.reports.end() || report->second.metadata_stopped.empty()) return {};
  return "does not follow the metadata any more: " + report->second.metadata_stopped;
}

}  // namespace andyx::server
