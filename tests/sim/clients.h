// Clients of the replicated registers, and the check that what they see is linearizable. The log
// gives the order: a write stands at the index where it took effect, a read behind the last entry
// that was applied where it was answered. What is left to check is real time (an operation that
// starts after another one was answered stands behind it) and that each answer is what its place in
// the order gives.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "tests/sim/checker.h"
#include "tests/sim/machine.h"
#include "tests/sim/options.h"
#include "tests/sim/rng.h"

namespace andyx::raft::sim {

class Clients {
 public:
  Clients(const Options& options, const Checker& checker);

  struct Request {
    PeerId peer = kNone;
    bool read = false;
    Command command;            // not a read
    std::uint64_t context = 0;  // a read
    std::size_t padding_bytes = 0;
  };
  // What client `client` does now, at one of `peers` (not empty): a new operation, or the old one
  // again. Every call counts as the time-out of what it waited for.
  Request next(std::uint32_t client, const std::vector<PeerId>& peers);
  Time pause(std::uint32_t client);  // until next() is called again
  // Not before the others: a leader known to somebody is asked first, most of the time.
  void hint(PeerId leader) { leader_ = leader; }

  // `peer` applied a command of this client (again).
  void applied(PeerId peer, const Command& command, const Machine& machine);
  void read_indexed(PeerId peer, std::uint64_t context, Index index);
  // `peer` has applied that index: the answer is its state.
  void read_done(PeerId peer, std::uint64_t context, const Machine& machine);

  // A read at a peer that may be an outdated leader: only its index is looked at.
  std::uint64_t audit(PeerId peer);

  std::uint64_t answered() const { return answered_; }
  // Clients that were answered since the last call.
  std::vector<std::uint32_t> take_done() { return std::exchange(done_, {}); }
  bool any_done() const { return !done_.empty(); }

 private:
  struct Client {
    bool waiting = false;
    std::uint32_t attempts = 0;
    Request request;
    Index after = 0;      // the order's position that it has to stand behind
    Index committed = 0;  // when a read was asked for
  };
  void finish(Client& client, Index position);
  void invent(std::uint32_t id, Client& client);

  const Options& options_;
  const Checker& checker_;
  Rng rng_;
  std::vector<Client> clients_;
  PeerId leader_ = kNone;
  Index finished_ = 0;  // the furthest position of an operation that was answered
  struct Audit {
    PeerId peer = kNone;
    std::uint64_t context = 0;
    Index committed = 0;
  };
  void check_index(PeerId peer, Index index, Index committed) const;

  std::vector<Audit> audits_;  // a ring of the newest
  std::size_t next_audit_ = 0;
  std::uint64_t contexts_ = 0;
  std::uint64_t values_ = 0;
  std::uint64_t answered_ = 0;
  std::vector<std::uint32_t> done_;
};

}  // namespace andyx::raft::sim
