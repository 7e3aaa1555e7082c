// What replication has to know of a partition from the metadata: its record, and of each copy the
// incarnation of its node and whether the node's session stands. Values.
#pragma once

#include <cstdint>
#include <vector>

#include "protocol/base/ids.h"

namespace andyx::server {

using Incarnation = std::uint64_t;  // of a node: another one with each start; 0: never registered

struct ReplicaMember {
  NodeId node = 0;
  Incarnation incarnation = 0;  // the newest that registered
  bool alive = false;           // its session with the controller stands
  bool observer = false;        // outside the in-sync set for good: async and backup replicas

  bool operator==(const ReplicaMember&) const = default;
};

struct ReplicationRecord {
  MainEpoch main_epoch = 0;
  std::uint32_t version = 0;  // rises with each change of what follows, but not of the nodes' state
  NodeId main = 0;            // 0: none, nobody could be elected
  std::uint32_t min_in_sync = 1;
  std::vector<ReplicaMember> replicas;  // every copy, the main included
  std::vector<NodeId> in_sync;          // the copies that every commit waits for
  // Left while fewer than min-in-sync remained: since then nothing was committed without them
  // holding it, so each may be elected cleanly until its disk changes (KIP-966).
  std::vector<NodeId> eligible;

  const ReplicaMember* find(NodeId node) const;
  ReplicaMember* find(NodeId node);
  bool is_in_sync(NodeId node) const;
  bool is_eligible(NodeId node) const;
  // With one copy (observers aside) there is nobody to wait for and nobody who could take over.
  bool replicated() const;

  bool operator==(const ReplicationRecord&) const = default;
};

// The majority of the replication factor; 1 at factor 2, where it would be both.
constexpr std::uint32_t default_min_in_sync(std::uint32_t replication_factor) {
  return replication_factor <= 2 ? 1 : replication_factor / 2 + 1;
}

// A main asks the controller to make `in_sync` the partition's in-sync set. Compare-and-set: holds
// for this version of the record, this epoch and these lives of the nodes, or not at all. The set
// as it is already is a proposal, too: it withdraws an earlier one, because only one of the
// proposals for a version can come to pass.
struct SetProposal {
  struct Member {
    NodeId node = 0;
    Incarnation incarnation = 0;

    bool operator==(const Member&) const = default;
  };
  NodeId main = 0;
  MainEpoch main_epoch = 0;
  std::uint32_t version = 0;
  std::vector<Member> in_sync;  // the main included

  bool operator==(const SetProposal&) const = default;
};

}  // namespace andyx::server
