// What a run is asked for, from the environment (tools/fault-test translates its options). A value.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/fault/nemesis/fault_kind.h"

namespace andyx::test::fault {

struct Settings {
  std::uint32_t faults = 60;   // ANDYX_FAULTS
  std::uint32_t nodes = 1;     // ANDYX_NODES
  std::uint32_t minutes = 10;  // ANDYX_MINUTES: the faults end then, done or not
  std::string keep;            // ANDYX_KEEP: a directory for all that the run leaves
  std::string disk_shim;       // ANDYX_DISK_SHIM: the library; meson says where
  std::vector<FaultKind>
      kinds;  // ANDYX_FAULT_KINDS: names, separated by commas; "-NAME": not this one
};
// REQUIREs that every name is one.
Settings settings_from_environment();

// Those of `wanted` that a cluster of so many nodes can have.
std::vector<FaultKind> possible_kinds(const std::vector<FaultKind>& wanted, std::uint32_t nodes,
                                      bool disk_shim, bool small_disk);
bool any_needs_small_disk(const std::vector<FaultKind>& kinds);

}  // namespace andyx::test::fault
