#include "tests/sim/replication/controller.h"

#include "server/replication/record_rules.h"
#include "tests/sim/replication/world.h"

namespace andyx::server::sim {

namespace {

constexpr Time kSession = 1'500 * kMs;

}  // namespace

SimController::SimController(World& world) : world_(world) {
  const Options& options = world.options();
  ReplicationRecord& record = image_.record;
  record.main_epoch = 1;
  record.version = 1;
  record.min_in_sync = options.min_in_sync;
  record.main = 1;
  for (NodeId node = 1; node <= options.nodes; ++node) {
    const bool observer = node > options.nodes - options.observers;
    record.replicas.push_back({.node = node, .observer = observer});
    if (!observer) record.in_sync.push_back(node);
  }
}

template <typename Change>
void SimController::change(Change&& change) {
  const ReplicationRecord before = image_.record;
  change(image_.record);
  if (image_.record == before) return;
  ++image_.position;
  if (image_.record.main_epoch != before.main_epoch) failing_.clear();
  for (NodeId node = 1; node <= world_.options().nodes; ++node) world_.tell(node, 0);
}

void SimController::heartbeat(const Heartbeat& heartbeat) {
  Session& session = sessions_[heartbeat.node];
  if (heartbeat.incarnation < session.incarnation) return;
  const bool registers = heartbeat.incarnation > session.incarnation;
  const bool intact = heartbeat.disk == session.disk && heartbeat.clean;
  session = {.incarnation = heartbeat.incarnation,
             .disk = heartbeat.disk,
             .heard = world_.schedule().now()};
  change([&](ReplicationRecord& record) {
    if (registers) node_registered(record, heartbeat.node, heartbeat.incarnation, intact);
    session_found(record, heartbeat.node);
  });
  if (heartbeat.failing_epoch == record().main_epoch)
    failing_.insert(heartbeat.node);
  else
    failing_.erase(heartbeat.node);
  replace_failing_main();
  world_.tell(heartbeat.node, heartbeat.sent);
}

// Most of those who wait for the main in the set cannot reach it, and it is not the first time in
// the last seconds.
void SimController::replace_failing_main() {
  std::vector<NodeId> failing;
  std::size_t others = 0;
  for (const NodeId node : record().in_sync) {
    if (node == record().main) continue;
    ++others;
    if (failing_.contains(node)) failing.push_back(node);
  }
  if (failing.size() * 2 <= others || world_.schedule().now() < replaced_ + 5 * kSecond) return;
  replaced_ = world_.schedule().now();
  change([&](ReplicationRecord& record) { (void)elect_main(record, failing.front()); });
}

void SimController::proposal(const SetProposal& proposal) {
  change([&](ReplicationRecord& record) { (void)change_in_sync(record, proposal); });
}

void SimController::asked_for_new_epoch(NodeId node, MainEpoch epoch) {
  if (record().main != node || record().main_epoch != epoch) return;
  change([&](ReplicationRecord& record) {
    for (const NodeId other : record.in_sync) {
      if (other != node && elect_main(record, other)) return;
    }
    (void)elect_main(record, node);
  });
}

void SimController::expire_sessions() {
  for (const auto& [id, session] : sessions_) {
    if (world_.schedule().now() < session.heard + kSession) continue;
    const ReplicationRecord before = record();
    change([node = id](ReplicationRecord& record) { session_lost(record, node); });
    if (before.main == id && record().main_epoch != before.main_epoch)
      world_.checker().session_failover(before.main_epoch);
  }
}

void SimController::move_main(NodeId node) {
  if (node == record().main) return;
  change([&](ReplicationRecord& record) { (void)elect_main(record, node); });
}

void SimController::force(NodeId node) {
  change([&](ReplicationRecord& record) {
    if (force_main(record, node)) world_.checker().forced_election(record.main_epoch);
  });
}

bool SimController::nobody_can_lead() const {
  return record().main == 0 && record().in_sync.empty() && record().eligible.empty();
}

}  // namespace andyx::server::sim
