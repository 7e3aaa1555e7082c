// The vocabulary of Raft: entries, messages, configurations. Values; no behaviour beyond small
// helpers. Terms follow the Raft thesis (Ongaro, 2014); message types follow etcd's raft, whose
// transcripts the core replays (see ARCHITECTURE.md, Raft).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "protocol/base/shared_bytes.h"

namespace andyx::raft {

using PeerId = std::uint64_t;  // from 1; a peer is a node with its disk
using Term = std::uint64_t;    // 0: none yet
using Index = std::uint64_t;   // position in the log, from 1; 0: before the first

inline constexpr PeerId kNone = 0;                      // no peer: no leader, no vote
inline constexpr PeerId kAppendThread = UINT64_MAX;     // target of kStorageAppend
inline constexpr PeerId kApplyThread = UINT64_MAX - 1;  // target of kStorageApply
inline constexpr std::uint64_t kNoLimit = UINT64_MAX;

inline constexpr bool is_storage_thread(PeerId id) {
  return id == kAppendThread || id == kApplyThread;
}

enum class EntryType : std::uint8_t {
  kNormal = 0,
  kConfChange = 1,    // one change, no transition (v1)
  kConfChangeV2 = 2,  // any number of changes, or none: leave the joint configuration
};

struct Entry {
  Term term = 0;
  Index index = 0;
  EntryType type = EntryType::kNormal;
  SharedBytes data;  // immutable, shared by log, messages and the state machine

  std::uint64_t payload_bytes() const { return data.size(); }
  // Charged against size limits: the size of the entry in protobuf's encoding, which etcd's limits
  // are counted in.
  std::uint64_t encoded_bytes() const;
};

enum class ConfChangeType : std::uint8_t {
  kAddVoter = 0,
  kRemove = 1,
  kUpdate = 2,  // changes nothing here: for the application
  kAddLearner = 3,
};

struct ConfChangeSingle {
  ConfChangeType type = ConfChangeType::kAddVoter;
  PeerId peer = kNone;  // kNone: ignored
  bool operator==(const ConfChangeSingle&) const = default;
};

enum class ConfTransition : std::uint8_t {
  kAuto = 0,           // simple where one change suffices, else joint and left automatically
  kJointImplicit = 1,  // joint, left automatically
  kJointExplicit = 2,  // joint until an empty change is proposed
};

struct ConfChange {
  ConfTransition transition = ConfTransition::kAuto;
  std::vector<ConfChangeSingle> changes;
  std::string context;  // the application's
  bool v1 = false;      // stands in an entry of kConfChange: exactly one change, kAuto

  bool leaves_joint() const { return transition == ConfTransition::kAuto && changes.empty(); }
  bool enters_joint() const { return transition != ConfTransition::kAuto || changes.size() > 1; }
  bool auto_leave() const { return transition != ConfTransition::kJointExplicit; }
  bool operator==(const ConfChange&) const = default;
};

// A membership configuration; all lists sorted, without duplicates.
struct ConfState {
  std::vector<PeerId> voters;           // incoming majority
  std::vector<PeerId> voters_outgoing;  // set while joint
  std::vector<PeerId> learners;
  std::vector<PeerId> learners_next;  // outgoing voters that become learners
  bool auto_leave = false;
  bool operator==(const ConfState&) const = default;
};

struct SnapshotMeta {
  Index index = 0;  // of the last entry that it contains; 0: no snapshot
  Term term = 0;
  ConfState conf;
  bool operator==(const SnapshotMeta&) const = default;
};

struct Snapshot {
  SnapshotMeta meta;
  SharedBytes data;  // the state machine; hosts that send it in chunks leave it empty
};
using SnapshotPtr = std::shared_ptr<const Snapshot>;

// What a peer must not forget: persisted before any message that follows from it.
struct HardState {
  Term term = 0;
  PeerId vote = kNone;
  Index commit = 0;  // needs no sync of its own: it only saves work after a restart
  bool empty() const { return term == 0 && vote == kNone && commit == 0; }
  bool operator==(const HardState&) const = default;
};

enum class Role : std::uint8_t { kFollower, kCandidate, kLeader, kPreCandidate };

// What may be forgotten.
struct SoftState {
  PeerId leader = kNone;
  Role role = Role::kFollower;
  bool operator==(const SoftState&) const = default;
};

enum class MessageType : std::uint8_t {
  kHup = 0,          // local: campaign
  kBeat = 1,         // local: leader's heartbeat is due
  kPropose = 2,      // forwarded to the leader
  kAppend = 3,       // entries after (log_term, index), commit
  kAppendReply = 4,  // index matched, or rejected with a hint
  kVote = 5,
  kVoteReply = 6,
  kSnapshot = 7,
  kHeartbeat = 8,
  kHeartbeatReply = 9,
  kUnreachable = 10,     // local: from is unreachable
  kSnapshotStatus = 11,  // local: from received the snapshot, or (reject) did not
  kCheckQuorum = 12,     // local
  kTransferLeader = 13,  // from is the one to lead
  kTimeoutNow = 14,      // campaign at once
  kReadIndex = 15,
  kReadIndexReply = 16,
  kPreVote = 17,
  kPreVoteReply = 18,
  kStorageAppend = 19,  // to kAppendThread
  kStorageAppendReply = 20,
  kStorageApply = 21,  // to kApplyThread
  kStorageApplyReply = 22,
  kForgetLeader = 23,  // local
};

struct Message {
  MessageType type = MessageType::kHup;
  PeerId from = kNone;
  PeerId to = kNone;
  Term term = 0;      // 0: a local message, or one that holds in any term
  Term log_term = 0;  // of the entry at `index`
  Index index = 0;
  // In a refused vote by a peer that is no voter any more: committed, of term log_term.
  Index commit = 0;
  PeerId vote = kNone;  // kStorageAppend only
  bool reject = false;
  Index reject_hint = 0;
  bool transfer = false;  // kVote, kPreVote: a leadership transfer, which no lease holds up
  // kHeartbeat, kHeartbeatReply: the read-index round it confirms (0: none). kReadIndex and its
  // reply: the caller's request id.
  std::uint64_t context = 0;
  std::uint64_t tick = 0;  // kHeartbeat, echoed by its reply: the leader's ticks when it was sent
  std::vector<Entry> entries;
  SnapshotPtr snapshot;
  // kStorageAppend, kStorageApply: to be delivered when the storage work is done.
  std::vector<Message> responses;
};

// The answer to read_index(): reads are linearizable once the state machine has applied `index`.
struct ReadState {
  Index index = 0;
  std::uint64_t context = 0;  // the caller's request id
};

// Local messages come from the host or the core itself, never from the network.
bool is_local(MessageType type);
// Replies need a progress of their sender.
bool is_reply(MessageType type);

// Protobuf's wire format, fields as in etcd's raftpb (ConfChange, ConfChangeV2). An empty V2 change
// is no bytes at all.
SharedBytes encode(const ConfChange& change);
// Nothing when the bytes are no such change. `type` is one of the two kinds of conf change.
bool decode(EntryType type, ByteSpan bytes, ConfChange& change);

}  // namespace andyx::raft
