// A cluster of some nodes in the metadata, and short ways to change it: for tests.
#pragma once

#include "server/metadata/proposal.h"
#include "tests/server/metadata_commands.h"

namespace andyx::server::test {

inline ErrorCode code_of(const Outcome& outcome) {
  return outcome.status ? ErrorCode::kOk : outcome.status.error().code;
}

class Cluster {
 public:
  explicit Cluster(NodeId nodes) {
    REQUIRE(history_.apply(BootstrapCommand{{7, 7}}).status);
    for (NodeId node = 1; node <= nodes; ++node) REQUIRE(add_node(node).status);
  }

  Outcome add_node(NodeId node, std::uint64_t incarnation = 1, bool intact = true,
                   std::uint8_t roles = kAllRoles) {
    return apply(RegisterNodeCommand{node,
                                     {1, node},
                                     incarnation,
                                     "localhost",
                                     static_cast<std::uint16_t>(6'000 + node),
                                     0,
                                     roles,
                                     intact});
  }
  Outcome lose(NodeId node) { return apply(NodeLostCommand{node, incarnation(node)}); }
  Outcome find(NodeId node) { return apply(NodeFoundCommand{node, incarnation(node)}); }

  Outcome apply(const Command& command) { return history_.apply(command); }
  // As the controller does it; the error is that of resolving, or of applying.
  Outcome wish(const Wish& wish) {
    auto resolved = resolve(image(), wish);
    if (!resolved) return {.status = std::unexpected(resolved.error())};
    if (!resolved->write) return {.status = {}, .result = resolved->result};
    return apply(resolved->command);
  }
  Outcome create(const std::string& topic, std::uint32_t partitions, std::uint32_t factor,
                 bool async = false) {
    return wish(TopicProposal{.name = topic_name(topic),
                              .partitions = partitions,
                              .replication_factor = factor,
                              .async = async});
  }

  // The main proposes its set with `node` in it, or without it.
  Outcome join(NodeId node, TopicId topic = 1, std::uint32_t index = 0) {
    auto set = at(topic, index).in_sync;
    set.push_back(node);
    return propose(set, topic, index);
  }
  Outcome propose(const std::vector<NodeId>& set, TopicId topic = 1, std::uint32_t index = 0) {
    const PartitionRecord& p = at(topic, index);
    SetProposal proposal{p.main, p.main_epoch, p.version, {}};
    for (const NodeId node : set) proposal.in_sync.push_back({node, incarnation(node)});
    return apply(ChangeInSyncCommand{topic, index, proposal});
  }

  const PartitionRecord& at(TopicId topic = 1, std::uint32_t index = 0) const {
    const PartitionRecord* record = image().find_partition(topic, index);
    REQUIRE(record != nullptr);
    return *record;
  }
  std::uint64_t incarnation(NodeId node) const {
    const auto record = image().find_node(node);
    return record ? record->incarnation : 0;
  }
  const Image& image() const { return history_.image(); }
  const std::shared_ptr<const Image>& shared() const { return history_.shared(); }
  History& history() { return history_; }

 private:
  History history_;
};

}  // namespace andyx::server::test
