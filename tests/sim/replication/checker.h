// The invariants, held against every event. A broken one throws Violation, which ends the run.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "tests/sim/replication/batch.h"
#include "tests/sim/replication/options.h"

namespace andyx::server::sim {

class ReplicaLog;

struct Violation {
  std::string invariant;  // its short name, as in tables
  std::string detail;
};

[[noreturn]] inline void violated(std::string invariant, std::string detail) {
  throw Violation{std::move(invariant), std::move(detail)};
}

class Checker {
 public:
  // A node has begun to act as main of its epoch.
  void main_begins(const ReplicaLog& node);
  // Something has happened on this node.
  void check(const ReplicaLog& node, const std::vector<const ReplicaLog*>& all);
  // The copy is about to be cut there, in this epoch.
  void cut(const ReplicaLog& node, Offset from, MainEpoch epoch);
  void forgets(const ReplicaLog& node);  // what it knew to be committed: it crashed, or begins anew

  // Answers to producers, as they leave the main and as they arrive.
  void answered_below_quorum(const ReplicaLog& node, MainEpoch epoch);
  void acknowledged_at_quorum(MainEpoch epoch, OperationId operation, Offset base);
  void given_up(OperationId operation);  // every attempt was answered as not stored

  // The controller.
  void session_failover(MainEpoch ended);  // this epoch ended because its main's session was lost
  void forced_election(MainEpoch begun);

  Offset committed() const { return history_.size(); }
  std::uint64_t acknowledged() const { return acknowledged_; }

 private:
  struct Seen {
    Offset committed = 0;
    MainEpoch committed_in = 0;  // the epoch in which it last rose
  };

  bool counts(MainEpoch epoch) const { return epoch >= forced_; }
  void extend(const ReplicaLog& node, const std::vector<const ReplicaLog*>& all);
  void compare(const ReplicaLog& node, Offset from, Offset to, const char* invariant) const;

  Offset committed_before(MainEpoch epoch) const;

  // What is committed, record by record: operation and place; and in which epoch it came to be.
  std::vector<std::uint64_t> history_;
  std::vector<MainEpoch> committed_in_;
  std::unordered_set<std::uint64_t> stored_;  // all that is in history_
  std::unordered_set<OperationId> not_stored_;
  std::map<MainEpoch, std::uint32_t> mains_;
  std::map<MainEpoch, Offset> served_;  // the highest committed offset served in each epoch
  std::unordered_map<std::uint32_t, Seen> seen_;
  std::set<MainEpoch> ended_by_session_;
  MainEpoch forced_ = 0;         // epochs below do not count any more
  bool forced_pending_ = false;  // its main has not begun yet
  std::uint64_t acknowledged_ = 0;
};

}  // namespace andyx::server::sim
