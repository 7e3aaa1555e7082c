// What the metadata holds of one partition. A value.
#pragma once

#include <cstdint>
#include <vector>

#include "protocol/base/ids.h"

namespace andyx::server {

struct PartitionRecord {
  PartitionId partition_id = 0;
  std::uint32_t index = 0;       // in its topic
  NodeId main = 0;               // 0: none
  MainEpoch main_epoch = 1;      // raised by a change of the main, and by a new incarnation of it
  std::uint32_t version = 1;     // changes with every change of this record
  std::vector<NodeId> replicas;  // all copies, the main and the observers included
  std::vector<NodeId> in_sync;   // the copies that every commit waits for
  // Left the set while fewer than min-in-sync remained: may be elected without loss (KIP-966).
  std::vector<NodeId> eligible;
  std::vector<NodeId> observers;  // outside of the in-sync set for good: async and backup copies
  std::uint32_t min_in_sync = 1;
  // The copy that was added last (replicas.back()) and has never been in sync yet; 0: none.
  NodeId joining = 0;
  // The copy that the one added last is to take the place of; 0: none. A removal ends the move.
  NodeId moving_from = 0;

  // Whether it differs from a record of before there were clusters in what these did not have.
  bool says_more_than_set() const {
    return !eligible.empty() || !observers.empty() || min_in_sync != 1 || joining != 0 ||
           moving_from != 0;
  }

  bool operator==(const PartitionRecord&) const = default;
};

}  // namespace andyx::server
