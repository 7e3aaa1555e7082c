// One subscription on one partition: what is answered, in flight, and to be delivered next. Pure:
// no IO, no clock; events in, decisions out. Of payloads it reads the record tables only. One
// thread (the loop of the partition's main).
//
// Every offset below next_ is exactly one of: answered, in flight (held by a stream), waiting for
// redelivery (at once, or later), dead (waiting for the dead-letter topic), or set aside for the
// order of its key. From next_ on an offset is fresh, or answered ahead; or, after a restart, one
// of those that wait. Delayed messages whose time has not come are passed: they count as answered
// until the due index brings them; then they are `matured`, unanswered in spite of the answered
// set, also below the floor. All are kept as ranges.
//
// A stream is a consumer attached to this partition. Streams of one attach epoch share the flow; an
// attach with a newer epoch ends those of older ones.
//
// Work is pulled:
//   while (auto want = core.next_want()) {             // at most one pending for each lane
//     find the batch that holds want->from, in the tail cache or by a read; until then the lane
//     waits
//     core.take(*want, batch, now, ranges);            // may be empty: things changed meanwhile
//   }
// and so are durable changes: take_change() after each round of events, written as records of the
// internal log; answers are confirmed when their record is durable.
//
// Bound: delivered and unanswered messages, and the ranges they may leave in the answered set, stay
// under limits::kMaxAnsweredRanges; at the bound fresh delivery pauses, and no state is dropped.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/ids.h"
#include "protocol/base/limits.h"
#include "protocol/base/shared_bytes.h"
#include "server/subscription/cursor_record.h"
#include "server/subscription/key_order.h"
#include "server/subscription/offset_set.h"
#include "server/subscription/range_map.h"

namespace andyx::protocol {  // of the generated headers, which are too heavy for everybody
enum class SubscriptionType : std::uint8_t;
enum class SubscriptionMode : std::uint8_t;
enum class AnswerKind : std::uint8_t;
}  // namespace andyx::protocol

namespace andyx::server {

// Both clocks, read by the shell: deliver-at times and what is durable are by the wall, the rest is
// steady.
struct Now {
  TimeUs wall_us = 0;
  TimeUs steady_us = 0;
};

class SubscriptionCore {
 public:
  // One of: create() for a new subscription, or apply() of its changes; then open(). `key_ordered`
  // matters to nonresilient ones: resilient ones are in order as they are.
  SubscriptionCore(SubscriptionId id, protocol::SubscriptionType type,
                   protocol::SubscriptionMode mode, bool key_ordered);
  ~SubscriptionCore();
  SubscriptionCore(SubscriptionCore&&) noexcept;
  SubscriptionCore& operator=(SubscriptionCore&&) noexcept;

  // --- Durable state

  // A new subscription that begins at `start`. Its change has to be durable before attach is
  // answered. `due_cursor`: up to where the due index has rows no more.
  void create(Offset start, DueKey due_cursor = {});
  // Rebuilds: a snapshot (kState) or the next change of the log. Not kDeleted: the shell drops the
  // core.
  void apply(const CursorChange& change);
  // The partition serves: its log is [log_start, committed). A floor below the start rises to it;
  // what lies above the end (a forced loss of data) is cut. Delays go on with what is left of them
  // by the wall clock.
  void open(Offset log_start, Offset committed, Now now);

  // What has changed durably since the last call, coalesced; nothing when nothing has.
  std::optional<CursorChange> take_change();
  bool has_change() const { return changed_; }
  // A change that was taken was not written: the next take_change() carries the whole state.
  void change_lost();
  CursorChange state() const;  // kState: the snapshot

  // --- The partition

  void committed(Offset offset);          // never back
  void log_start_advanced(Offset start);  // retention: the floor rises with it

  // Moves the cursor; what was answered or in flight is forgotten. Ends all streams (their answers
  // speak of the past): the ids returned are no longer attached. A dead-letter round goes on.
  // kOffsetOutOfRange outside [log start, committed].
  Result<std::vector<StreamId>> reset(Offset to);

  // --- Streams

  struct StreamOptions {
    std::uint64_t attach_epoch = 0;
    std::uint64_t credit_bytes = 0;
    std::uint64_t credit_messages = 0;
    std::uint64_t ack_timeout_us = 0;  // given back when unanswered for so long; 0: never
    std::uint32_t max_deliveries = 0;  // then to the dead-letter topic; 0: no end
  };
  struct Attached {
    Offset floor = 0;
    Offset committed = 0;
    std::vector<StreamId> ended;  // of older epochs (never `stream` itself, nor retired ones)
  };
  // kStaleAttach: a newer epoch was here, or this one is retired. kCreditOverflow. A stream that is
  // attached already starts anew.
  Result<Attached> attach(StreamId stream, const StreamOptions& options, Now now);
  // Everything it held waits for redelivery. Unknown streams are ignored.
  void detach(StreamId stream, Now now);
  // kUnknownStream; kCreditOverflow over limits::kMaxCredit…: the shell ends the stream.
  Status credit(StreamId stream, std::uint64_t bytes, std::uint64_t messages);
  // Its connection is congested: as if it had no credit.
  void pause(StreamId stream, bool paused);

  // The partition changes its consumer. revoke: streams up to this epoch get nothing more (nor do
  // those that attach under it yet). drained:
  // they hold nothing. retire: what they hold is given back; they stay for late acknowledgements
  // only.
  void revoke(std::uint64_t attach_epoch);
  bool drained(std::uint64_t attach_epoch) const;
  void retire(std::uint64_t attach_epoch, Now now);
  // Detaches retired streams that held nothing when they were retired, and of the others all but
  // the latest limits::kMaxRetiredStreams (by id): a late answer would count for nothing, or has
  // not come for as many changes of the consumer.
  std::vector<StreamId> end_retired();

  // All or nothing, idempotent; the first answer to a message wins. Below the floor: answered
  // already, unless matured. Unacknowledging (again after `delay_us`) or extending (its ack timeout
  // begins anew) what is not in flight with this stream changes nothing. Errors: kUnknownStream,
  // kBadArgument (first > last, too many ranges, delay over limits::kMaxRedeliveryDelayMs),
  // kOffsetOutOfRange (not committed), kNotYours (held by another stream), kLimitReached (answers
  // far ahead of delivery that leave too many ranges).
  Status answer(StreamId stream, protocol::AnswerKind kind, std::span<const OffsetRange> ranges,
                std::uint64_t delay_us, Now now);

  // --- Time

  // Steady; never later than the earliest ack timeout or delayed redelivery, maybe earlier.
  std::optional<TimeUs> next_deadline_us() const;
  // Gives back what has timed out; delayed redeliveries become due. Cheap before the deadline.
  void advance(Now now);

  // --- Delivery

  struct Want {
    Offset from = 0;
    bool redelivery = false;
    std::uint64_t ticket = 0;  // tells a want of before from the present one
  };
  struct Batch {
    Offset base_offset = 0;
    std::uint32_t count = 0;
    std::uint32_t size_bytes = 0;
    ByteSpan bytes = {};   // of all of it, for its record table; empty: no keys, no delays
    bool delayed = false;  // it has a deliver-at column
  };
  struct DeliveredRange {
    StreamId stream = 0;
    Offset first = 0;
    Offset last = 0;
    std::uint32_t delivered_before = 0;  // > 0: a redelivery, each message is named in the frame
    TimeUs first_delivered_us = 0;
  };
  struct Taken {
    std::uint64_t messages = 0;
    std::uint64_t redeliveries = 0;  // of these; at most kMaxRedeliveriesPerTake
  };
  static constexpr std::uint64_t kMaxRedeliveriesPerTake = 10'000;
  static constexpr std::size_t kMaxRangesPerTake = limits::kMaxRangesPerAnswer;

  // The next batch to fetch. It is pending until take() or fetch_failed(); meanwhile the other lane
  // (fresh messages; redeliveries, matured messages and those set aside) may want a batch, too.
  // Redeliveries get one message in five while both have work.
  std::optional<Want> next_want();

  // Ranges of `batch`, which holds want.from, that go to streams with credit now; appended to
  // `out`, ascending for each stream. They are in flight from here on. To each stream as many as
  // its credit allows, at least one while bytes and messages are both above 0; charged as
  // credit_charge() of all that it gets here, so that bytes may fall below 0 by a share of one
  // message. Nothing when the want is out of date; also when all that is due was passed, set aside
  // or found dead: next_want() goes on behind it.
  Taken take(const Want& want, const Batch& batch, Now now, std::vector<DeliveredRange>& out);
  // The batch could not be read (now); it is wanted again at the next call.
  void fetch_failed(const Want& want);

  // --- Delayed messages (deliver-at)
  // Fresh delivery passes what the due index still has to bring: a message whose DueKey is behind
  // due_cursor(). So each comes once, and, as the index is read up to the wall clock, never early.

  DueKey due_cursor() const { return due_cursor_; }  // the index is read behind it
  // Entries of the index that may be handed in now. 0 until the last ones are durable.
  std::size_t mature_room() const;
  // The entries of the index up to `cursor`, in order. What was passed is unanswered again; the
  // rest fresh delivery will find due, or it is not this subscription's. A durable change.
  void mature(std::span<const DueKey> due, DueKey cursor);
  // The change of the last mature() is durable: what it brought may be delivered.
  void matured_durable();

  // --- Dead letters: what came back for the max_deliveries-th time is set aside, in rounds moved
  // to the dead-letter topic, and then counts as answered.

  struct DeadLetter {
    Offset offset = 0;
    std::uint32_t deliveries = 0;
    TimeUs first_delivered_us = 0;
  };
  struct DeadRound {
    std::uint64_t sequence = 0;  // of the first letter; the others follow
    std::vector<DeadLetter> letters;
  };
  // Up to limits::kMaxDeadLettersPerRound become the round, a durable change. False: none is set
  // aside, or a round is under way.
  bool begin_dead_round();
  std::optional<DeadRound> dead_round() const;   // the one under way, also after a restart
  void dead_round_done(std::uint64_t sequence);  // committed there; a durable change

  // --- Views

  struct Stats {
    Offset floor = 0;
    Offset committed = 0;
    std::uint64_t answered_above_floor = 0;
    std::uint64_t in_flight = 0;
    std::uint64_t waiting_redelivery = 0;  // with those that wait for a delay, or have matured
    std::uint64_t set_aside = 0;           // for the order of their keys
    std::uint64_t skipped = 0;             // since creation
    std::uint64_t lag = 0;           // messages up to committed that are not answered, nor passed
    std::uint64_t credit_bytes = 0;  // of all streams, debts as 0
    std::uint64_t credit_messages = 0;
    // Passed, not due yet. An estimate once retention has deleted delayed messages, or some were
    // answered before their time.
    std::uint64_t delayed = 0;
    std::uint64_t dead_lettered = 0;  // since creation
    std::uint64_t dead_waiting = 0;   // set aside for the dead-letter topic, the round included
  };
  Stats stats() const;
  // What soft retention has to keep; committed when nothing is unanswered.
  Offset oldest_unanswered() const;
  // Why nothing is delivered; empty when something is.
  std::string_view blocked() const;

  SubscriptionId id() const { return id_; }
  protocol::SubscriptionType type() const { return type_; }
  protocol::SubscriptionMode mode() const { return mode_; }
  Offset floor() const { return answered_.floor(); }
  bool attached(StreamId stream) const;  // or retired
  std::size_t streams() const { return streams_.size(); }

 private:
  struct Stream {
    StreamId id = 0;
    std::uint64_t attach_epoch = 0;
    std::int64_t credit_bytes = 0;
    std::uint64_t credit_messages = 0;
    std::uint64_t ack_timeout_us = 0;
    std::uint64_t held = 0;  // messages
    std::uint32_t max_deliveries = 0;
    bool paused = false;
    bool draining = false;
    bool retired = false;
    bool owes = false;       // retired, and held something then
    std::uint64_t take = 0;  // of which the next two speak
    std::uint64_t allowed = 0;
    std::uint64_t taken = 0;

    bool live() const { return !draining && !retired; }
    bool has_credit() const { return credit_bytes > 0 && credit_messages > 0; }
    bool able() const { return live() && !paused && has_credit(); }
  };
  struct Held {
    StreamId stream = 0;
    TimeUs delivered_us = 0;
    TimeUs deadline_us = 0;  // steady; 0: none
    bool operator==(const Held&) const = default;
  };
  struct Waiting {
    StreamId avoid = 0;  // its ack timeout ran out
    bool operator==(const Waiting&) const = default;
  };
  struct History {  // of messages delivered before and not answered; durable
    std::uint32_t count = 0;
    TimeUs first_delivered_us = 0;
    TimeUs due_us = 0;
    bool operator==(const History&) const = default;
  };
  struct Lane {
    bool pending = false;
    std::uint64_t ticket = 0;
  };
  struct Rare;  // what most subscriptions never have
  struct Take;  // one take() under way

  Stream* find_stream(StreamId stream);
  template <typename Change>
  void change_stream(Stream& stream, Change&& change);  // keeps able_
  void streams_changed();
  bool resilient() const;
  const Rare& rare() const;
  Rare& make_rare();

  // Answers (subscription_core_answers.cc).
  Status check_answer(StreamId stream, protocol::AnswerKind kind,
                      std::span<const OffsetRange> ranges, std::uint64_t delay_us) const;
  void settle(Offset first, Offset last, bool skipped);
  void settle_all(Offset first, Offset last, bool skipped);
  std::uint64_t settle_matured(Offset first, Offset last);
  void drop(Offset first, Offset last);
  void give_back(Offset first, Offset last, StreamId avoid, std::uint64_t delay_us, Now now);
  void give_back_piece(const RedeliveryRange& piece, const Stream& from, StreamId avoid,
                       TimeUs due_us);
  void give_back_all(Stream& stream, Now now);
  void extend(Stream& stream, Offset first, Offset last, Now now);
  void expire(TimeUs deadline_us);
  void become_due(Offset first, Offset last);

  // Durable state (subscription_core_state.cc).
  void apply_redelivery(const RedeliveryRange& range);
  void forget_history(Offset first, Offset last);
  void raise_floor(Offset floor);
  void note_answered(Offset first, Offset last);
  void note_redelivery(const RedeliveryRange& range);
  void note_whole_state();
  void bound_notes();

  // Delivery (subscription_core_delivery.cc, …_keyed.cc).
  Offset next_fresh() const;
  std::uint64_t unanswered() const;
  std::uint64_t window() const;
  bool catching_up() const;
  bool in_order_blocked() const;
  bool may_fetch_fresh() const;
  std::optional<Offset> next_redelivery() const;
  bool share_is_due(Offset redelivery, bool fresh) const;
  std::uint64_t room(Stream& stream, const Take& take) const;
  Stream* next_stream(const Take& take, StreamId avoid);
  bool due(const Take& take, Offset offset) const;
  bool pass(Offset first, Offset last);
  void share(bool redelivery, std::int64_t messages);
  Offset emit(Offset first, Offset last, Stream& stream, Take& take);
  void take_fresh(Take& take);
  void take_fresh_for(Stream& stream, std::uint64_t quota, Offset end, Take& take);
  void take_waiting(Offset from, Take& take);
  void take_fresh_keyed(Take& take);
  bool take_fresh_keyed_one(Take& take, std::uint64_t chunk, std::uint64_t& left, Stream*& anybody);
  void take_waiting_keyed(Offset from, Take& take);
  std::optional<Offset> next_redelivery_keyed() const;
  void emit_waiting_keyed(Offset offset, std::uint32_t key, Stream& stream, Take& take);

  SubscriptionId id_;
  protocol::SubscriptionType type_;
  protocol::SubscriptionMode mode_;
  bool changed_ = false;
  bool whole_state_ = false;

  // Durable, with parts of Rare.
  OffsetSet answered_;
  RangeMap<History> history_;
  std::uint64_t skipped_ = 0;
  Offset start_ = 0;
  DueKey due_cursor_;

  // Not durable.
  RangeMap<Held> held_;
  RangeMap<Waiting> waiting_;
  std::unique_ptr<Rare> rare_;
  std::unique_ptr<KeyOrder> keys_;  // of ordered ones
  Offset next_ = 0;
  Offset log_start_ = 0;
  Offset committed_ = 0;
  TimeUs deadline_us_;           // steady: nothing is due before
  std::vector<Stream> streams_;  // by id
  std::size_t able_ = 0;         // of these
  std::size_t turn_ = 0;         // round robin over streams_
  std::uint64_t attach_epoch_ = 0, revoked_epoch_ = 0, retired_epoch_ = 0;
  Lane fresh_, redelivery_;
  std::uint64_t next_ticket_ = 1;
  Offset redelivery_from_ = 0;        // goes round, so that one message cannot starve the others
  std::int64_t redelivery_owed_ = 0;  // fresh messages that passed waiting ones, less their share
  // What a consumer of a unique or failover subscription held when it left goes before anything
  // else, to whoever comes next: so many messages, each once.
  std::uint64_t catch_up_ = 0;

  // Changes since the last take_change(), but for what it says in whole.
  std::vector<OffsetRange> noted_answered_;
  std::vector<RedeliveryRange> noted_redeliveries_;
};

}  // namespace andyx::server
