#include "tests/fault/nemesis/fault_kind.h"

#include <algorithm>

namespace andyx::test::fault {

const std::vector<KindInfo>& all_kinds() {
  using enum FaultKind;
  static const std::vector<KindInfo> kinds = {
      {kKillMain, "kill-main", 1, false, false, false},
      {kKillReplica, "kill-replica", 2, false, false, false},
      {kKillController, "kill-controller", 2, false, false, false},
      {kKillBoth, "kill-main-and-controller", 2, false, false, false},
      {kKillAll, "kill-all", 1, true, false, false},
      {kPowerLoss, "power-loss", 1, true, true, false},
      {kRestart, "restart", 1, false, false, false},
      {kStopMain, "stop-main", 1, false, false, false},
      {kStopReplica, "stop-replica", 2, false, false, false},
      {kStopController, "stop-controller", 2, false, false, false},
      {kCutNode, "cut-node", 2, false, false, false},
      {kCutOut, "cut-one-way-out", 2, false, false, false},
      {kCutIn, "cut-one-way-in", 2, false, false, false},
      {kCutPair, "cut-pair", 3, false, false, false},
      {kLinkDown, "link-down-main", 2, false, false, false},
      {kMainFromReplicas, "cut-main-from-replicas", 3, false, false, false},
      {kMainFromController, "cut-main-from-controller", 3, false, false, false},
      {kReset, "reset-connections", 1, false, false, false},
      {kSlowLink, "slow-link", 2, false, false, false},
      {kFullDisk, "full-disk", 1, true, false, true},
      {kFailedSync, "failed-sync", 1, false, true, false},
      {kHungSync, "hung-sync", 1, false, true, false},
      {kSlowSync, "slow-sync", 1, false, true, false},
      {kWipedDisk, "wiped-disk", 3, true, false, false},
      {kMove, "move", 2, false, false, false},
      {kDrain, "drain", 3, false, false, false},
      {kRollingRestart, "rolling-restart", 3, true, false, false},
  };
  return kinds;
}

const KindInfo& info(FaultKind kind) {
  return *std::ranges::find(all_kinds(), kind, &KindInfo::kind);
}

std::optional<FaultKind> kind_named(std::string_view name) {
  const auto found = std::ranges::find(all_kinds(), name, &KindInfo::name);
  if (found == all_kinds().end()) return std::nullopt;
  return found->kind;
}

}  // namespace andyx::test::fault
