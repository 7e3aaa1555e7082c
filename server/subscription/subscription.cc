#include "server/subscription/subscription.h"

#include <algorithm>
#include <cassert>

#include "frame_generated.h"
#include "protocol/batch/batch_slice.h"
#include "server/app/log.h"
#include "server/loop/core_loop.h"
#include "server/partition/partition.h"

namespace andyx::server {

Subscription::Subscription(Partition& partition, std::shared_ptr<const SubscriptionRecord> record)
    : partition_(partition),
      record_(std::move(record)),
      core_(record_->id, record_->type, record_->mode, record_->key_ordered),
      dead_letters_(partition_, *record_, core_, [this] {
        note_changes();
        pump_later();
      }) {}

Subscription::~Subscription() { partition_.set_flowing(*this, false); }

SubscriptionCore& Subscription::core() {
  if (started_) core_.committed(partition_.core().committed_offset());
  return core_;
}

void Subscription::streams_changed() { partition_.set_flowing(*this, !streams_.empty()); }

Now Subscription::now() const {
  return {net::wall_time_us(), static_cast<TimeUs>(partition_.loop().net_loop().now_ms()) * 1'000};
}

// ---- Its start ----

void Subscription::recovered() {
  started_ = true;
  core_.open(partition_.core().start_offset(), partition_.core().committed_offset(), now());
  become_ready({});
  pump_later();  // what a restart has left: delays, a round of dead letters
}

void Subscription::start_at(Offset offset) {
  started_ = true;
  core_.create(offset, partition_.due_index().removed_to());
  core_.open(partition_.core().start_offset(), partition_.core().committed_offset(), now());
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
  if (ready_) durable_due_cursor_ = core_.due_cursor();
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

void Subscription::open_stream(StreamTarget target, SubscriptionCore::StreamOptions options,
                               Reply reply) {
  if (options.max_deliveries > 0 && is_dead_letter_topic(partition_.topic_name()))
    options.max_deliveries = 0;  // a dead-letter topic has none of its own
  const StreamKey key{target.connection_id, target.stream};
  StreamId id = next_stream_id_++;
  auto attached = core().attach(id, options, now());
  if (!attached) return reply.error(attached.error());
  const Error taken_over{ErrorCode::kStaleAttach,
                         "another consumer has attached to " + record_->name};
  for (StreamId ended : attached->ended) end_stream(ended, taken_over);
  streams_.emplace(id, Stream{.target = std::move(target)});
  stream_ids_[key] = id;
  streams_changed();
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
  core_.detach(found->second, now());
  streams_.erase(found->second);
  stream_ids_.erase(found);
  streams_changed();
  if (streams_.empty()) read_ahead_ = {};
  check_drains();
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
  streams_changed();
  target.home->push(target, frame_writer().write(0, [&](flatbuffers::FlatBufferBuilder& builder) {
    auto error = make_error(builder, reason);
    auto body = protocol::CreateStreamClosed(builder, target.stream, error);
    return frame::Body{static_cast<std::uint8_t>(protocol::Body::StreamClosed), body.Union()};
  }));
}

void Subscription::end_all_streams(const Error& reason) {
  while (!streams_.empty()) {
    StreamId id = streams_.begin()->first;
    core_.detach(id, now());
    end_stream(id, reason);
  }
}

void Subscription::end(const Error& reason) {
  end_all_streams(reason);
  for (auto& waiting : std::exchange(when_ready_, {})) waiting(std::unexpected(reason));
  for (Drain& drain : std::exchange(drains_, {})) drain.drained();
}

void Subscription::revoke(std::uint64_t attach_epoch, std::move_only_function<void()> drained) {
  core_.revoke(attach_epoch);
  const std::uint64_t until_ms = partition_.loop().net_loop().now_ms() + limits::kDrainTimeoutMs;
  drains_.push_back({attach_epoch, until_ms, std::move(drained)});
  check_drains();
  arm();
}

void Subscription::credit(StreamKey key, std::uint64_t bytes, std::uint64_t messages) {
  StreamId id = find_stream(key);
  if (id == 0) return;  // it has just been closed
  if (auto added = core_.credit(id, bytes, messages); !added) {
    core_.detach(id, now());
    end_stream(id, added.error());
    note_changes();
  }
  pump_later();
}

void Subscription::answer(StreamKey key, protocol::AnswerKind kind,
                          std::span<const OffsetRange> ranges, std::uint64_t delay_ms,
                          Reply reply) {
  StreamId id = find_stream(key);
  if (id == 0)
    return reply.error(
        {ErrorCode::kUnknownStream, partition_.describe() + ": the stream is not open"});
  if (auto answered = core_.answer(id, kind, ranges, delay_ms * 1'000, now()); !answered)
    return reply.error(answered.error());
  if (kind == protocol::AnswerKind::extend) return reply.done();
  partition_.cursor_log().changed(core_.id(), [reply = std::move(reply)](Status durable) mutable {
    if (durable)
      reply.done();
    else
      reply.error(durable.error());
  });
  check_drains();
  pump_later();
}

void Subscription::reset(Offset to, std::move_only_function<void(Status)> done) {
  auto ended = core().reset(to);
  if (!ended) return done(std::unexpected(ended.error()));
  for (StreamId id : *ended)
    end_stream(id, {ErrorCode::kStaleAttach, record_->name + " was reset: attach again"});
  read_ahead_ = {};
  check_drains();
  partition_.cursor_log().changed(core_.id(), std::move(done));
}

void Subscription::note_changes() {
  if (core_.has_change()) partition_.cursor_log().changed(core_.id(), nullptr);
}

void Subscription::committed(Offset offset) {
  core_.committed(offset);
  pump_later();
}

void Subscription::log_start_advanced(Offset start) {
  if (!started_) return;
  core().log_start_advanced(start);
  read_ahead_ = {};
  note_changes();
  pump_later();
}

}  // namespace andyx::server
