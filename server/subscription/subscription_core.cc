// Streams and the partition's events. See also subscription_core_answers.cc (answers), _state.cc
// (what is durable), _delivery.cc and _keyed.cc (what goes to whom), _time.cc, _delayed.cc,
// _dead.cc, _views.cc.
#include "server/subscription/subscription_core.h"

#include <algorithm>
#include <cassert>
#include <string>

#include "common_generated.h"
#include "protocol/base/planted.h"
#include "server/subscription/subscription_core_parts.h"

namespace andyx::server {

namespace {

Status check_credit(std::uint64_t bytes, std::uint64_t messages) {
  if (bytes > limits::kMaxCreditBytes || messages > limits::kMaxCreditMessages)
    return fail(ErrorCode::kCreditOverflow,
                "credit of " + std::to_string(bytes) + " bytes and " + std::to_string(messages) +
                    " messages; at most " + std::to_string(limits::kMaxCreditBytes) + " and " +
                    std::to_string(limits::kMaxCreditMessages) + " are possible");
  return {};
}

}  // namespace

SubscriptionCore::SubscriptionCore(SubscriptionId id, protocol::SubscriptionType type,
                                   protocol::SubscriptionMode mode, bool key_ordered)
    : id_(id), type_(type), mode_(mode), deadline_us_(kNever) {
  if (key_ordered && !resilient()) keys_ = std::make_unique<KeyOrder>();
}

SubscriptionCore::~SubscriptionCore() = default;
SubscriptionCore::SubscriptionCore(SubscriptionCore&&) noexcept = default;
SubscriptionCore& SubscriptionCore::operator=(SubscriptionCore&&) noexcept = default;

bool SubscriptionCore::resilient() const { return mode_ == protocol::SubscriptionMode::resilient; }

void SubscriptionCore::committed(Offset offset) { committed_ = std::max(committed_, offset); }

void SubscriptionCore::log_start_advanced(Offset start) {
  assert(start <= committed_);
  log_start_ = std::max(log_start_, start);
  raise_floor(log_start_);
}

Result<std::vector<StreamId>> SubscriptionCore::reset(Offset to) {
  if (to < log_start_ || to > committed_)
    return fail(ErrorCode::kOffsetOutOfRange,
                "reset to " + std::to_string(to) + "; the partition holds " +
                    std::to_string(log_start_) + " up to " + std::to_string(committed_));
  std::vector<StreamId> ended;
  for (const Stream& stream : streams_) ended.push_back(stream.id);
  streams_.clear();
  able_ = 0;
  fresh_.pending = redelivery_.pending = false;
  held_.clear();
  waiting_.clear();
  if (keys_) keys_->clear();
  if (rare_) {
    rare_->later.clear();
    rare_->dead.clear();
    rare_->matured.clear();
    rare_->maturing.clear();
    rare_->delayed = 0;
  }
  answered_.reset(to);
  forget_history(0, kNoOffset);
  next_ = start_ = to;
  deadline_us_ = kNever;
  streams_changed();
  note_whole_state();
  return ended;
}

Result<SubscriptionCore::Attached> SubscriptionCore::attach(StreamId stream,
                                                            const StreamOptions& options, Now now) {
  assert(stream != KeyOrder::kAnybody);
  const bool superseded =
      options.attach_epoch < attach_epoch_ && !planted(PlantedBug::kStaleAttachAccepted);
  if (superseded || (options.attach_epoch <= retired_epoch_ && retired_epoch_ > 0))
    return fail(ErrorCode::kStaleAttach, "attach epoch " + std::to_string(options.attach_epoch) +
                                             "; epoch " + std::to_string(attach_epoch_) +
                                             " has taken over");
  if (auto fits = check_credit(options.credit_bytes, options.credit_messages); !fits)
    return std::unexpected(std::move(fits.error()));
  detach(stream, now);
  Attached attached;
  if (options.attach_epoch > attach_epoch_) {
    for (const Stream& older : streams_)
      if (!older.retired) attached.ended.push_back(older.id);
    for (const StreamId older : attached.ended) detach(older, now);
  }
  attach_epoch_ = options.attach_epoch;
  const auto place = std::lower_bound(streams_.begin(), streams_.end(), stream,
                                      [](const Stream& s, StreamId id) { return s.id < id; });
  Stream& added = *streams_.insert(
      place, Stream{.id = stream,
                    .attach_epoch = options.attach_epoch,
                    .credit_bytes = static_cast<std::int64_t>(options.credit_bytes),
                    .credit_messages = options.credit_messages,
                    .ack_timeout_us = options.ack_timeout_us,
                    .max_deliveries = options.max_deliveries,
                    .draining = revoked_epoch_ > 0 && options.attach_epoch <= revoked_epoch_});
  able_ += added.able();
  streams_changed();
  attached.floor = answered_.floor();
  attached.committed = committed_;
  return attached;
}

void SubscriptionCore::detach(StreamId stream, Now now) {
  Stream* found = find_stream(stream);
  if (found == nullptr) return;
  give_back_all(*found, now);
  able_ -= found->able();
  streams_.erase(streams_.begin() + (found - streams_.data()));
  streams_changed();
}

Status SubscriptionCore::credit(StreamId stream, std::uint64_t bytes, std::uint64_t messages) {
  Stream* found = find_stream(stream);
  if (found == nullptr)
    return fail(ErrorCode::kUnknownStream, "credit for a stream that is not attached");
  if (auto fits = check_credit(bytes, messages); !fits) return fits;
  const std::int64_t sum = found->credit_bytes + static_cast<std::int64_t>(bytes);
  if (auto fits = check_credit(static_cast<std::uint64_t>(std::max<std::int64_t>(sum, 0)),
                               found->credit_messages + messages);
      !fits)
    return fits;
  change_stream(*found, [&] {
    found->credit_bytes = sum;
    found->credit_messages += messages;
  });
  return {};
}

void SubscriptionCore::pause(StreamId stream, bool paused) {
  if (Stream* found = find_stream(stream)) change_stream(*found, [&] { found->paused = paused; });
}

void SubscriptionCore::revoke(std::uint64_t attach_epoch) {
  revoked_epoch_ = std::max(revoked_epoch_, attach_epoch);
  for (Stream& stream : streams_)
    if (stream.attach_epoch <= attach_epoch) change_stream(stream, [&] { stream.draining = true; });
  streams_changed();
}

bool SubscriptionCore::drained(std::uint64_t attach_epoch) const {
  return std::none_of(streams_.begin(), streams_.end(), [&](const Stream& stream) {
    return stream.attach_epoch <= attach_epoch && stream.held > 0;
  });
}

void SubscriptionCore::retire(std::uint64_t attach_epoch, Now now) {
  retired_epoch_ = std::max(retired_epoch_, attach_epoch);
  for (Stream& stream : streams_) {
    if (stream.attach_epoch > attach_epoch) continue;
    stream.owes |= stream.held > 0;
    give_back_all(stream, now);
    change_stream(stream, [&] { stream.retired = true; });
  }
  streams_changed();
}

std::vector<StreamId> SubscriptionCore::end_retired() {
  std::size_t owing = 0;
  for (const Stream& stream : streams_) owing += stream.retired && stream.owes;
  std::vector<StreamId> ended;
  std::erase_if(streams_, [&](const Stream& stream) {
    if (!stream.retired || (stream.owes && owing <= limits::kMaxRetiredStreams)) return false;
    owing -= stream.owes;
    ended.push_back(stream.id);
    return true;
  });
  return ended;
}

bool SubscriptionCore::attached(StreamId stream) const {
  return const_cast<SubscriptionCore*>(this)->find_stream(stream) != nullptr;
}

SubscriptionCore::Stream* SubscriptionCore::find_stream(StreamId stream) {
  const auto found = std::lower_bound(streams_.begin(), streams_.end(), stream,
                                      [](const Stream& s, StreamId id) { return s.id < id; });
  return found == streams_.end() || found->id != stream ? nullptr : &*found;
}

// Who takes part in the order of keys.
void SubscriptionCore::streams_changed() {
  if (!keys_) return;
  std::vector<StreamId> live;
  for (const Stream& stream : streams_)
    if (stream.live()) live.push_back(stream.id);
  keys_->set_streams(std::move(live));
}

}  // namespace andyx::server
