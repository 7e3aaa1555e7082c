#include "tests/fault/history/observer_rules.h"

#include <algorithm>
#include <string>

namespace andyx::test::fault {
namespace {

// An observer cannot be elected. To become main without force its copy is removed, added as one
// that catches up, taken into the set, and elected: each is a change of the record.
constexpr std::uint32_t kChangesToLead = 4;

std::string copy_text(std::uint32_t partition, NodeId node) {
  return "the copy of partition " + std::to_string(partition) + " on node " + std::to_string(node);
}

}  // namespace

ObserverRules::ObserverRules(const Cast& cast, Findings& findings)
    : findings_(findings), partitions_(cast.partitions) {}

void ObserverRules::observe(const Event& event) {
  if (const auto* answer = std::get_if<Answered>(&event)) {
    if (answer->outcome != Outcome::kCommitted || answer->offset == kNoOffset) return;
    Offset& end = partitions_.at(answer->partition).acknowledged;
    end = std::max(end, answer->offset + 1);
  } else if (std::holds_alternative<Healed>(event)) {
    for (Partition& partition : partitions_) partition.promised = partition.acknowledged;
  } else if (const auto* record = std::get_if<RecordSeen>(&event)) {
    record_seen(*record);
  } else if (const auto* forced = std::get_if<Forced>(&event)) {
    partitions_.at(forced->partition).observed.erase(forced->node);
  } else if (const auto* seen = std::get_if<ObserverSeen>(&event)) {
    const Offset promised = partitions_.at(seen->partition).promised;
    if (seen->durable >= promised) return;
    findings_.add(Rule::kObserverBehind, copy_text(seen->partition, seen->node) + " ends at " +
                                             std::to_string(seen->durable) + ", and " +
                                             std::to_string(promised) +
                                             " was acknowledged before everything was healed");
  }
}

void ObserverRules::record_seen(const RecordSeen& record) {
  auto& observed = partitions_.at(record.partition).observed;
  const auto was = observed.find(record.main);
  if (was != observed.end() && record.version - was->second < kChangesToLead) {
    findings_.add(Rule::kObserverLeads, copy_text(record.partition, record.main) +
                                            " leads in version " + std::to_string(record.version) +
                                            " of the record, and was an observer in version " +
                                            std::to_string(was->second));
  }
  observed.erase(record.main);
  for (const NodeId node : record.observers) observed[node] = record.version;
}

}  // namespace andyx::test::fault
