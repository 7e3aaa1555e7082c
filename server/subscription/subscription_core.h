// One subscription on one partition: what is answered, in flight, and to be delivered next. Pure:
// no IO, no clock, no payload; events in, decisions out. One thread (the loop of the partition's
// main).
//
// Every offset below next_ is exactly one of: answered, in flight (held by a stream), or waiting
// for redelivery. From next_ on an offset is fresh, or answered ahead. All are kept as ranges.
//
// A stream is a consumer attached to this partition. Streams of one attach epoch share the flow; an
// attach with a newer epoch ends those of older ones.
//
// Work is pulled:
//   while (auto want = core.next_want()) {           // at most one pending for each lane
//     find the batch that holds want->from, in the tail cache or by a read; until it is there the
//     lane waits core.take(*want, batch, now, ranges);           // may be empty: things changed
//     meanwhile
//   }
// and so are durable changes: take_change() after each round of events, written as records of the
// internal log; answers are confirmed when their record is durable.
//
// Bound: delivered and unanswered messages, and the ranges they may leave in the answered set, stay
// under limits::kMaxAnsweredRanges; at the bound fresh delivery pauses, and no state is dropped.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/ids.h"
#include "protocol/base/limits.h"
#include "server/subscription/cursor_record.h"
#include "server/subscription/offset_set.h"
#include "server/subscription/range_map.h"

namespace andyx::protocol {  // of subscription_generated.h, which is too heavy for everybody
enum class SubscriptionMode : std::uint8_t;
enum class AnswerKind : std::uint8_t;
}  // namespace andyx::protocol

namespace andyx::server {

using StreamId = std::uint64_t;  // the shell's: connection and stream number

// Credit that `messages` of a batch cost: their share of its bytes, rounded up. A client grants
// back the same, for each batch of a Deliver frame, from the ranges in it.
constexpr std::uint64_t credit_charge(std::uint32_t batch_bytes, std::uint32_t batch_count,
                                      std::uint64_t messages) {
  return (std::uint64_t{batch_bytes} * messages + batch_count - 1) / batch_count;
}

class SubscriptionCore {
 public:
  // One of: create() for a new subscription, or apply() of its changes; then open().
  SubscriptionCore(SubscriptionId id, protocol::SubscriptionMode mode);

  // --- Durable state
  // ---------------------------------------------------------------------------------------

  // A new subscription that begins at `start`. Its change has to be durable before attach is
  // answered.
  void create(Offset start);
  // Rebuilds: a snapshot (kState) or the next change of the log. Not kDeleted: the shell drops the
  // core.
  void apply(const CursorChange& change);
  // The partition serves: its log is [log_start, committed). A floor below the start rises to it;
  // what lies above the end (a forced loss of data) is cut.
  void open(Offset log_start, Offset committed);

  // What has changed durably since the last call, coalesced; nothing when nothing has.
  std::optional<CursorChange> take_change();
  bool has_change() const { return changed_; }
  // A change that was taken was not written: the next take_change() carries the whole state.
  void change_lost();
  CursorChange state() const;  // kState: the snapshot

  // --- The partition
  // ---------------------------------------------------------------------------------------

  void committed(Offset offset);          // never back
  void log_start_advanced(Offset start);  // retention: the floor rises with it

  // Moves the cursor; what was answered or in flight is forgotten. Ends all streams (their answers
  // speak of the past): the ids returned are no longer attached. kOffsetOutOfRange outside [log
  // start, committed].
  Result<std::vector<StreamId>> reset(Offset to);

  // --- Streams
  // ---------------------------------------------------------------------------------------------

  struct Attached {
    Offset floor = 0;
    Offset committed = 0;
    std::vector<StreamId> ended;  // streams of older epochs (never `stream` itself)
  };
  // kStaleAttach: a newer epoch was here. kCreditOverflow. A stream that is attached already starts
  // anew.
  Result<Attached> attach(StreamId stream, std::uint64_t attach_epoch, std::uint64_t credit_bytes,
                          std::uint64_t credit_messages);
  // Everything it held waits for redelivery. Unknown streams are ignored.
  void detach(StreamId stream);
  // kUnknownStream; kCreditOverflow over limits::kMaxCredit…: the shell ends the stream.
  Status credit(StreamId stream, std::uint64_t bytes, std::uint64_t messages);

  // All or nothing, idempotent; the first answer to a message wins. Below the floor: answered
  // already. Unacknowledging what is not in flight with this stream changes nothing. Errors:
  // kUnknownStream, kBadArgument (first > last, too many ranges), kOffsetOutOfRange (not
  // committed), kNotYours (held by another stream), kLimitReached (answers far ahead of delivery
  // that leave too many ranges).
  Status answer(StreamId stream, protocol::AnswerKind kind, std::span<const OffsetRange> ranges);

  // --- Delivery
  // --------------------------------------------------------------------------------------------

  struct Want {
    StreamId stream = 0;
    Offset from = 0;
    bool redelivery = false;
    std::uint64_t ticket = 0;  // tells a want of before from the present one
  };
  struct Batch {
    Offset base_offset = 0;
    std::uint32_t count = 0;
    std::uint32_t size_bytes = 0;
  };
  struct DeliveredRange {
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

  // The next batch to fetch, and for whom. It is pending until take() or fetch_failed(); meanwhile
  // the other lane (fresh messages, redeliveries) may want a batch, too. Redeliveries get one
  // message in five while both have work.
  std::optional<Want> next_want();

  // Ranges of `batch`, which holds want.from, that go to want.stream now; appended to `out`. They
  // are in flight from here on. As many as the credit allows, at least one while bytes and messages
  // are both above 0; charged as credit_charge(), so that bytes may fall below 0 by a share of one
  // message. Nothing when the want is out of date.
  Taken take(const Want& want, const Batch& batch, TimeUs now_us, std::vector<DeliveredRange>& out);
  // The batch could not be read (now); it is wanted again at the next call.
  void fetch_failed(const Want& want);

  // --- Views
  // -----------------------------------------------------------------------------------------------

  struct Stats {
    Offset floor = 0;
    Offset committed = 0;
    std::uint64_t answered_above_floor = 0;
    std::uint64_t in_flight = 0;
    std::uint64_t waiting_redelivery = 0;
    std::uint64_t skipped = 0;       // since creation
    std::uint64_t lag = 0;           // messages up to committed that are not answered
    std::uint64_t credit_bytes = 0;  // of all streams, debts as 0
    std::uint64_t credit_messages = 0;
  };
  Stats stats() const;
  // Why nothing is delivered; empty when something is.
  std::string_view blocked() const;

  SubscriptionId id() const { return id_; }
  protocol::SubscriptionMode mode() const { return mode_; }
  Offset floor() const { return answered_.floor(); }
  bool attached(StreamId stream) const;
  std::size_t streams() const { return streams_.size(); }

 private:
  struct Stream {
    StreamId id = 0;
    std::int64_t credit_bytes = 0;
    std::uint64_t credit_messages = 0;

    bool has_credit() const { return credit_bytes > 0 && credit_messages > 0; }
  };
  struct Held {
    StreamId stream = 0;
    TimeUs delivered_us = 0;
    bool operator==(const Held&) const = default;
  };
  struct History {  // of messages delivered before and not answered; durable
    std::uint32_t count = 0;
    TimeUs first_delivered_us = 0;
    bool operator==(const History&) const = default;
  };
  struct Lane {
    bool pending = false;
    StreamId stream = 0;
    std::uint64_t ticket = 0;
  };
  struct Delivery {  // of one take()
    Taken taken;
    std::size_t first_range;  // of this take in `out`
    std::vector<DeliveredRange>& out;

    bool full() const {
      return out.size() - first_range >= kMaxRangesPerTake ||
             taken.redeliveries >= kMaxRedeliveriesPerTake;
    }
  };

  Stream* find_stream(StreamId stream);
  Stream* next_stream_with_credit();
  bool resilient() const;

  // Answers (subscription_core.cc).
  Status check_answer(StreamId stream, protocol::AnswerKind kind,
                      std::span<const OffsetRange> ranges) const;
  void settle(Offset first, Offset last, bool skipped);
  void give_back(Offset first, Offset last);
  void give_back_all(StreamId stream);
  void raise_floor(Offset floor);
  void end_lanes_of(StreamId stream);

  // Durable state (subscription_core_state.cc).
  void note_answered(Offset first, Offset last);
  void note_redelivery(const RedeliveryRange& range);
  void note_whole_state();
  void remember(const RedeliveryRange& range);

  // Delivery (subscription_core_delivery.cc).
  Offset next_fresh() const { return answered_.next_missing(next_); }
  std::uint64_t window() const;
  bool may_fetch_fresh() const;
  bool may_fetch_redelivery() const;
  Offset next_redelivery() const;
  std::uint64_t allowance(const Stream& stream, const Batch& batch) const;
  void share(bool redelivery, std::int64_t messages);
  Offset emit(Offset first, Offset last, StreamId stream, TimeUs now_us, Delivery& delivery);
  void take_fresh(const Batch& batch, std::uint64_t allowed, StreamId stream, TimeUs now_us,
                  Delivery& delivery);
  void take_waiting(Offset from, const Batch& batch, std::uint64_t allowed, StreamId stream,
                    TimeUs now_us, Delivery& delivery);

  SubscriptionId id_;
  protocol::SubscriptionMode mode_;

  // Durable.
  OffsetSet answered_;
  RangeMap<History> history_;
  std::uint64_t skipped_ = 0;

  // Not durable.
  RangeMap<Held> held_;
  RangeMap<Nothing> waiting_;
  Offset next_ = 0;
  Offset log_start_ = 0;
  Offset committed_ = 0;
  std::uint64_t attach_epoch_ = 0;
  std::vector<Stream> streams_;
  std::size_t turn_ = 0;  // round robin over streams_
  Lane fresh_, redelivery_;
  std::uint64_t next_ticket_ = 1;
  Offset redelivery_from_ = 0;        // goes round, so that one message cannot starve the others
  std::int64_t redelivery_owed_ = 0;  // fresh messages that passed waiting ones, less their share

  // Changes since the last take_change().
  CursorChange change_;
  bool changed_ = false;
  bool whole_state_ = false;
  std::vector<RangeMap<History>::Entry> scratch_;  // of give_back
};

}  // namespace andyx::server
