// A peer that runs: core, store and transport on a dedicated loop and thread.
//
// Time: ticks come from CLOCK_BOOTTIME; after a pause (a stopped process, a suspended machine) all
// ticks that are due are delivered before any message that waited (bounded by two election
// timeouts: more change nothing). A leader whose store has a write that is older than
// disk_hang_ms steps down and stays silent until the disk is back: heartbeats must not hide it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/net/tcp.h"
#include "raft/core/config.h"
#include "raft/core/raw_node.h"
#include "raft/store/raft_store.h"

namespace andyx::raft {

// What the log drives. Every call on the raft thread; none may block for long.
class StateMachine {
 public:
  virtual ~StateMachine() = default;
  // Committed entries with a payload, in order, each exactly once after a start from the newest
  // snapshot. Never conf changes. An error stops the host: the entry is damaged, or of a newer
  // version; it is applied again when the host is started again.
  virtual Status apply(const Entry& entry) = 0;
  // The state as of the last applied entry.
  virtual SharedBytes take_snapshot() = 0;
  // Replaces the state. An error stops the host: the snapshot was damaged, or of a newer version.
  virtual Status restore(const Snapshot& snapshot) = 0;
};

struct PeerAddress {
  PeerId id = kNone;
  net::Address address;
};

struct HostOptions {
  StoreOptions store;
  net::Address listen;  // for peers; port 0: any (see RaftHost::port)
  // The members of a new group, the same on each of them; ignored when the store holds a log.
  // Empty: waits to be added by a leader.
  std::vector<PeerId> bootstrap_voters;
  std::vector<PeerAddress> peers;  // where to find them; add_peer later
  std::uint32_t tick_ms = 20;
  std::uint32_t election_ticks = 10;  // × tick_ms: 200 ms, drawn up to twice
  std::uint32_t heartbeat_ticks = 2;
  std::uint32_t disk_hang_ms = 2000;
  std::uint64_t snapshot_every_bytes = 64ull << 20;  // of log: then snapshot and compaction
  bool pre_vote = true;
  bool check_quorum = true;
  std::function<void(LogLevel, std::string_view)> log;  // raft thread
  // How the store is opened; empty: RaftStore::open. For tests.
  std::function<Result<std::unique_ptr<RaftStore>>(const StoreOptions&)> open_store;
};

// What became of a proposal.
enum class ProposalOutcome : std::uint8_t {
  kApplied,      // committed and applied here, at `index`
  kNotProposed,  // not in any log: no leader known, transfer under way, too much uncommitted
  kLost,         // another entry stands in its place: it never will be applied
  // May or may not be committed later: leadership was lost and ten election timeouts have not
  // shown what became of it, a snapshot took its place, or the host stopped.
  kIndeterminate,
};
struct ProposalResult {
  ProposalOutcome outcome = ProposalOutcome::kApplied;
  Index index = 0;
  PeerId leader = kNone;  // where to try, when known
};

class RaftHost {
 public:
  // Opens the store, listens, starts the thread. `machine` outlives the host. Which disk each peer
  // has is remembered in the file `<store.path>.peers`. Blocks; the errors are those of
  // RaftStore::open and StateMachine::restore, kAddressInUse, kBadArgument.
  static Result<std::unique_ptr<RaftHost>> start(const HostOptions& options, StateMachine& machine);
  virtual ~RaftHost() = default;  // stops; what is open is answered kIndeterminate

  // Any thread; never block. Callbacks once each, on the raft thread; but where the host has
  // stopped or too many requests wait for it, at once on the caller's, as refused.
  using ProposalDone = std::move_only_function<void(ProposalResult)>;
  virtual void propose(SharedBytes data, ProposalDone done) = 0;  // proposals are not forwarded
  virtual void propose_conf_change(ConfChange change, ProposalDone done) = 0;
  // A snapshot of the state machine as it is when the raft thread comes to it; the log behind it is
  // compacted as after every other one. `done`: when it is durable, or a newer one is. The error:
  // why the host has stopped.
  virtual void save_snapshot(std::move_only_function<void(Status)> done) = 0;
  // Linearizable: everything committed before the call is applied when `done` is called with an
  // index. kTimedOut, kNotMain (no leader).
  virtual void read_index(std::move_only_function<void(Result<Index>)> done) = 0;
  virtual void transfer_leader(PeerId to) = 0;
  virtual void add_peer(PeerAddress peer) = 0;  // or its new address
  virtual void remove_peer(PeerId peer) = 0;    // its connection closes
  virtual void status(std::move_only_function<void(NodeStatus)> done) = 0;
  // `changed` runs on the raft thread: first with what is, then with every change of leader or
  // role.
  virtual void on_leader_change(std::function<void(SoftState, Term)> changed) = 0;
  virtual std::uint16_t port() const = 0;
  // Set once the host stopped by itself (failed disk, damaged snapshot): what and what to do.
  virtual std::optional<Error> failure() const = 0;
};

}  // namespace andyx::raft
