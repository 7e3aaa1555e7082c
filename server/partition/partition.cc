#include "server/partition/partition.h"

#include <algorithm>

#include "frame_generated.h"
#include "server/app/log.h"
#include "server/log_ids.h"
#include "server/loop/core_loop.h"
#include "server/partition/due_row.h"
#include "server/partition/state_keys.h"

namespace andyx::server {

Partition::Partition(CoreLoop& loop, std::shared_ptr<const Topic> topic,
                     const PartitionRecord& record, PartitionCore core)
    : loop_(loop),
      id_(record.partition_id),
      topic_id_(topic->id),
      index_(record.index),
      topic_name_(topic->name.path()),
      topic_(std::move(topic)),
      core_(std::move(core)),
      log_(loop, *this, id_, false, {}),
      cache_(loop.cache_budget()),
      cursor_log_(loop, *this, id_),
      due_(loop, *this, core_.end_offset()),
      retention_(loop, *this, core_.end_offset()) {}

Partition::~Partition() = default;

std::string Partition::describe() const {
  return topic_name_ + " partition " + std::to_string(index_);
}

std::uint64_t Partition::stored_bytes() const {
  auto state = loop_.node().shard->log_state(data_log(id_));
  return state ? state->bytes : 0;
}

// ---- Reading ----

const CachedBatch* Partition::cached(Offset offset) const {
  const CachedBatch* found = cache_.find(offset);
  return found != nullptr && found->end_offset <= core_.committed_offset() ? found : nullptr;
}

void Partition::read(ReadRequest request, Reply reply) {
  if (!serving_) return reply.error(not_main());
  if (request.epoch != 0 && request.epoch != core_.epoch()) {
    return reply.error({ErrorCode::kNotMain,
                        describe() + ": the main epoch is " + std::to_string(core_.epoch()) +
                            ", the request is for " + std::to_string(request.epoch),
                        loop_.node().config.node_id});
  }
  if (request.offset < core_.start_offset() || request.offset > core_.committed_offset()) {
    return reply.error({ErrorCode::kOffsetOutOfRange,
                        describe() + ": offset " + std::to_string(request.offset) +
                            " is outside of " + std::to_string(core_.start_offset()) + ".." +
                            std::to_string(core_.committed_offset())});
  }
  if (request.offset == core_.committed_offset() &&
      request.deadline_ms > loop_.net_loop().now_ms()) {
    if (parked_.size() >= limits::kMaxParkedReadsPerPartition) {
      return reply.error(
          {ErrorCode::kOverloaded, describe() + ": too many reads wait for messages"});
    }
    parked_.push_back({request, std::move(reply)});
    loop_.add_parked(id_);
    return;
  }
  answer_read(request, std::move(reply));
}

void Partition::expire_reads(std::uint64_t now_ms) {
  auto expired = std::partition(parked_.begin(), parked_.end(), [&](const ParkedRead& parked) {
    return parked.request.deadline_ms > now_ms;
  });
  std::vector<ParkedRead> reads(std::make_move_iterator(expired),
                                std::make_move_iterator(parked_.end()));
  parked_.erase(expired, parked_.end());
  for (auto& parked : reads) send_read({}, std::move(parked.reply));
  if (!parked_.empty()) loop_.add_parked(id_);
}

void Partition::answer_read(const ReadRequest& request, Reply reply) {
  if (request.offset >= core_.committed_offset()) return send_read({}, std::move(reply));
  std::vector<SharedBytes> batches;
  std::size_t bytes = 0;
  for (auto* batch = cached(request.offset); batch != nullptr; batch = cached(batch->end_offset)) {
    if (!batches.empty() && bytes + batch->bytes.size() > request.max_bytes) break;
    bytes += batch->bytes.size();
    batches.push_back(batch->bytes);
  }
  if (!batches.empty()) return send_read(std::move(batches), std::move(reply));
  read_log(request.offset, request.max_bytes,
           [self = shared_from_this(),
            reply = std::move(reply)](Result<std::vector<SharedBytes>> read) mutable {
             if (!read) return reply.error(read.error());
             self->send_read(std::move(*read), std::move(reply));
           });
}

void Partition::send_read(std::vector<SharedBytes> batches, Reply reply) {
  for (const SharedBytes& batch : batches) traffic_.add_out(batch.size());
  auto correlation_id = reply.correlation_id();
  auto fill = [&](flatbuffers::FlatBufferBuilder& builder, auto vector) {
    auto body = protocol::CreateReadReply(builder, core_.start_offset(), core_.committed_offset(),
                                          core_.epoch(), vector);
    return frame::Body{static_cast<std::uint8_t>(protocol::Body::ReadReply), body.Union()};
  };
  reply.send(frame_writer().write_with_payload(correlation_id, std::move(batches), fill));
}

void Partition::fetch(Offset offset, std::size_t max_bytes, Fetched fetched) {
  auto go_on = [self = shared_from_this(), offset, max_bytes,
                fetched = std::move(fetched)](Result<std::vector<SharedBytes>> read) mutable {
    const Offset start = self->core_.start_offset();
    if (!read && read.error().code == ErrorCode::kOffsetOutOfRange && offset < start) {
      return self->fetch(start, max_bytes, std::move(fetched));
    }
    fetched(std::move(read));
  };
  read_log(offset, max_bytes, std::move(go_on));
}

void Partition::read_log(Offset offset, std::size_t max_bytes, Fetched fetched) {
  auto job = [self = shared_from_this(), offset, max_bytes,
              fetched = std::move(fetched)]() mutable {
    auto read = self->loop_.node().shard->read(data_log(self->id_), offset, max_bytes);
    if (!read) read = fail(read.error().code, self->describe() + ": " + read.error().message);
    auto& loop = self->loop_.net_loop();
    loop.post(
        [self = std::move(self), fetched = std::move(fetched), read = std::move(read)]() mutable {
          if (read) self->drop_uncommitted(*read);
          fetched(std::move(read));
        });
  };
  off_loop(std::move(job));
}

void Partition::off_loop(ReadPool::Job job) { loop_.off_loop(std::move(job)); }

// Storage answers what is durable there, which may be ahead of what this loop has heard of.
void Partition::drop_uncommitted(std::vector<SharedBytes>& batches) const {
  std::erase_if(batches, [this](const SharedBytes& batch) {
    auto header = batch::read_header(batch.span());
    return !header || header->end_offset() > core_.committed_offset();
  });
}

void Partition::resolve(protocol::StartKind kind, std::int64_t value,
                        std::function<void(Result<Offset>)> found) {
  if (!serving_) return found(std::unexpected(not_main()));
  auto clamp = [this](Offset offset) {
    return std::clamp(offset, core_.start_offset(), core_.committed_offset());
  };
  switch (kind) {
    case protocol::StartKind::earliest:
      return found(core_.start_offset());
    case protocol::StartKind::latest:
      return found(core_.committed_offset());
    case protocol::StartKind::offset:
      return found(clamp(static_cast<Offset>(std::max<std::int64_t>(value, 0))));
    case protocol::StartKind::time:
      break;
  }
  if (core_.end_offset() == 0) return found(Offset{0});
  auto job = [self = shared_from_this(), value, found = std::move(found), clamp]() mutable {
    auto offset = self->loop_.node().shard->find_time(data_log(self->id_), value);
    auto& loop = self->loop_.net_loop();
    loop.post([self = std::move(self), offset = std::move(offset), found = std::move(found),
               clamp] { found(offset ? Result<Offset>(clamp(*offset)) : offset); });
  };
  off_loop(std::move(job));
}

// ---- Subscriptions ----

Subscription* Partition::find_subscription(SubscriptionId id) {
  auto found = subscriptions_.find(id);
  return found == subscriptions_.end() ? nullptr : found->second.get();
}

void Partition::set_flowing(Subscription& subscription, bool flowing) {
  const auto found = std::ranges::find(flowing_, &subscription);
  if (flowing == (found != flowing_.end())) return;
  if (flowing)
    flowing_.push_back(&subscription);
  else
    flowing_.erase(found);
}

void Partition::wake_subscription(SubscriptionId id) {
  if (auto* subscription = find_subscription(id)) subscription->resume();
}

void Partition::close_stream(SubscriptionId id, StreamKey key) {
  if (auto* subscription = find_subscription(id)) subscription->close_stream(key);
}

void Partition::when_ready(SubscriptionId id, std::move_only_function<void(Status)> ready) {
  if (!is_main()) return ready(std::unexpected(not_main()));
  if (!serving_) {
    when_serving_.emplace_back(id, std::move(ready));
    return;
  }
  if (auto* subscription = find_subscription(id)) return subscription->when_ready(std::move(ready));
  ready(fail(ErrorCode::kUnknownSubscription, describe() + ": the subscription was deleted"));
}

void Partition::apply_topic(const std::shared_ptr<const Topic>& topic) {
  topic_ = topic;
  fences_ = topic->fences;
  core_.dedup().set_window(topic->effective.dedup_window_ms);
  if (serving_) sync_subscriptions();
  retention_.set_policy(topic->effective.retention);
  if (retention_.active()) watch();
}

void Partition::sync_subscriptions() {
  for (auto it = subscriptions_.begin(); it != subscriptions_.end();) {
    if (topic_->subscriptions.find(it->second->record().name) != nullptr) {
      ++it;
      continue;
    }
    it->second->end(
        {ErrorCode::kUnknownSubscription, describe() + ": the subscription was deleted"});
    cursor_log_.deleted(it->first);
    it = subscriptions_.erase(it);
  }
  for (auto it = topic_->subscriptions.begin(); it != topic_->subscriptions.end(); ++it) {
    if (subscriptions_.contains(it->id)) continue;
    add_subscription(it.item());
  }
}

void Partition::add_subscription(std::shared_ptr<const SubscriptionRecord> record) {
  auto id = record->id;
  auto added = subscriptions_.emplace(id, std::make_unique<Subscription>(*this, std::move(record)));
  start_subscription(*added.first->second);
}

void Partition::start_subscription(const Subscription& subscription) {
  const SubscriptionRecord& record = subscription.record();
  auto start_at = [self = shared_from_this(), id = record.id](Result<Offset> start) {
    auto* found = self->find_subscription(id);
    if (found == nullptr) return;
    if (start)
      found->start_at(*start);
    else
      found->start_failed(start.error());
  };
  // Added to the topic after the subscription: all of it is the subscription's, however late this
  // is asked.
  if (index_ >= record.initial_partitions) return start_at(core_.start_offset());
  resolve(record.start_kind, record.start_value, std::move(start_at));
}

// ---- Deleting ----

void Partition::close_deleted() {
  deleted_ = true;
  const Error gone{ErrorCode::kUnknownTopic, describe() + ": the topic was deleted"};
  fail_everybody(gone, gone);
  log_.stand_down();
  cursor_log_.close(gone);
  due_.close();
  cache_.clear();
  if (writes_under_way_ == 0) free_space();
}

void Partition::fail_everybody(const Error& waiters, const Error& others) {
  waiters_.fail_from(0, [&](Waiter&& waiter) { waiter.fail(waiters); });
  for (auto& [token, waiter] : std::exchange(waiting_, {})) waiter.fail(waiters);
  for (auto& parked : std::exchange(parked_, {})) parked.reply.error(others);
  for (auto& [id, ready] : std::exchange(when_serving_, {})) ready(std::unexpected(others));
  for (auto& [id, subscription] : subscriptions_) subscription->end(others);
  subscriptions_.clear();
  serving_ = false;
}

void Partition::write_begins() { ++writes_under_way_; }

void Partition::write_ended() {
  if (--writes_under_way_ != 0) return;
  if (deleted_) return free_space();
  if (removed_) free_copy();
}

std::vector<storage::StatePut> Partition::delete_rows() const {
  std::vector<storage::StatePut> puts;
  for (std::string key :
       {producer_snapshot_key(id_), cursor_snapshot_key(id_), due_removed_key(id_),
        epochs_row_key(id_, false), epochs_row_key(id_, true), cut_note_key(id_)})
    puts.push_back({storage::Table::kCursor, std::move(key), std::nullopt});
  return puts;
}

void Partition::free_space() {
  auto& shard = *loop_.node().shard;
  for (auto log : {data_log(id_), internal_log(id_)}) {
    if (!shard.log_state(log)) continue;
    if (auto dropped = shard.drop_log(log); !dropped) {
      log::warn("log not dropped", {{"partition", describe()}, {"error", dropped.error().message}});
    }
  }
  loop_.writes().add({}, delete_rows(), [](ErrorCode) {}, Awaited::kNo);
  due_.remove_all();
}

}  // namespace andyx::server
