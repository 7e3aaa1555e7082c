#include "tests/fault/cluster/cluster_view.h"

#include <algorithm>

#include "tests/fault/cluster/ask.h"

namespace andyx::test::fault {
namespace {

constexpr Millis kPatience{500}, kDescribePatience{3'000};  // a main that is silent costs 2 s

template <typename List>
void take(std::vector<NodeId>& nodes, const List* told) {
  if (told != nullptr) nodes.assign(told->begin(), told->end());
}

void fill_topic(ClusterView& view, std::size_t index, const protocol::TopicInfo* topic) {
  if (topic == nullptr || topic->partitions() == nullptr) return;
  for (const auto* partition : *topic->partitions()) {
    PartitionView& out = view.partitions.emplace_back();
    out.topic = index;
    out.index = partition->partition();
    out.version = partition->version();
    out.main = partition->main();
    take(out.replicas, partition->replicas());
    take(out.in_sync, partition->in_sync());
    take(out.observers, partition->observers());
    take(out.eligible, partition->eligible());
  }
}

void fill(ClusterView& view, const protocol::MetadataReply& reply) {
  if (reply.version() <= view.version) return;
  view.version = reply.version();
  view.nodes.clear();
  view.partitions.clear();
  if (reply.nodes() != nullptr) {
    for (const auto* node : *reply.nodes()) view.nodes.push_back(node->node_id());
  }
  if (reply.topics() == nullptr) return;
  for (std::uint32_t i = 0; i < reply.topics()->size(); ++i) {
    fill_topic(view, i, reply.topics()->Get(i)->topic());
  }
}

// Nothing: not all of it is known.
std::optional<std::vector<CopyEnd>> copies_of(const protocol::TopicInfo& topic) {
  std::vector<CopyEnd> copies;
  if (topic.partitions() == nullptr) return std::nullopt;
  for (const auto* partition : *topic.partitions()) {
    const auto* nodes = partition->replicas();
    const auto* ends = partition->replica_offsets();
    if (nodes == nullptr || ends == nullptr || ends->size() != nodes->size()) return std::nullopt;
    for (std::uint32_t i = 0; i < nodes->size(); ++i) {
      if (ends->Get(i) == kNoOffset) return std::nullopt;
      copies.push_back({.partition = partition->partition(),
                        .node = nodes->Get(i),
                        .main = nodes->Get(i) == partition->main(),
                        .durable = ends->Get(i)});
    }
  }
  return copies;
}

}  // namespace

bool PartitionView::lives_only_on(NodeId node) const {
  const std::vector<NodeId>& able = in_sync.empty() ? eligible : in_sync;
  return able == std::vector<NodeId>{node};
}

bool ClusterView::complete(std::uint32_t factor) const {
  return !partitions.empty() && std::ranges::all_of(partitions, [&](const PartitionView& p) {
    return p.main != 0 && p.in_sync.size() >= factor;
  });
}

std::string ClusterView::text() const {
  if (!answered()) return "no node answers";
  std::string text = "version " + std::to_string(version) + ", controller " +
                     std::to_string(controller) + ", voters " + std::to_string(voters);
  for (const PartitionView& partition : partitions) {
    text += ", partition " + std::to_string(partition.index) + " main " +
            std::to_string(partition.main) + " in sync";
    for (const NodeId node : partition.in_sync) text += " " + std::to_string(node);
    if (!partition.observers.empty()) text += " observers";
    for (const NodeId node : partition.observers) text += " " + std::to_string(node);
  }
  return text;
}

ClusterView observe(const std::vector<net::Address>& nodes,
                    const std::vector<std::string>& topic_paths) {
  ClusterView view;
  std::uint64_t controller_epoch = 0;
  const Bytes metadata = make_frame<protocol::MetadataRequest>(kQuestion, [&](Builder& builder) {
    const auto names = builder.CreateVectorOfStrings(topic_paths);
    return protocol::CreateMetadataRequest(builder, names);
  });
  const Bytes status = make_frame<protocol::ClusterStatus>(
      kQuestion, [](Builder& builder) { return protocol::CreateClusterStatus(builder); });
  for (const net::Address& node : nodes) {
    const auto answer = ask(node, metadata, kPatience);
    if (!answer) continue;
    if (const auto* reply = answer->as<protocol::MetadataReply>()) fill(view, *reply);
    const auto told = ask(node, status, kPatience);
    const auto* reply = told ? told->as<protocol::ClusterStatusReply>() : nullptr;
    // A node that is cut off still believes in the controller of before.
    if (reply == nullptr || reply->controller_epoch() < controller_epoch) continue;
    controller_epoch = reply->controller_epoch();
    view.controller = reply->controller();
    view.voters = reply->voters() == nullptr ? 0 : reply->voters()->size();
  }
  return view;
}

std::optional<std::vector<CopyEnd>> observe_copies(const std::vector<net::Address>& nodes,
                                                   const std::string& topic_path) {
  const Bytes question = make_frame<protocol::TopicDescribe>(kQuestion, [&](Builder& builder) {
    return protocol::CreateTopicDescribeDirect(builder, topic_path.c_str());
  });
  for (const net::Address& node : nodes) {
    const auto answer = ask(node, question, kDescribePatience);
    const auto* reply = answer ? answer->as<protocol::TopicReply>() : nullptr;
    if (reply == nullptr || reply->topics() == nullptr || reply->topics()->size() != 1) continue;
    if (auto copies = copies_of(*reply->topics()->Get(0))) return copies;
  }
  return std::nullopt;
}

}  // namespace andyx::test::fault
