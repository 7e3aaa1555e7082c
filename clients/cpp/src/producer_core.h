// The decisions of a producer about one partition: what is sent when, what is sent again, what has
// failed. Pure: events in, actions out; no I/O, clock or threads. Batches are known by number only;
// the shell (producer_impl.h) keeps their bytes.
//
// A batch that may be stored is only ever sent again with the same bytes, in order, and at most
// `max_in_flight` are unanswered, no more than the server remembers: so it finds duplicates. Where
// a batch is given up, its sequence number is missing for ever; the partition then goes on under a
// new identity (Reopen). Batches that may be stored under the old one fail instead of moving over.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <variant>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/ids.h"
#include "protocol/base/limits.h"

namespace andyx::client {

using BatchId = std::uint64_t;  // 0, 1, 2… within the partition

class ProducerCore {
 public:
  struct Config {
    std::uint32_t max_in_flight = limits::kProducerBatchesRemembered;
    bool idempotent = true;
    std::uint64_t delivery_timeout_ms = 30'000;  // without progress
    std::uint64_t backoff_min_ms = 20, backoff_max_ms = 1'000;
    std::uint64_t doubt_ms = 1'000;  // without an answer to what is in flight
    std::uint64_t seed = 1;          // of the jitter
  };

  // What the server said of one batch.
  struct Success {
    Offset base_offset = kNoOffset;
    TimeUs append_time_us = 0;
    MainEpoch main_epoch = 0;  // 0: not told
    std::uint32_t copies = 0;
  };
  struct Refusal {
    Error error;
    Storedness stored = Storedness::kNotStored;
    bool retriable = false;
    std::uint64_t retry_after_ms = 0;
  };
  // Nothing of the batch was stored, because messages of it were before.
  struct Repeated {
    bool all = false;  // of them; else the shell has made the batch smaller, and it is sent again
  };
  using Verdict = std::variant<Success, Refusal, Repeated>;

  // What the shell has to do, in this order.
  struct Send {
    BatchId id;
  };
  struct Stored {
    BatchId id;
    Success success;
  };
  struct Absorbed {  // all of it was stored before, by other batches
    BatchId id;
  };
  struct Failed {
    BatchId id;
    Error error;
    Storedness stored;
  };
  // Get a new identity, stamp all unresolved batches with it, from sequence 0, call reopened().
  // `sequence_known`: every batch before was stored or was not, so that the old identity may go on
  // from the number of those stored.
  struct Reopen {
    bool sequence_known = false;
  };
  // The partition's main may be another one: ask for metadata.
  struct Refresh {
    bool doubt = false;  // not the one that was asked: it does not answer
  };
  using Action = std::variant<Send, Stored, Absorbed, Failed, Reopen, Refresh>;

  explicit ProducerCore(const Config& config);

  void add(std::uint64_t now_ms);  // the next batch; ids count up from 0
  void link_up(MainEpoch epoch, std::uint64_t now_ms);
  void link_down(const Error& reason, std::uint64_t now_ms);
  // For a batch that was sent since the last link_up; answers to others are the shell's to drop.
  void answered(BatchId id, const Verdict& verdict, std::uint64_t now_ms);
  void reopened(std::uint64_t now_ms);
  void reopen_failed(const Error& reason, std::uint64_t now_ms);
  void tick(std::uint64_t now_ms);
  // Everything unresolved fails; with `for_good` also what comes later.
  void give_up(const Error& reason, bool for_good);

  std::vector<Action> take_actions();
  std::optional<std::uint64_t> wake_at() const;  // when tick() has something to do
  // Between Reopen and reopened(). An identity that comes at another time (its batches were given
  // up meanwhile, or a second Reopen was answered first) is not stamped on anything: what is in
  // flight would be sent again under another sequence, and stored twice.
  bool awaits_identity() const { return identity_ == Identity::kReopenAsked; }
  bool is_up() const { return up_; }
  std::uint32_t in_flight() const { return in_flight_; }
  std::size_t unresolved() const { return entries_.size(); }
  std::uint64_t resent() const { return resent_; }

 private:
  enum class State { kQueued, kInFlight, kDone };
  enum class Identity { kGood, kReopenWanted, kReopenAsked };
  struct Entry {
    State state = State::kQueued;
    bool sent_before = false;
    bool maybe_stored = false;
  };

  Entry* find(BatchId id);
  void pump(std::uint64_t now_ms);
  void stored(BatchId id, const Success& success, std::uint64_t now_ms);
  void repeated(BatchId id, const Repeated& repeated, std::uint64_t now_ms);
  void refused(BatchId id, const Refusal& refusal, std::uint64_t now_ms);
  void try_later(Entry& entry, const Refusal& refusal, std::uint64_t now_ms);
  void send_again(Entry& entry);
  void fail(BatchId id, const Error& error, Storedness stored);
  void want_reopen();
  void ask_for_identity();
  void back_off(std::uint64_t now_ms, std::uint64_t at_least_ms);
  void drop_resolved();

  const Config config_;
  std::deque<Entry> entries_;
  BatchId first_id_ = 0;
  std::uint32_t in_flight_ = 0;
  bool up_ = false;
  MainEpoch epoch_ = 0;
  bool hold_ = false;  // something is to be sent again: first let everything in flight be answered
  Identity identity_ = Identity::kGood;
  bool unsure_ = false;  // what the partition has seen of the present identity
  std::uint64_t not_before_ms_ = 0;
  std::uint64_t last_progress_ms_ = 0;
  std::uint64_t doubt_at_ms_ = 0;  // while something is in flight
  std::uint32_t failures_ = 0;     // in a row
  std::uint64_t random_;
  std::uint64_t resent_ = 0;
  Error last_error_{ErrorCode::kTimedOut, "no answer"};
  std::optional<Error> dead_;
  std::vector<Action> actions_;
};

}  // namespace andyx::client
