#include "tests/fault/cluster/cluster_view.h"

#include <algorithm>

#include "tests/fault/cluster/ask.h"

namespace andyx::test::fault {
namespace {

constexpr Millis kPatience{500};

void fill(ClusterView& view, const protocol::MetadataReply& reply) {
  if (reply.version() <= view.version) return;
  view.version = reply.version();
  view.nodes.clear();
  view.partitions.clear();
  if (reply.nodes() != nullptr) {
    for (const auto* node : *reply.nodes()) view.nodes.push_back(node->node_id());
  }
  if (reply.topics() == nullptr || reply.topics()->size() == 0) return;
  const auto* topic = reply.topics()->Get(0)->topic();
  if (topic == nullptr || topic->partitions() == nullptr) return;
  for (const auto* partition : *topic->partitions()) {
    PartitionView& out = view.partitions.emplace_back();
    out.main = partition->main();
    if (partition->replicas() != nullptr) {
      out.replicas.assign(partition->replicas()->begin(), partition->replicas()->end());
    }
    if (partition->in_sync() != nullptr) {
      out.in_sync.assign(partition->in_sync()->begin(), partition->in_sync()->end());
    }
  }
}

}  // namespace

bool ClusterView::complete(std::uint32_t factor) const {
  return !partitions.empty() && std::ranges::all_of(partitions, [&](const PartitionView& p) {
    return p.main != 0 && p.in_sync.size() >= factor;
  });
}

std::string ClusterView::text() const {
  if (!answered()) return "no node answers";
  std::string text =
      "version " + std::to_string(version) + ", controller " + std::to_string(controller) +
                     ", voters " + std::to_string(voters);
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    text += ", partition " + std::to_string(i) + " main " + std::to_string(partitions[i].main) +
            " in sync";
    for (const NodeId node : partitions[i].in_sync) text += " " + std::to_string(node);
  }
  return text;
}

ClusterView observe(const std::vector<net::Address>& nodes, const std::string& topic_path) {
  ClusterView view;
  std::uint64_t controller_epoch = 0;
  const Bytes metadata = make_frame<protocol::MetadataRequest>(kQuestion, [&](Builder& builder) {
    const auto names = builder.CreateVectorOfStrings({topic_path});
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

}  // namespace andyx::test::fault
