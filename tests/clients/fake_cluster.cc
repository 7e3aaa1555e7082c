#include "tests/clients/fake_cluster.h"

namespace andyx::test {

using protocol::Body;

// A node that is not the one to ask names the one that it believes to be.
bool FakeServer::redirect(Session& session, const protocol::Frame& root) {
  const auto& truth_now = world_->truth;
  const auto wrong_main = [&](std::uint32_t partition, MainEpoch epoch) {
    const bool right = truth_now.mains[partition] == node_id &&
                       (epoch == 0 || epoch == truth_now.epochs[partition]);
    if (!right)
      session.error(root.correlation_id(), ErrorCode::kNotMain, "not here", view.mains[partition]);
    return !right;
  };
  if (const auto* body = root.body_as_Produce())
    return wrong_main(body->partition(), body->main_epoch());
  if (const auto* body = root.body_as_StreamOpen()) return wrong_main(body->partition(), 0);
  if (const auto* body = root.body_as_LookupOffset()) return wrong_main(body->partition(), 0);
  if (const auto* body = root.body_as_ProducerOpen(); body != nullptr && body->name() != nullptr)
    return wrong_main(0, 0);
  const bool coordinated =
      root.body_type() == Body::Subscribe || root.body_type() == Body::Unsubscribe;
  if (!coordinated || truth_now.coordinator == node_id) return false;
  session.error(root.correlation_id(), ErrorCode::kNotMain, "not here", view.coordinator);
  return true;
}

// Partition p is led by node p % nodes + 1, the coordinator is node 1.
FakeCluster::FakeCluster(std::uint32_t nodes, std::uint32_t partitions) {
  nodes_.push_back(std::make_unique<FakeServer>(partitions));
  while (nodes_.size() < nodes) nodes_.push_back(std::make_unique<FakeServer>(world()));
  world().on([&] {
    FakeServer::View view{.coordinator = 1};
    for (NodeId id = 1; id <= nodes; ++id) {
      node(id).node_id = id;
      view.nodes[id] = node(id).port();
    }
    for (std::uint32_t i = 0; i < partitions; ++i) {
      view.mains.push_back(i % nodes + 1);
      view.epochs.push_back(1);
    }
    world().truth = view;
    for (const auto& node : nodes_) node->view = view;
  });
}

std::string FakeCluster::servers() const {
  std::string all;
  for (const auto& node : nodes_) all += (all.empty() ? "" : ",") + node->address();
  return all;
}

void FakeCluster::move_main(std::uint32_t partition, NodeId to, const std::set<NodeId>& unaware) {
  world().on([&] {
    auto& truth = world().truth;
    truth.mains[partition] = to;
    ++truth.epochs[partition];
    ++truth.version;
    for (const auto& node : nodes_) {
      if (!unaware.contains(node->node_id)) node->view = truth;
    }
  });
}

void FakeCluster::move_coordinator(NodeId to) {
  world().on([&] {
    auto& truth = world().truth;
    truth.coordinator = to;
    ++truth.version;
    for (const auto& node : nodes_) node->view = truth;
  });
}

void FakeCluster::let_claim(NodeId id, std::uint32_t partition, NodeId main) {
  world().on([&] { node(id).view.mains[partition] = main; });
}

std::vector<std::string> FakeCluster::payloads(std::uint32_t partition) {
  return world().on([&] { return world().partitions[partition].payloads; });
}

}  // namespace andyx::test
