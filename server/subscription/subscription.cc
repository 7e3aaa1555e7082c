#include "server/subscription/subscription.h"

#include <algorithm>
#include <cassert>

#include "frame_generated.h"
#include "protocol/batch/batch_slice.h"
#include "server/app/log.h"
#include "server/loop/core_loop.h"
#include "server/partition/partition.h"

namespace andyx::server {
namespace {

constexpr std::size_t kPumpBytes = 1 * limits::kMiB;     // in one turn of the loop
constexpr std::size_t kFrameBytes = 256 * limits::kKiB;  // a Deliver frame is sent at this size
constexpr std::size_t kReadAheadBytes = 1 * limits::kMiB;

}  // namespace

// The Deliver frame under construction, of one stream.
struct Subscription::Outgoing {
  StreamId stream = 0;
  std::vector<SharedBytes> batches;
  std::vector<protocol::OffsetRange> ranges;
  std::vector<protocol::Redelivery> redeliveries;
  std::uint64_t charged_bytes = 0;
  std::size_t bytes = 0;

  void add(const std::vector<SubscriptionCore::DeliveredRange>& taken) {
    for (const auto& range : taken) {
      ranges.emplace_back(range.first, range.last);
      if (range.delivered_before == 0) continue;
      for (Offset offset = range.first; offset <= range.last; ++offset) {
        redeliveries.emplace_back(offset, range.first_delivered_us, range.delivered_before);
      }
    }
  }
};

Subscription::Subscription(Partition& partition, std::shared_ptr<const SubscriptionRecord> record)
    : partition_(partition), record_(std::move(record)), core_(record_->id, record_->mode) {}

Subscription::~Subscription() = default;

// ---- Its start ----

void Subscription::recovered() {
  started_ = true;
  core_.open(partition_.core().start_offset(), partition_.core().committed_offset());
  become_ready({});
}

void Subscription::start_at(Offset offset) {
  started_ = true;
  core_.create(offset);
  core_.open(partition_.core().start_offset(), partition_.core().committed_offset());
  make_start_durable();
}

void Subscription::make_start_durable() {
  partition_.cursor_log().changed(core_.id(),
                                  [this, alive = std::weak_ptr(alive_)](Status durable) {
                                    if (!alive.expired()) become_ready(std::move(durable));
                                  });
}

void Subscription::start_failed(const Error& error) { become_ready(std::unexpected(error)); }

void Subscription::become_ready(Status status) {
  ready_ = status.has_value();
  start_failed_ = !ready_;
  for (auto& waiting : std::exchange(when_ready_, {})) waiting(status);
}

void Subscription::when_ready(std::move_only_function<void(Status)> ready) {
  if (ready_) return ready({});
  when_ready_.push_back(std::move(ready));
  if (!std::exchange(start_failed_, false)) return;
  if (started_) {
    make_start_durable();
  } else {
    partition_.start_subscription(*this);
  }
}

// ---- Streams ----

void Subscription::open_stream(StreamTarget target, std::uint64_t attach_epoch,
                               std::uint64_t credit_bytes, std::uint64_t credit_messages,
                               Reply reply) {
  const StreamKey key{target.connection_id, target.stream};
  if (attach_epoch <= revoked_epoch_) {
    return reply.error({ErrorCode::kStaleAttach,
                        partition_.describe() + " goes to another consumer of " + record_->name});
  }
  StreamId id = next_stream_id_++;
  auto attached = core_.attach(id, attach_epoch, credit_bytes, credit_messages);
  if (!attached) return reply.error(attached.error());
  const Error taken_over{ErrorCode::kStaleAttach,
                         "another consumer has attached to " + record_->name};
  for (StreamId ended : attached->ended) end_stream(ended, taken_over);
  newest_epoch_ = attach_epoch;
  streams_.emplace(id, Stream{std::move(target)});
  stream_ids_[key] = id;
  note_changes();
  reply.body(protocol::Body::StreamOpenReply, [&](flatbuffers::FlatBufferBuilder& builder) {
    return protocol::CreateStreamOpenReply(builder, attached->floor, attached->committed);
  });
  pump_later();
}

StreamId Subscription::find_stream(StreamKey key) const {
  auto found = stream_ids_.find(key);
  return found == stream_ids_.end() ? 0 : found->second;
}

void Subscription::close_stream(StreamKey key) {
  auto found = stream_ids_.find(key);
  if (found == stream_ids_.end()) return;
  core_.detach(found->second);
  streams_.erase(found->second);
  stream_ids_.erase(found);
  if (streams_.empty()) read_ahead_ = {};
  note_changes();
  pump_later();
}

// The core has let go of it already.
void Subscription::end_stream(StreamId id, const Error& reason) {
  auto found = streams_.find(id);
  if (found == streams_.end()) return;
  StreamTarget target = std::move(found->second.target);
  streams_.erase(found);
  stream_ids_.erase({target.connection_id, target.stream});
  target.home->push(target, frame_writer().write(0, [&](flatbuffers::FlatBufferBuilder& builder) {
    auto error = make_error(builder, reason);
    auto body = protocol::CreateStreamClosed(builder, target.stream, error);
    return frame::Body{static_cast<std::uint8_t>(protocol::Body::StreamClosed), body.Union()};
  }));
}

void Subscription::end_all_streams(const Error& reason) {
  while (!streams_.empty()) {
    StreamId id = streams_.begin()->first;
    core_.detach(id);
    end_stream(id, reason);
  }
}

void Subscription::revoke(std::uint64_t attach_epoch, std::move_only_function<void()> drained) {
  revoked_epoch_ = std::max(revoked_epoch_, attach_epoch);
  if (newest_epoch_ <= attach_epoch) {
    end_all_streams({ErrorCode::kStaleAttach,
                     partition_.describe() + " goes to another consumer of " + record_->name});
    note_changes();
  }
  drained();
}

void Subscription::credit(StreamKey key, std::uint64_t bytes, std::uint64_t messages) {
  StreamId id = find_stream(key);
  if (id == 0) return;  // it has just been closed
  if (auto added = core_.credit(id, bytes, messages); !added) {
    core_.detach(id);
    end_stream(id, added.error());
    note_changes();
  }
  pump_later();
}

void Subscription::answer(StreamKey key, protocol::AnswerKind kind,
                          std::span<const OffsetRange> ranges, Reply reply) {
  StreamId id = find_stream(key);
  if (id == 0)
    return reply.error(
        {ErrorCode::kUnknownStream, partition_.describe() + ": the stream is not open"});
  if (auto answered = core_.answer(id, kind, ranges); !answered)
    return reply.error(answered.error());
  partition_.cursor_log().changed(core_.id(), [reply = std::move(reply)](Status durable) mutable {
    if (durable)
      reply.done();
    else
      reply.error(durable.error());
  });
  pump_later();
}

void Subscription::reset(Offset to, std::move_only_function<void(Status)> done) {
  auto ended = core_.reset(to);
  if (!ended) return done(std::unexpected(ended.error()));
  for (StreamId id : *ended)
    end_stream(id, {ErrorCode::kStaleAttach, record_->name + " was reset: attach again"});
  read_ahead_ = {};
  partition_.cursor_log().changed(core_.id(), std::move(done));
}

void Subscription::note_changes() {
  if (core_.has_change()) partition_.cursor_log().changed(core_.id(), nullptr);
}

// ---- Delivering ----

void Subscription::committed(Offset offset) {
  if (!started_) return;
  core_.committed(offset);
  if (!streams_.empty()) pump_later();
}

void Subscription::pump_later() {
  if (std::exchange(pump_scheduled_, true)) return;
  partition_.loop().net_loop().at_end_of_turn([this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    pump_scheduled_ = false;
    pump();
  });
}

void Subscription::pump() {
  if (!ready_) return;
  Outgoing out;
  std::size_t sent = 0;
  while (auto want = core_.next_want()) {
    auto& target = streams_.at(want->stream).target;
    if (!gate_open(*target.gate)) {
      core_.fetch_failed(*want);
      break;
    }
    if (sent >= kPumpBytes) {  // others on this loop have their turn
      core_.fetch_failed(*want);
      partition_.loop().net_loop().post([this, alive = std::weak_ptr(alive_)] {
        if (!alive.expired()) pump();
      });
      break;
    }
    auto batch = find_batch(*want);
    if (batch.empty()) {
      fetch(*want);
      continue;
    }
    sent += deliver(*want, std::move(batch), out);
  }
  flush(out);
}

// False: the connection has enough to send; it wakes this subscription when that is over.
bool Subscription::gate_open(DeliveryGate& gate) {
  if (gate.open()) return true;
  gate.someone_waits.store(true);
  return gate.open();
}

SharedBytes Subscription::find_batch(const SubscriptionCore::Want& want) {
  if (const CachedBatch* cached = partition_.cached(want.from)) return cached->bytes;
  auto& ahead = read_ahead_[want.redelivery];
  while (!ahead.empty()) {
    auto header = batch::read_header(ahead.front().span());
    if (header && header->base_offset <= want.from && want.from < header->end_offset())
      return ahead.front();
    ahead.pop_front();
  }
  return {};
}

std::size_t Subscription::deliver(const SubscriptionCore::Want& want, SharedBytes batch,
                                  Outgoing& out) {
  auto header = batch::read_header(batch.span());
  assert(header && header->base_offset <= want.from && want.from < header->end_offset());
  // One message at a time: the others of its batch would travel in vain.
  if (core_.mode() == protocol::SubscriptionMode::resilient && header->count > 1) {
    auto slice = batch::slice_batch(batch.span(),
                                    static_cast<std::uint32_t>(want.from - header->base_offset), 1);
    if (!slice) {
      core_.detach(want.stream);
      end_stream(want.stream, slice.error());
      return 0;
    }
    batch = std::move(*slice);
    header = batch::read_header(batch.span());
  }
  const std::size_t bytes = batch.size();
  if (out.stream != want.stream || out.bytes + bytes > kFrameBytes ||
      out.ranges.size() >= limits::kMaxRangesPerAnswer ||
      out.redeliveries.size() >= limits::kMaxRangesPerAnswer) {
    flush(out);
  }
  taken_.clear();
  auto taken = core_.take(want, {header->base_offset, header->count, header->size_bytes},
                          net::wall_time_us(), taken_);
  if (taken.messages == 0) return 0;
  out.stream = want.stream;
  out.charged_bytes += credit_charge(header->size_bytes, header->count, taken.messages);
  out.add(taken_);
  out.bytes += bytes;
  out.batches.push_back(std::move(batch));
  return bytes;
}

void Subscription::flush(Outgoing& out) {
  if (out.batches.empty()) return;
  const StreamTarget& target = streams_.at(out.stream).target;
  auto fill = [&](flatbuffers::FlatBufferBuilder& builder, auto vector) {
    auto ranges = builder.CreateVectorOfStructs(out.ranges);
    auto redeliveries =
        out.redeliveries.empty()
            ? flatbuffers::Offset<flatbuffers::Vector<const protocol::Redelivery*>>{}
            : builder.CreateVectorOfStructs(out.redeliveries);
    auto body = protocol::CreateDeliver(builder, target.stream, ranges, redeliveries, vector,
                                        out.charged_bytes);
    return frame::Body{static_cast<std::uint8_t>(protocol::Body::Deliver), body.Union()};
  };
  target.home->push(target, frame_writer().write_with_payload(0, std::move(out.batches), fill));
  out = {};
}

void Subscription::fetch(const SubscriptionCore::Want& want) {
  partition_.fetch(
      want.from, kReadAheadBytes,
      [this, alive = std::weak_ptr(alive_), want](Result<std::vector<SharedBytes>> read) {
        if (!alive.expired()) fetched(want, std::move(read));
      });
}

void Subscription::fetched(const SubscriptionCore::Want& want,
                           Result<std::vector<SharedBytes>> read) {
  if (read && !read->empty()) {
    read_ahead_[want.redelivery].assign(std::make_move_iterator(read->begin()),
                                        std::make_move_iterator(read->end()));
    core_.fetch_failed(want);  // wanted again at once, and found in the read-ahead
    pump();
    return;
  }
  Error error = read ? Error{ErrorCode::kInternal, partition_.describe() + ": offset " +
                                                       std::to_string(want.from) +
                                                       " is committed and was not found"}
                     : read.error();
  log::error("messages cannot be read", {{"partition", partition_.describe()},
                                         {"subscription", record_->name},
                                         {"offset", want.from},
                                         {"error", error.message}});
  core_.fetch_failed(want);
  core_.detach(want.stream);
  end_stream(want.stream, error);
  note_changes();
}

}  // namespace andyx::server
