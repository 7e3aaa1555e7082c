// The main of a partition in one epoch: what its replicas hold, what is committed, who is in the
// in-sync set, and which producers may be answered what. Follows "Replication of partitions" in the
// design; the numbers in comments are its rules.
//
// Pure: no IO, no clock (times are BOOTTIME milliseconds that the caller passes), no payload.
// Events in, actions out: after each call, take_actions() says what to do, in that order. One
// thread (the partition's loop). Lives from becoming main until a record with a higher epoch: then
// it answers everybody and is `resigned()` for good.
//
// Replicas are sent what is not durable here yet, so that all disks sync at the same time.
// Therefore an offset that was sent is never given twice in an epoch (see append_refused).
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "protocol/base/error.h"
#include "server/partition/partition_core.h"
#include "server/replication/fetch.h"
#include "server/replication/local_copy.h"
#include "server/replication/replication_record.h"

namespace andyx::protocol {
enum class Acks : std::uint8_t;  // of common_generated.h
}

namespace andyx::server {

struct MainOptions {
  std::uint64_t session_ms = 1'500;       // of nodes with the controller
  std::uint64_t max_lag_ms = 3'000;       // behind for longer: out of the set
  std::uint64_t join_lag_ms = 500;        // behind for less, and that ...
  std::uint64_t join_after_ms = 1'000;    // ... for so long: into the set
  std::uint64_t proposal_retry_ms = 500;  // what the controller does not act on is sent again
};

// Answer this replica's fetch. The batches of [answer.from, answer.to) go along as far as the
// shell's bounds allow (whole batches; `to` is an upper bound). A shell that has to read them from
// the disk first answers only if the core has not resigned meanwhile.
struct AnswerFetch {
  NodeId replica = 0;
  FetchAnswer answer;
};
// kOk: stored as durably as asked. kTimedOut: maybe stored. kDiskFull: not stored.
struct AnswerProducer {
  std::uint64_t token = 0;
  ErrorCode error = ErrorCode::kOk;
};
struct ProposeSet {  // to the controller; may be lost, may arrive twice
  SetProposal proposal;
};
struct CommittedMoved {
  Offset committed = 0;
};
struct ServingBegins {};  // reads and deliveries may be answered from here on
// This epoch cannot go on here: ask the controller for another main, or another epoch. Comes again
// until it has.
struct AskForNewEpoch {};
using MainAction = std::variant<AnswerFetch, AnswerProducer, ProposeSet, CommittedMoved,
                                ServingBegins, AskForNewEpoch>;

class MainCore {
 public:
  // `record` names `self` as main. `copy` outlives the core. `heard_ms`: see controller_answered().
  MainCore(NodeId self, const ReplicationRecord& record, LocalCopy& copy, std::uint64_t heard_ms,
           std::uint64_t now_ms, MainOptions options = {});

  // May a batch that is no duplicate be stored now? kNotMain: resigned, or (levels none and main)
  // cut off from the controller (5), or no offset may be given in this epoch any more.
  // kNotInSync: quorum, with fewer than min-in-sync (2). Nothing is stored then.
  Status may_append(protocol::Acks level, std::uint64_t now_ms) const;
  // A batch [copy.end, end) has been handed to storage. `token` comes back in AnswerProducer.
  void appended(Offset end, protocol::Acks level, std::uint64_t token, std::uint64_t now_ms);
  // A duplicate whose original ends at `end`: answered when that is as durable as asked (7).
  void duplicate(Offset end, protocol::Acks level, std::uint64_t token, std::uint64_t now_ms);
  // Everything below `end` is durable here.
  void durable(Offset end, std::uint64_t now_ms);
  // Storage has refused what was appended from `from` on (PartitionCore::append_refused). Answered
  // as not stored, unless a replica was sent some of it: then it may come to be stored all the
  // same, and the epoch takes no more appends.
  void append_refused(Offset from, std::uint64_t now_ms);
  // Retention; not above what is committed.
  void start_advanced(Offset start);

  // A replica's entry. Answered at once, or when there is something to tell, at the latest at
  // `deadline_ms`. A newer entry of the same replica takes the place of the one that waits.
  void fetch(const FetchEntry& entry, std::uint64_t deadline_ms, std::uint64_t now_ms);

  // The image as this node knows it now; never an older one after a newer.
  void image_moved(const ReplicationRecord& record, std::uint64_t now_ms);
  // The controller has answered something that this node asked at `asked_ms` (5).
  void controller_answered(std::uint64_t asked_ms);
  // At least every 100 ms.
  void tick(std::uint64_t now_ms);

  std::vector<MainAction> take_actions() { return std::exchange(actions_, {}); }

  MainEpoch epoch() const { return epoch_; }
  bool resigned() const { return resigned_; }
  // Committed records may be read from here (4).
  bool serving() const { return serving_ && !resigned_; }
  // Attaching and the acks below quorum are refused otherwise (5).
  bool heard_controller(std::uint64_t now_ms) const;
  Offset log_end_at_election() const { return election_end_; }
  const ReplicationRecord& record() const { return record_; }
  const std::optional<SetProposal>& pending() const { return pending_; }
  // Whether writes wait for what `replica` does not hold yet: it is in the set or about to be, or
  // the set is too small for them.
  bool waits_for(NodeId replica) const;
  // For descriptions: how far a replica is known to be durable; nothing: it has not matched yet.
  std::optional<Offset> durable_of(NodeId replica) const;

 private:
  struct Parked {
    FetchEntry entry;
    std::uint64_t deadline_ms = 0;
  };
  struct Peer {
    NodeId node = 0;
    Incarnation incarnation = 0;
    bool matched = false;  // in this epoch and incarnation; `durable` counts only then (1)
    Offset durable = 0;
    Offset told_committed = 0;  // by the newest answer
    std::uint64_t last_request = 0;
    std::optional<Parked> parked;
    // It held everything that was here at this time. The probe: when it reaches `probe_end`, it
    // held everything of `probe_ms`.
    std::uint64_t caught_up_ms = 0;
    std::uint64_t probe_ms = 0;
    Offset probe_end = 0;
    std::optional<std::uint64_t> joinable_since_ms;
  };
  using Waiters = AckQueue<std::uint64_t>;

  Peer* find_peer(NodeId node);
  const Peer* find_peer(NodeId node) const;
  void adopt_peers(std::uint64_t now_ms);

  // Fetches (main_core_fetch.cc).
  std::optional<FetchRefusal> refusal_of(const FetchEntry& entry) const;
  bool match(const FetchEntry& entry, FetchAnswer& answer) const;
  void answer(Peer& peer, FetchEntry entry, FetchAnswer answer);
  bool answer_if_news(Peer& peer, const FetchEntry& entry, bool at_any_rate);
  void wake_parked(std::uint64_t now_ms, bool deadlines);
  void reached(Peer& peer, Offset durable, std::uint64_t now_ms);

  // The set (main_core_set.cc).
  std::size_t counted_members() const;
  bool required(NodeId node) const;
  void advance_committed(std::uint64_t now_ms);
  void committed_moved(std::uint64_t now_ms);
  std::uint64_t lag_ms(const Peer& peer, std::uint64_t now_ms) const;
  bool must_leave(NodeId node, std::uint64_t now_ms) const;
  bool may_join(Peer& peer, std::uint64_t now_ms);
  bool holds_enough(const Peer& peer) const;
  void admit(std::uint64_t now_ms);
  void change_set(std::uint64_t now_ms);
  void pursue_pending(std::uint64_t now_ms);
  void propose(const std::vector<NodeId>& members, std::uint64_t now_ms);

  void answer_waiters(Waiters& waiters, Offset reached, bool needs_controller,
                      std::uint64_t now_ms);
  void fail_waiters(Waiters& waiters, Offset from, ErrorCode error);
  void ask_for_new_epoch(std::uint64_t now_ms);
  void resign();

  NodeId self_;
  MainEpoch epoch_;
  LocalCopy& copy_;
  MainOptions options_;
  ReplicationRecord record_;
  Offset election_end_;
  Offset sent_end_;  // some replica may hold what is below, in this epoch
  std::uint64_t heard_ms_;
  std::vector<Peer> peers_;  // of the record's replicas, without this node
  Waiters main_waiters_, quorum_waiters_;
  std::optional<SetProposal> pending_;
  std::uint64_t proposed_ms_ = 0;
  // Not in the record's set, but perhaps in the controller's: of pending_, and of what pending_
  // withdraws.
  std::vector<NodeId> joiners_;
  NodeId admitted_ = 0;  // to be proposed as soon as it holds all; commits wait for it already
  std::vector<MainAction> actions_;
  bool serving_ = false;
  bool resigned_ = false;
  bool spent_ = false;  // no offset may be given any more
  std::uint64_t asked_ms_ = 0;
};

}  // namespace andyx::server
