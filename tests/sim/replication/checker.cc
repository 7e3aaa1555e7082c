#include "tests/sim/replication/checker.h"

#include <algorithm>

#include "tests/sim/replication/replica_log.h"

namespace andyx::server::sim {

namespace {

std::string number(std::uint64_t value) { return std::to_string(value); }

std::string name(const ReplicaLog& node) { return "node " + number(node.id()); }

}  // namespace

void Checker::compare(const ReplicaLog& node, Offset from, Offset to, const char* invariant) const {
  for (Offset offset = from; offset < to; ++offset) {
    const std::uint64_t record = node.log().record(offset);
    if (record != history_[offset])
      violated(invariant, name(node) + " holds " + number(record >> 8) + " at offset " +
                              number(offset) + ", committed was " + number(history_[offset] >> 8));
  }
}

void Checker::main_begins(const ReplicaLog& node) {
  const MainEpoch epoch = node.main()->epoch();
  if (!counts(epoch)) return;
  const auto [first, inserted] = mains_.emplace(epoch, node.id());
  if (!inserted && first->second != node.id())
    violated("one main in an epoch",
             name(node) + " and node " + number(first->second) + " in epoch " + number(epoch));
  if (forced_pending_) {
    forced_pending_ = false;
    Offset same = 0;  // what is not durable there may still be lost
    const Offset there = std::min<Offset>(history_.size(), node.copy().durable);
    while (same < there && node.log().record(same) == history_[same]) ++same;
    for (Offset lost = same; lost < history_.size(); ++lost) stored_.erase(history_[lost]);
    history_.resize(same);
    committed_in_.resize(same);
    served_.clear();
  }
  const Offset committed = committed_before(epoch);
  if (node.log().end() < committed)
    violated("committed on every later main",
             name(node) + " is main in epoch " + number(epoch) + " with a log that ends at " +
                 number(node.log().end()) + ", committed is " + number(committed));
  compare(node, 0, committed, "committed on every later main");
}

// A main may begin when a later one has begun and committed already: that is none of its business.
Offset Checker::committed_before(MainEpoch epoch) const {
  return static_cast<Offset>(std::ranges::lower_bound(committed_in_, epoch) -
                             committed_in_.begin());
}

// The main has committed more.
void Checker::extend(const ReplicaLog& node, const std::vector<const ReplicaLog*>& all) {
  const MainEpoch epoch = node.main()->epoch();
  const Offset from = history_.size();
  for (Offset offset = from; offset < node.copy().committed; ++offset) {
    const std::uint64_t record = node.log().record(offset);
    if (record == 0) violated("committed is stored", name(node) + " offset " + number(offset));
    if (!stored_.insert(record).second)
      violated("stored once", "operation " + number(record >> 8) + " again at " + number(offset));
    if (not_stored_.contains(record >> 8))
      violated("not stored", "operation " + number(record >> 8) + " at " + number(offset));
    history_.push_back(record);
    committed_in_.push_back(epoch);
  }
  for (const ReplicaLog* other : all) {
    if (other->main() == nullptr || other->main()->epoch() <= epoch) continue;
    if (other->log().end() < history_.size())
      violated("committed on every later main",
               name(node) + " in epoch " + number(epoch) + " committed " + number(history_.size()) +
                   ", the later main holds " + number(other->log().end()));
    compare(*other, from, history_.size(), "committed on every later main");
  }
}

void Checker::check(const ReplicaLog& node, const std::vector<const ReplicaLog*>& all) {
  const LocalCopy& copy = node.copy();
  if (!node.up()) return;
  Seen& seen = seen_[node.id()];
  if (!counts(node.epoch())) {  // what it does is lost already
    seen = {.committed = copy.committed, .committed_in = node.epoch()};
    return;
  }
  if (copy.committed > copy.durable || copy.durable > copy.end)
    violated("committed is durable", name(node) + ": committed " + number(copy.committed) +
                                         " durable " + number(copy.durable) + " end " +
                                         number(copy.end));
  if (node.main() == nullptr && copy.committed <= seen.committed && !counts(seen.committed_in)) {
    seen.committed = copy.committed;  // of before a forced election, and not cut to it yet
    return;
  }
  if (copy.committed < seen.committed && counts(seen.committed_in))
    violated("committed never goes back",
             name(node) + ": " + number(seen.committed) + " to " + number(copy.committed));
  if (node.main() != nullptr && copy.committed > history_.size()) extend(node, all);
  if (copy.committed > history_.size())
    violated("committed by a main",
             name(node) + " has " + number(copy.committed) + " of " + number(history_.size()));
  if (copy.committed > seen.committed)
    compare(node, seen.committed, copy.committed, "committed stays as it is");
  if (copy.committed != seen.committed)
    seen = {.committed = copy.committed, .committed_in = node.epoch()};

  if (node.main() == nullptr || !node.main()->serving()) return;
  const MainEpoch epoch = node.main()->epoch();
  served_[epoch] = std::max(served_[epoch], copy.committed);
  for (const auto& [earlier, offset] : served_) {
    if (earlier < epoch && offset > copy.committed)
      violated("what was read stays", name(node) + " serves up to " + number(copy.committed) +
                                          " in epoch " + number(epoch) + ", epoch " +
                                          number(earlier) + " served " + number(offset));
  }
}

void Checker::cut(const ReplicaLog& node, Offset from, MainEpoch epoch) {
  const Seen& seen = seen_[node.id()];
  if (from >= seen.committed || !counts(seen.committed_in) || !counts(epoch)) return;
  violated("committed is never cut",
           name(node) + " cuts at " + number(from) + ", committed is " + number(seen.committed));
}

void Checker::forgets(const ReplicaLog& node) { seen_[node.id()] = {}; }

void Checker::answered_below_quorum(const ReplicaLog& node, MainEpoch epoch) {
  if (ended_by_session_.contains(epoch))
    violated("no ack after the session", name(node) + " in epoch " + number(epoch));
}

void Checker::acknowledged_at_quorum(MainEpoch epoch, OperationId operation, Offset base) {
  if (!counts(epoch)) return;
  ++acknowledged_;
  if (base < history_.size() && history_[base] == operation << 8) return;
  violated("acknowledged is committed",
           "operation " + number(operation) + " at " + number(base) + ", committed there is " +
               (base < history_.size() ? number(history_[base] >> 8) : "nothing"));
}

void Checker::given_up(OperationId operation) {
  not_stored_.insert(operation);
  if (stored_.contains(operation << 8))
    violated("not stored", "operation " + number(operation) + " is stored");
}

void Checker::session_failover(MainEpoch ended) { ended_by_session_.insert(ended); }

void Checker::forced_election(MainEpoch begun) {
  forced_ = begun;
  forced_pending_ = true;
}

}  // namespace andyx::server::sim
