// The kinds of faults, by name. Values.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace andyx::test::fault {

enum class FaultKind : std::uint8_t {
  // A process is killed (-9), stopped (SIGSTOP), or asked to end, and comes back.
  kKillMain,
  kKillReplica,
  kKillController,
  kKillBoth,  // a node that is controller and main
  kKillAll,
  kPowerLoss,  // all at once, and what was not synced is gone
  kRestart,
  kStopMain,
  kStopReplica,
  kStopController,
  // The network, all of it silent but the resets.
  kCutNode,
  kCutOut,  // one way
  kCutIn,
  kCutPair,
  kLinkDown,            // of a main: clients too hear nothing of it
  kMainFromReplicas,    // but not from the controller
  kMainFromController,  // but not from its replicas
  kReset,
  kSlowLink,
  // The disk of one node.
  kFullDisk,
  kFailedSync,
  kHungSync,
  kSlowSync,
  kWipedDisk,
  // Administration meanwhile.
  kMove,
  kDrain,
  kRollingRestart,  // every node in turn, as it is safe
};

struct KindInfo {
  FaultKind kind;
  std::string_view name;
  std::uint32_t least_nodes;
  bool alone;  // no other fault at the same time: both together may take what no cluster survives
  bool disk_shim, small_disk;  // needs them
};
const std::vector<KindInfo>& all_kinds();
const KindInfo& info(FaultKind kind);
std::optional<FaultKind> kind_named(std::string_view name);

}  // namespace andyx::test::fault
