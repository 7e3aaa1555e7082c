// What a simulated peer sees of the world.
#pragma once

#include "raft/core/config.h"
#include "tests/sim/checker.h"
#include "tests/sim/clients.h"
#include "tests/sim/options.h"
#include "tests/sim/trace.h"

namespace andyx::raft::sim {

class Node;

struct Counts {
  std::uint64_t events = 0;
  std::uint64_t crashes = 0;
  std::uint64_t snapshots = 0;  // taken and installed
  std::uint64_t changes = 0;    // of the membership, as applied first
  std::uint64_t torn = 0;       // crashes that lost a part of what was written
};

enum class Later : std::uint8_t { kTick, kStorageDone, kApplyDone };

class Environment {
 public:
  virtual ~Environment() = default;
  virtual Time now() const = 0;
  // Comes back to the node after `delay`, unless it has crashed by then.
  virtual void later(Later what, const Node& node, Time delay) = 0;
  virtual void send(Message message) = 0;
  virtual void went_down(Node& node) = 0;  // crashed by itself
  virtual void changed(Index index, const ConfState& conf) = 0;

  virtual const Options& options() const = 0;
  virtual Checker& checker() = 0;
  virtual Clients& clients() = 0;
  virtual Trace& trace() = 0;
  virtual Counts& counts() = 0;
  virtual Logger& logger() = 0;
};

}  // namespace andyx::raft::sim
