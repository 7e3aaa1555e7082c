// A replica of a partition: pulls the main's log in one epoch after the other, cuts what differs,
// and says how much is durable here. Follows "Replication of partitions" in the design; the numbers
// in comments are its rules.
//
// Pure, as MainCore: events in, actions out, times are BOOTTIME milliseconds. One thread (the
// partition's loop). Lives as long as the node is a replica: a node that becomes main destroys its
// ReplicaCore first, so that it has stopped answering the old epoch before it acts in the new (4).
// Writes to storage that are under way then go on; report them to the MainCore.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "server/replication/fetch.h"
#include "server/replication/local_copy.h"

namespace andyx::server {

struct ReplicaOptions {
  std::uint64_t answer_timeout_ms = 1'000;  // a fetch without an answer is sent again
  std::uint64_t parked_timeout_ms = 1'000;  // the same of one that may wait for something new
  std::uint64_t refused_retry_ms = 50;      // after a refusal
  std::uint64_t failing_after_ms = 1'000;   // without a good answer: tell the controller (6)
};

struct SendFetch {
  NodeId main = 0;
  FetchEntry entry;
  // To be answered even if there is nothing new: it is not known whether the main hears.
  bool at_once = false;
};
// Hand the batches that came with the answer to storage, [from, to) of the log.
struct StoreBatches {
  Offset from = 0, to = 0;
};
// Cut the log at `from`, and roll back what was derived from it. Nothing of it is in flight. Report
// log_cut(); until then nothing is fetched. With `restart_at`: drop the whole log instead, the next
// batch begins there; the producers' state up to there has to come from the main, or a batch that
// retention has removed could be stored again.
struct CutLog {
  Offset from = 0;
  std::optional<Offset> restart_at;
};
struct ReplicaCommittedMoved {
  Offset committed = 0;
};
struct ReplicaStartMoved {  // retention on the main: free what is below
  Offset start = 0;
};
// The main cannot be pulled from, or can again: for the node's next report to the controller (6).
struct PullsFailing {
  MainEpoch epoch = 0;
  bool failing = false;
};
using ReplicaAction = std::variant<SendFetch, StoreBatches, CutLog, ReplicaCommittedMoved,
                                   ReplicaStartMoved, PullsFailing>;

class ReplicaCore {
 public:
  // `copy` outlives the core. `first_request`: above every request of this incarnation so far.
  ReplicaCore(NodeId self, Incarnation incarnation, LocalCopy& copy, std::uint64_t first_request,
              ReplicaOptions options = {});

  // The image names this main. Lower epochs than the present one change nothing. Main 0: nobody is
  // there to follow.
  void follow(MainEpoch epoch, NodeId main, std::uint64_t now_ms);

  // `batches`: what came along, verified, in the order of the log; a whole number of batches, and
  // perhaps fewer than the answer names. Answers of another epoch, to earlier requests, or with
  // batches that do not fit are dropped: kNotMain, kBadBatch; nothing has changed then.
  Status answered(const FetchAnswer& answer, std::span<const BatchSpan> batches,
                  std::uint64_t now_ms);
  // Everything below `end` is durable here.
  void durable(Offset end, std::uint64_t now_ms);
  // Storage has refused what was handed to it from `from` on, and nothing of it is in flight.
  void store_refused(Offset from, std::uint64_t now_ms);
  void log_cut(std::uint64_t now_ms);
  // At least every 100 ms.
  void tick(std::uint64_t now_ms);

  std::vector<ReplicaAction> take_actions() { return std::exchange(actions_, {}); }

  MainEpoch epoch() const { return epoch_; }
  NodeId main() const { return main_; }
  std::uint64_t next_request() const { return next_request_; }
  bool matched() const { return matched_; }  // the main has said so in this epoch
  // Whether the main hears, and hears of this log as it is now.
  bool in_doubt() const { return doubt_since_ms_.has_value(); }

 private:
  struct Cut {
    Offset from = 0;
    std::optional<Offset> restart_at;
  };

  FetchEntry entry() const;
  void pull(std::uint64_t now_ms);
  void report_progress();
  Status check_batches(const FetchAnswer& answer, std::span<const BatchSpan> batches) const;
  void store(std::span<const BatchSpan> batches);
  void diverged(const FetchAnswer& answer);
  void cut(Cut cut);
  void cut_when_idle();
  void take_offsets(const FetchAnswer& answer);
  void advance_committed();
  void doubt(std::uint64_t since_ms);
  void good_answer();

  NodeId self_;
  Incarnation incarnation_;
  LocalCopy& copy_;
  ReplicaOptions options_;
  MainEpoch epoch_ = 0;
  NodeId main_ = 0;
  bool matched_ = false;
  Offset main_committed_ = 0;  // by answers that matched
  std::uint64_t next_request_;
  // Answers from here on speak of the log as it is now: it has not changed since that request.
  std::uint64_t first_current_;
  bool waiting_ = false;  // for an answer to the newest fetch
  std::uint64_t fetched_ms_ = 0;
  std::optional<std::uint64_t> retry_at_ms_;
  std::optional<Cut> cut_;  // waits for writes under way, or is being done
  bool cutting_ = false;
  // Without a good answer since then, though there should be one: from the first refusal or
  // unanswered fetch on, and from the beginning of an epoch.
  std::optional<std::uint64_t> doubt_since_ms_;
  bool failing_ = false;
  std::vector<ReplicaAction> actions_;
};

}  // namespace andyx::server
