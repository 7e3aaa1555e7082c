// The protocol itself; RawNode is the way in. For this library only.
//
// Split by meaning: raft.cc (terms, storage), raft_roles.cc (transitions, ticks), raft_election.cc
// (campaigns and votes), raft_leader.cc, raft_send.cc, raft_reads.cc, raft_follower.cc,
// raft_membership.cc.
#pragma once

#include <string>
#include <vector>

#include "raft/core/config.h"
#include "raft/core/membership.h"
#include "raft/core/raft_log.h"
#include "raft/core/raw_node.h"
#include "raft/core/read_only.h"

namespace andyx::raft {

class Raft {
 public:
  explicit Raft(const Config& config);

  void tick();
  StepResult step(Message message);
  ConfState apply_conf_change(const ConfChange& change);
  void step_down();

  SoftState soft_state() const { return {.leader = leader_, .role = role_}; }
  HardState hard_state() const {
    return {.term = term_, .vote = vote_, .commit = log_.committed()};
  }
  NodeStatus status() const;
  const Membership& membership() const { return membership_; }
  bool known(PeerId peer) const { return membership_.progress.contains(peer); }
  RaftLog& log() { return log_; }
  const RaftLog& log() const { return log_; }
  PeerId id() const { return config_.id; }
  const Config& config() const { return config_; }
  void set_randomized_election_timeout(std::uint32_t ticks) { randomized_timeout_ = ticks; }

  // To be sent at once; to other peers only.
  std::vector<Message>& messages() { return messages_; }
  // What stands for something persisted (votes, acknowledged entries, with asynchronous writes
  // requests for votes too): to be sent, or delivered to this peer itself, when all unstable state
  // of now is durable.
  std::vector<Message>& messages_after_append() { return messages_after_append_; }
  std::vector<ReadState>& read_states() { return read_states_; }
  const std::vector<Message>& messages() const { return messages_; }
  const std::vector<Message>& messages_after_append() const { return messages_after_append_; }
  const std::vector<ReadState>& read_states() const { return read_states_; }

 private:
  enum class Campaign : std::uint8_t { kPreElection, kElection, kTransfer };

  // raft.cc
  StepResult step_in_term(Message& message);
  bool step_higher_term(const Message& message);  // false: ignored
  void step_lower_term(Message& message);
  void storage_append_done(const Message& message);
  void storage_apply_done(const Message& message);
  void send(Message message);
  bool append_entries(std::vector<Entry>& entries);
  void applied_to(Index index, std::uint64_t bytes);
  void applied_snapshot(const Snapshot& snapshot);
  Progress* progress(PeerId peer);
  Progress fresh_progress(Index next) const;
  template <typename... Parts>
  void say(LogLevel level, const Parts&... parts) const;
  std::string log_position(EntryId last) const;

  // raft_roles.cc
  void reset(Term term);
  void become_follower(Term term, PeerId leader);
  void become_candidate();
  void become_pre_candidate();
  void become_leader();
  void tick_election();
  void tick_leader();

  // raft_election.cc
  bool promotable() const;
  bool in_lease() const;
  bool unapplied_conf_changes() const;
  void hup(Campaign campaign);
  void campaign(Campaign campaign);
  StepResult step_candidate(Message& message);
  void count_vote(const Message& message);
  bool learn_commit(const Message& refusal);
  void consider_vote(const Message& message);

  // raft_leader.cc
  StepResult step_leader(Message& message);
  StepResult step_proposal(Message& message);
  void check_conf_change(Entry& entry, Index index);
  void check_quorum();
  void step_append_reply(const Message& message, Progress& from);
  void append_rejected(const Message& message, Progress& from);
  void append_accepted(const Message& message, Progress& from);
  void step_heartbeat_reply(const Message& message, Progress& from);
  void step_snapshot_status(const Message& message, Progress& from);
  void step_transfer(const Message& message, const Progress& to);
  bool try_commit();
  bool account_uncommitted(std::span<const Entry> entries);

  // raft_send.cc
  bool send_append(PeerId to, bool even_if_empty);
  bool send_snapshot(PeerId to, Progress& progress);
  void send_heartbeat(PeerId to, Progress& progress, std::uint64_t round);
  void send_timeout_now(PeerId to);
  void broadcast_append();
  void broadcast_heartbeat();

  // raft_reads.cc
  void step_read_index(const Message& message);
  void answer_read(PeerId from, std::uint64_t context, Index index);
  void confirm_reads();
  void release_pending_reads();
  bool lease_holds() const;
  bool committed_in_this_term() const;

  // raft_follower.cc
  StepResult step_follower(Message& message);
  StepResult follow(Message& message);  // kAppend, kHeartbeat, kSnapshot of this term's leader
  StepResult handle_append(const Message& message);
  StepResult handle_heartbeat(const Message& message);
  void handle_snapshot(const Message& message);
  bool restore(const SnapshotPtr& snapshot);

  // raft_membership.cc
  void switch_to(Membership membership);

  Config config_;
  RaftLog log_;
  Membership membership_;
  std::map<PeerId, bool> votes_;
  Term term_ = 0;
  PeerId vote_ = kNone;
  Role role_ = Role::kFollower;
  PeerId leader_ = kNone;
  PeerId transferee_ = kNone;  // leadership is being transferred to it
  // The index of the last conf change that may not be applied yet: none is accepted before.
  Index pending_conf_index_ = 0;
  std::uint64_t uncommitted_bytes_ = 0;  // payload, an estimate from below; leader only
  std::uint64_t ticks_ = 0;
  // Since the last contact with the leader (follower), since the campaign began (candidate), since
  // the last quorum check (leader).
  std::uint32_t election_elapsed_ = 0;
  std::uint32_t heartbeat_elapsed_ = 0;
  std::uint32_t randomized_timeout_ = 0;
  // A leadership transfer was begun in this term: the other one is elected without regard for
  // leases, maybe much later.
  bool lease_void_ = false;
  // Before the restart this peer may have promised a lease that it has forgotten.
  bool restart_lease_ = false;
  ReadOnlyRounds reads_;
  std::vector<Message> pending_reads_;  // until an entry of this term is committed
  std::vector<ReadState> read_states_;
  std::vector<Message> messages_;
  std::vector<Message> messages_after_append_;
};

// More wait: the newest is dropped, and its caller times out.
inline constexpr std::size_t kMaxWaitingReads = 100'000;
// Terms above are no terms: nothing counts that far.
inline constexpr Term kMaxTerm = Term{1} << 62;

}  // namespace andyx::raft
