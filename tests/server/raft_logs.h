// The metadata logs of a few nodes on Raft, over loopback, each with a disk that outlives it. For
// tests; waits for conditions.
#pragma once

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "server/metadata/raft_metadata_log.h"
#include "tests/raft/host/group.h"
#include "tests/raft/host/memory_raft_store.h"
#include "tests/server/metadata_log_conformance.h"

namespace andyx::server::test {

class RaftLogs {
 public:
  explicit RaftLogs(NodeId nodes, MetadataLogContent first = {}) : first_(std::move(first)) {
    for (NodeId id = 1; id <= nodes; ++id) {
      Node& node = nodes_[id];
      node.disk = std::make_shared<raft::MemoryDisk>();
      auto claimed = net::claim_address({.host = "127.0.0.1", .port = 0});
      REQUIRE(claimed.has_value());
      node.port = claimed->address().port;
    }
  }

  // On what the one before left behind.
  std::unique_ptr<RaftMetadataLog> open(NodeId id) {
    RaftMetadataLogOptions options{
        .host = {}, .first = first_, .refuse_append = [this] { return refusal; }};
    auto& host = options.host;
    host.store.identity = {
        .cluster_id = "test", .peer = id, .disk_id = "disk-" + std::to_string(id)};
    host.listen = {.host = "127.0.0.1", .port = nodes_[id].port};
    for (const auto& [peer, node] : nodes_) {
      host.bootstrap_voters.push_back(peer);
      host.peers.push_back({.id = peer, .address = {.host = "127.0.0.1", .port = node.port}});
    }
    host.open_store = [disk = nodes_[id].disk](const raft::StoreOptions&) {
      return Result<std::unique_ptr<raft::RaftStore>>(
          std::make_unique<raft::MemoryRaftStore>(disk));
    };
    auto log = RaftMetadataLog::open(std::move(options));
    REQUIRE_MESSAGE(log.has_value(), log.error().message);
    return std::move(*log);
  }

  std::optional<Error> refusal;  // of appends, by all nodes

  void start(NodeId id) { nodes_[id].log = open(id); }
  void start_all() {
    for (auto& [id, node] : nodes_) start(id);
  }
  void stop(NodeId id) { nodes_[id].log.reset(); }
  RaftMetadataLog& operator[](NodeId id) { return *nodes_.at(id).log; }

  static bool leads(RaftMetadataLog& log) {
    std::promise<raft::NodeStatus> status;
    log.status([&](raft::NodeStatus one) { status.set_value(std::move(one)); });
    return status.get_future().get().soft.role == raft::Role::kLeader;
  }
  NodeId wait_for_leader(NodeId but = 0) {
    NodeId leader = 0;
    raft::wait_until("there is a leader", [&] {
      for (auto& [id, node] : nodes_) {
        if (id != but && node.log && leads(*node.log)) leader = id;
      }
      return leader != 0;
    });
    return leader;
  }

 private:
  struct Node {
    std::shared_ptr<raft::MemoryDisk> disk;
    std::uint16_t port = 0;
    std::unique_ptr<RaftMetadataLog> log;
  };
  MetadataLogContent first_;
  std::map<NodeId, Node> nodes_;
};

}  // namespace andyx::server::test
