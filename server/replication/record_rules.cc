#include "server/replication/record_rules.h"

#include <algorithm>
#include <string>

#include "protocol/base/planted.h"

namespace andyx::server {

namespace {

// Out of the set; those who leave it too small stay eligible.
void leave(ReplicationRecord& record, NodeId node) {
  if (std::erase(record.in_sync, node) == 0) return;
  if (record.in_sync.size() < record.min_in_sync && !record.is_eligible(node))
    record.eligible.push_back(node);
}

// From here on commits go on without those who are not in the set.
void settle_eligible(ReplicationRecord& record) {
  std::erase_if(record.eligible, [&](NodeId node) { return record.is_in_sync(node); });
  if (record.in_sync.size() >= record.min_in_sync && !planted(PlantedBug::kEligibleForEver))
    record.eligible.clear();
}

void make_main(ReplicationRecord& record, NodeId node) {
  record.main = node;
  ++record.main_epoch;
  if (!record.is_in_sync(node)) record.in_sync.push_back(node);
  settle_eligible(record);
}

bool can_lead(const ReplicationRecord& record, NodeId node) {
  const ReplicaMember* member = record.find(node);
  return member != nullptr && member->alive && !member->observer &&
         (record.is_in_sync(node) || record.is_eligible(node) ||
          planted(PlantedBug::kElectsIneligible));
}

// Members of the set first: an eligible one brings the set back to itself alone.
void elect_anyone(ReplicationRecord& record) {
  record.main = 0;
  for (const bool from_set : {true, false}) {
    for (const ReplicaMember& member : record.replicas) {
      if (can_lead(record, member.node) && record.is_in_sync(member.node) == from_set)
        return make_main(record, member.node);
    }
  }
  if (!planted(PlantedBug::kElectsAnyReplica)) return;
  for (const ReplicaMember& member : record.replicas) {
    if (!member.alive) continue;
    record.in_sync.clear();
    return make_main(record, member.node);
  }
}

Status check_proposal(const ReplicationRecord& record, const SetProposal& proposal) {
  const bool version_is_right =
      proposal.version == record.version || planted(PlantedBug::kStaleProposalAccepted);
  if (proposal.main != record.main || proposal.main_epoch != record.main_epoch || !version_is_right)
    return fail(ErrorCode::kNotMain,
                "in-sync set proposed by node " + std::to_string(proposal.main) + " for epoch " +
                    std::to_string(proposal.main_epoch) + " version " +
                    std::to_string(proposal.version) + ": now node " + std::to_string(record.main) +
                    " is main in epoch " + std::to_string(record.main_epoch) + " version " +
                    std::to_string(record.version));
  bool has_main = false;
  for (auto each = proposal.in_sync.begin(); each != proposal.in_sync.end(); ++each) {
    const ReplicaMember* member = record.find(each->node);
    const bool twice =
        std::find_if(proposal.in_sync.begin(), each, [&](const SetProposal::Member& other) {
          return other.node == each->node;
        }) != each;
    const auto refuse = [&](const std::string& why) {
      return fail(ErrorCode::kNotInSync,
                  "node " + std::to_string(each->node) + " cannot be in the in-sync set: " + why);
    };
    if (member == nullptr || member->observer) return refuse("it is no replica that could");
    if (twice) return refuse("it is named twice");
    if (planted(PlantedBug::kDeadIncarnationAccepted)) {
      has_main = has_main || each->node == record.main;
      continue;
    }
    if (!member->alive) return refuse("its session is lost");
    if (member->incarnation != each->incarnation) return refuse("it has restarted since");
    has_main = has_main || each->node == record.main;
  }
  if (!has_main) return fail(ErrorCode::kNotInSync, "the main itself is missing from the set");
  return {};
}

}  // namespace

Status change_in_sync(ReplicationRecord& record, const SetProposal& proposal) {
  if (auto ok = check_proposal(record, proposal); !ok) return ok;
  const std::vector<NodeId> before = record.in_sync;
  for (const NodeId node : before) {
    if (std::ranges::find(proposal.in_sync, node, &SetProposal::Member::node) ==
        proposal.in_sync.end())
      leave(record, node);
  }
  for (const SetProposal::Member& member : proposal.in_sync) {
    if (!record.is_in_sync(member.node)) record.in_sync.push_back(member.node);
  }
  settle_eligible(record);
  ++record.version;
  return {};
}

void session_lost(ReplicationRecord& record, NodeId node) {
  ReplicaMember* member = record.find(node);
  if (member == nullptr || !member->alive) return;
  member->alive = false;
  if (!record.is_in_sync(node) && record.main != node) return;
  leave(record, node);
  if (record.main == node) elect_anyone(record);
  ++record.version;
}

void node_registered(ReplicationRecord& record, NodeId node, Incarnation incarnation, bool intact) {
  ReplicaMember* member = record.find(node);
  if (member == nullptr || member->incarnation == incarnation) return;
  const bool first = member->incarnation == 0;
  member->incarnation = incarnation;
  member->alive = true;
  const ReplicationRecord before = record;
  if (!intact && !first && !planted(PlantedBug::kWipedReplicaStays)) {
    std::erase(record.in_sync, node);
    std::erase(record.eligible, node);
  }
  if (record.main == node && can_lead(record, node)) {
    if (!planted(PlantedBug::kSameEpochAfterRestart)) make_main(record, node);
  } else if (record.main == node || record.main == 0) {
    elect_anyone(record);
  }
  if (record != before) ++record.version;
}

void session_found(ReplicationRecord& record, NodeId node) {
  ReplicaMember* member = record.find(node);
  if (member == nullptr || member->alive || member->incarnation == 0) return;
  member->alive = true;
  if (record.main != 0) return;
  elect_anyone(record);
  if (record.main != 0) ++record.version;
}

Status elect_main(ReplicationRecord& record, NodeId node) {
  if (!can_lead(record, node))
    return fail(ErrorCode::kNotInSync, "node " + std::to_string(node) +
                                           " cannot become main: it is dead, or neither in the "
                                           "in-sync set nor eligible");
  make_main(record, node);
  ++record.version;
  return {};
}

void want_min_in_sync(ReplicationRecord& record, std::uint32_t wanted) {
  if (wanted > record.min_in_sync && record.in_sync.size() < wanted) return;
  record.min_in_sync = wanted;
  settle_eligible(record);
}

Status force_main(ReplicationRecord& record, NodeId node) {
  ReplicaMember* member = record.find(node);
  if (member == nullptr || !member->alive)
    return fail(ErrorCode::kBadArgument,
                "node " + std::to_string(node) + " cannot become main: it has no copy, or is dead");
  member->observer = false;
  record.in_sync.clear();
  record.eligible.clear();
  make_main(record, node);
  ++record.version;
  return {};
}

}  // namespace andyx::server
