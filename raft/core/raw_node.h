// One peer of a Raft group as a state machine without I/O, clock, threads or randomness: messages,
// ticks and proposals in; what to persist, send and apply out. One thread.
//
//   for (;;) {
//     node.step(message) | node.tick() | node.propose(data) | …
//     if (node.has_ready()) {
//       node.ready(ready);
//       persist ready.snapshot, ready.entries, ready.hard_state   (synced when ready.must_sync)
//       send ready.messages                                       (not before!)
//       apply ready.snapshot, then ready.committed (apply_conf_change for conf changes)
//       node.advance();
//     }
//   }
//
// With async_storage_writes, ready.messages carries the storage work; see Config.
// Sources: Ongaro's thesis; etcd raft's RawNode, whose behaviour (transcripts) is the reference.
#pragma once

#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "raft/core/config.h"
#include "raft/core/types.h"

namespace andyx::raft {

struct Ready {
  // Set when it has changed.
  std::optional<SoftState> soft_state;
  std::optional<HardState> hard_state;
  std::vector<ReadState> read_states;
  // To be appended to stable storage, overwriting what stands from entries[0].index on. BEFORE any
  // of `messages` is sent (without async_storage_writes). In one atomic write with hard_state and
  // snapshot: entries that survive a crash without the commit index that came with them could let
  // this peer campaign by an outdated membership.
  std::vector<Entry> entries;
  // To be made stable BEFORE `messages` are sent; replaces log and state machine.
  SnapshotPtr snapshot;
  // To be applied, in order. Without async_storage_writes some may be among `entries`: persist
  // those first.
  std::vector<Entry> committed;
  // To be sent AFTER hard_state, entries and snapshot are durable (without async_storage_writes;
  // with it: at once, and the storage messages carry what has to wait).
  std::vector<Message> messages;
  // entries and term or vote must be synced; a new commit index alone need not be.
  bool must_sync = false;

  void clear();  // keeps capacity
};

enum class StepError : std::uint8_t {
  kProposalDropped,  // no leader, forwarding off, transfer under way, or over max_uncommitted_bytes
  kLocalMessage,     // a local message from the network
  kPeerNotFound,     // a reply of a peer that is in no configuration
  kMalformed,        // no peer that works sends this: entries with gaps, an absurd term, …
  // The leader's message contradicts what is committed here, or says that more is matched than
  // there is. This peer has lost a part of its log, or the leader did: the host must stop.
  kContradiction,
};
const char* text(StepError error);  // "raft proposal dropped", …
using StepResult = std::expected<void, StepError>;

enum class ProgressState : std::uint8_t { kProbe, kReplicate, kSnapshot };

struct ProgressView {
  Index match = 0;
  Index next = 1;
  ProgressState state = ProgressState::kProbe;
  bool learner = false;
  bool recent_active = false;
  bool paused = false;
  Index pending_snapshot = 0;
  std::uint32_t inflight = 0;
  bool inflight_full = false;
};

struct NodeStatus {
  PeerId id = kNone;
  HardState hard;
  SoftState soft;
  Index applied = 0;
  Index last_index = 0;
  PeerId lead_transferee = kNone;
  ConfState conf;
  std::map<PeerId, ProgressView> progress;  // leader only; empty elsewhere
};

class Raft;  // raft.h: for this library only

class RawNode {
 public:
  explicit RawNode(const Config& config);  // invalid(config) must be null; else panics
  ~RawNode();
  RawNode(RawNode&&) noexcept;

  void tick();
  StepResult campaign();
  // Appended by the leader, forwarded by a follower. No error does not mean committed.
  StepResult propose(SharedBytes data);
  // All or none, next to each other in the log.
  StepResult propose(std::vector<SharedBytes> data);
  StepResult propose_conf_change(const ConfChange& change);
  // When an entry of a conf change is applied (unless the application rejects it).
  ConfState apply_conf_change(const ConfChange& change);
  // A message from a peer or a storage thread.
  StepResult step(Message message);

  bool has_ready() const;
  void ready(Ready& ready);  // overwrites it; its vectors' capacity is used again
  void advance();            // after the ready was handled; not with async_storage_writes

  void report_unreachable(PeerId peer);
  void report_snapshot(PeerId peer, bool failed);
  void transfer_leader(PeerId to);
  StepResult forget_leader();
  // A leader becomes a follower of the same term that knows no leader; elsewhere nothing. For a
  // host whose disk hangs.
  void step_down();
  // Answered in Ready::read_states, or never (leader lost): the caller times out.
  void read_index(std::uint64_t context);

  NodeStatus status() const;  // allocates
  HardState hard_state() const;
  SoftState soft_state() const;
  Index applied() const;
  Index last_index() const;  // after propose() on a leader: where the proposal stands
  ConfState conf_state() const;

  void set_randomized_election_timeout(std::uint32_t ticks);  // transcripts only

 private:
  std::unique_ptr<Raft> raft_;
  struct Pending;
  std::unique_ptr<Pending> pending_;
};

}  // namespace andyx::raft
