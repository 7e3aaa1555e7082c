// The thread's side of a producer: what the core decides is sent, stamped, told.
#include <algorithm>
#include <cassert>

#include "clients/cpp/src/batch_stamp.h"
#include "clients/cpp/src/producer_impl.h"

namespace andyx::client {
namespace {

constexpr std::uint64_t kRefreshMs = 1'000;

}  // namespace

// ---- Opening and ending ----

void ProducerImpl::begin(std::move_only_function<void(Result<bool>)> done) {
  linger_timer_ = client_->loop().timer();
  timer_ = client_->loop().timer();
  refresh_timer_ = client_->loop().timer();
  reclaim_timer_ = client_->loop().timer();
  client_->cluster().topic(
      topic_, true,
      [self = shared_from_this(), done = std::move(done)](Result<TopicMetadata> topic) mutable {
        if (!topic) return done(std::unexpected(topic.error()));
        if (!self->options_.idempotent) {
          self->opened(*topic);
          return done(true);
        }
        auto go_on = [self, topic = *topic,
                      done = std::move(done)](Result<batch::ProducerStamp> stamp) mutable {
          if (!stamp) return done(std::unexpected(stamp.error()));
          self->identity_ = *stamp;
          self->opened(topic);
          done(true);
        };
        if (!self->named()) return self->open_anonymous(std::move(go_on));
        self->session_ = self->options_.session;
        while (self->session_ == 0) self->session_ = self->client_->cluster().random();
        self->place_held_ = false;
        self->home_ = topic->partitions.front().main;
        self->open_named(std::move(go_on));
      });
}

void ProducerImpl::open_anonymous(OnIdentity done) {
  auto fill = [](flatbuffers::FlatBufferBuilder& builder) {
    return body_of(protocol::Body::ProducerOpen, protocol::CreateProducerOpen(builder));
  };
  client_->cluster().call(
      0, std::move(fill), Cluster::Repeat::kYes, [done = std::move(done)](Reply reply) mutable {
        if (!reply) return done(std::unexpected(Error(reply.error())));
        const auto* opened = reply->frame->body_as_ProducerOpenReply();
        if (opened == nullptr)
          return done(fail(ErrorCode::kInternal, "the answer to producer open is none"));
        done(batch::ProducerStamp{.producer_id = opened->producer_id(),
                                  .producer_epoch = opened->producer_epoch()});
      });
}

void ProducerImpl::opened(const TopicMetadata& topic) {
  grow(topic.partitions.size());
  client_->remember(shared_from_this());
  refreshed(topic);
}

// Partitions that came into being. Callers may choose them once their lanes are there.
void ProducerImpl::grow(std::size_t partitions) {
  const auto& client = client_->options();
  while (lanes_.size() < partitions) {
    lanes_.push_back({.core = ProducerCore({.max_in_flight = options_.max_in_flight_batches,
                                            .idempotent = options_.idempotent,
                                            .delivery_timeout_ms = options_.delivery_timeout_ms,
                                            .backoff_min_ms = client.backoff_min_ms,
                                            .backoff_max_ms = client.backoff_max_ms,
                                            .doubt_ms = client.doubt_ms,
                                            .seed = client_->cluster().random()}),
                      .batches = {},
                      .route = {}});
  }
  std::lock_guard lock(mutex_);
  while (slots_.size() < lanes_.size()) {
    slots_.push_back({.builder = batch::BatchBuilder(options_.compression),
                      .stamp = identity_,
                      .callbacks = {}});
  }
  turns_.grow(static_cast<std::uint32_t>(slots_.size()),
              static_cast<std::uint32_t>(client_->cluster().random()));
}

void ProducerImpl::end(const Error& reason) {
  if (std::exchange(ended_, true)) return;
  {
    std::lock_guard lock(mutex_);
    closed_ = reason;
    seal_all();
  }
  take_ready();
  give_up(reason, true);
  leave([] {});
  for (auto* link : links_) link->remove_user(this);
  linger_timer_.reset();
  timer_.reset();
  refresh_timer_.reset();
  reclaim_timer_.reset();
  client_->forget(shared_from_this());
}

void ProducerImpl::give_up(const Error& reason, bool for_good) {
  for (std::uint32_t partition = 0; partition < lanes_.size(); ++partition) {
    lanes_[partition].core.give_up(reason, for_good);
    run(partition);
  }
}

// Fenced, or deleted: everything fails, and what comes later is refused.
void ProducerImpl::fail_for_good(const Error& reason) {
  {
    std::lock_guard lock(mutex_);
    if (!failed_) failed_ = reason;
  }
  give_up(reason, true);
  std::lock_guard lock(mutex_);
  changed_.notify_all();
}

// ---- Batches ----

void ProducerImpl::linger_is_over() {
  std::lock_guard lock(mutex_);
  linger_armed_ = false;
  seal_all();
}

void ProducerImpl::take_ready() {
  std::vector<Batch> ready;
  {
    std::lock_guard lock(mutex_);
    ready.swap(ready_);
  }
  const auto now_ms = client_->loop().now_ms();
  for (auto& batch : ready) {
    const auto partition = batch.partition;
    auto& lane = lanes_[partition];
    lane.batches.push_back(std::move(batch));
    lane.core.add(now_ms);
    run(partition);
  }
  // Partitions may have been added: a look about once a second, while there is traffic.
  if (!ready.empty() && now_ms - refreshed_at_ms_ >= kRefreshMs) refresh();
}

void ProducerImpl::run(std::uint32_t partition) {
  auto& core = lanes_[partition].core;
  for (auto actions = core.take_actions(); !actions.empty(); actions = core.take_actions()) {
    for (const auto& action : actions) {
      std::visit([&](const auto& one) { act(partition, one); }, action);
    }
  }
  if (!ended_) arm_timer_for(core);
}

void ProducerImpl::act(std::uint32_t partition, const ProducerCore::Send& action) {
  auto& lane = lanes_[partition];
  const auto& batch = lane.batches[action.id - lane.first_id];
  const auto acks = static_cast<protocol::Acks>(options_.acks);
  lane.link->call_with_payload(
      batch.bytes,
      [&, this](flatbuffers::FlatBufferBuilder& builder, auto bytes) {
        return body_of(protocol::Body::Produce,
                       protocol::CreateProduce(builder, topic_id_, partition, lane.route.epoch(),
                                               acks, bytes));
      },
      [self = shared_from_this(), partition, id = action.id,
       generation = lane.generation](Reply reply) {
        if (self->lanes_[partition].generation != generation) return;
        self->replied(partition, id, std::move(reply));
      });
}

void ProducerImpl::replied(std::uint32_t partition, BatchId id, Reply reply) {
  auto& lane = lanes_[partition];
  const auto now_ms = client_->loop().now_ms();
  if (reply) {
    const auto* stored = reply->frame->body_as_ProduceReply();
    if (stored != nullptr) {
      lane.route.served(lane.node, stored->main_epoch());
      lane.core.answered(id,
                         ProducerCore::Success{.base_offset = stored->base_offset(),
                                               .append_time_us = stored->append_time_us(),
                                               .main_epoch = stored->main_epoch(),
                                               .copies = stored->copies()},
                         now_ms);
    } else {
      lane.core.answered(
          id,
          ProducerCore::Refusal{.error = {ErrorCode::kInternal, "the answer to produce is none"},
                                .stored = Storedness::kMaybeStored},
          now_ms);
    }
  } else if (reply.error().code == ErrorCode::kDuplicateMessage &&
             !reply.error().duplicates.empty()) {
    const bool all = drop_repeated(partition, id, reply.error().duplicates);
    lane.core.answered(id, ProducerCore::Repeated{.all = all}, now_ms);
  } else if (reply.error().code == ErrorCode::kProducerFenced) {
    fail_for_good(reply.error());
  } else if (reply.error().code != ErrorCode::kConnectionLost) {  // else link_down tells the core
    const auto& error = reply.error();
    if (error.code == ErrorCode::kNotMain) lane.route.redirected(lane.node, error.node);
    lane.core.answered(id,
                       ProducerCore::Refusal{.error = error,
                                             .stored = error.stored,
                                             .retriable = error.retriable,
                                             .retry_after_ms = error.retry_after_ms},
                       now_ms);
  }
  run(partition);
  if (!ended_) place(partition);
}

void ProducerImpl::act(std::uint32_t partition, const ProducerCore::Stored& action) {
  ++lanes_[partition].stored;
  const auto offset = options_.acks == Acks::kNone ? kNoOffset : action.success.base_offset;
  resolve(partition, action.id,
          Delivered{.partition = partition,
                    .offset = offset,
                    .append_time_us = action.success.append_time_us,
                    .copies = action.success.copies});
}

void ProducerImpl::act(std::uint32_t partition, const ProducerCore::Failed& action) {
  resolve(partition, action.id, std::unexpected(SendError{action.error, action.stored}));
}

void ProducerImpl::resolve(std::uint32_t partition, BatchId id, const SendOutcome& outcome) {
  auto& lane = lanes_[partition];
  auto& batch = lane.batches[id - lane.first_id];
  BatchOutcome told{.partition = partition,
                    .count = batch.count,
                    .size_bytes = batch.bytes.size(),
                    .first_time_us = batch.first_time_us,
                    .base_offset = outcome ? outcome->offset : kNoOffset,
                    .append_time_us = outcome ? outcome->append_time_us : 0,
                    .copies = outcome ? outcome->copies : 0,
                    .error = outcome ? nullptr : &outcome.error()};
  const auto charged_bytes = batch.charged_bytes;
  auto callbacks = std::move(batch.callbacks);
  batch.bytes = {};
  batch.resolved = true;
  std::uint64_t resolved = 0;
  while (!lane.batches.empty() && lane.batches.front().resolved) {
    lane.batches.pop_front();
    ++lane.first_id;
    ++resolved;
  }
  // Told first, so that flush() returns after the callbacks.
  if (options_.on_batch && told.count > 0) options_.on_batch(told);
  for (auto& [index, callback] : callbacks) {
    if (!outcome) {
      callback(outcome);
      continue;
    }
    Delivered delivered = *outcome;
    if (delivered.offset != kNoOffset) delivered.offset += index;
    callback(delivered);
  }

  std::lock_guard lock(mutex_);
  stats_.buffered_bytes -= charged_bytes;
  stats_.batches_resent += lane.core.resent() - std::exchange(lane.resent, lane.core.resent());
  slots_[partition].resolved += resolved;
  slots_[partition].buffered_bytes -= charged_bytes;
  if (outcome) {
    stats_.messages_acked += told.count;
    stats_.bytes_acked += told.size_bytes;
    ++stats_.batches_acked;
  } else {
    stats_.messages_failed += told.count;
    if (!first_error_) first_error_ = outcome.error();
  }
  if (waiters_ > 0) changed_.notify_all();
}

// ---- A new identity for one partition ----

void ProducerImpl::act(std::uint32_t partition, const ProducerCore::Reopen& action) {
  if (named()) return renumber(partition, action);
  open_anonymous([self = shared_from_this(), partition](Result<batch::ProducerStamp> stamp) {
    if (self->ended_) return;
    const auto now_ms = self->client_->loop().now_ms();
    auto& core = self->lanes_[partition].core;
    if (!core.awaits_identity()) return;
    if (stamp) {
      self->restamp(partition, *stamp);
      core.reopened(now_ms);
    } else {
      core.reopen_failed(stamp.error(), now_ms);
    }
    self->run(partition);
  });
}

void ProducerImpl::restamp(std::uint32_t partition, const batch::ProducerStamp& stamp) {
  std::lock_guard lock(mutex_);
  auto next = stamp;
  const auto give = [&](Batch& batch) {
    batch.bytes = with_stamp(std::move(batch.bytes), next);
    ++next.sequence;
  };
  for (auto& batch : lanes_[partition].batches) {
    if (!batch.resolved) give(batch);
  }
  for (auto& batch : ready_) {
    if (batch.partition == partition) give(batch);
  }
  slots_[partition].stamp = next;
  lanes_[partition].stored = stamp.sequence;
}

// ---- Time ----

void ProducerImpl::arm_timer_for(const ProducerCore& core) {
  const auto wake_at_ms = core.wake_at();
  if (!wake_at_ms || *wake_at_ms >= timer_at_ms_) return;
  timer_at_ms_ = *wake_at_ms;
  const auto now_ms = client_->loop().now_ms();
  timer_->start(timer_at_ms_ > now_ms ? timer_at_ms_ - now_ms : 1, 0, [this] { tick(); });
}

void ProducerImpl::tick() {
  timer_at_ms_ = ~0ull;
  const auto now_ms = client_->loop().now_ms();
  for (std::uint32_t partition = 0; partition < lanes_.size(); ++partition) {
    auto& core = lanes_[partition].core;
    if (const auto wake_at_ms = core.wake_at(); wake_at_ms && *wake_at_ms <= now_ms)
      core.tick(now_ms);
    run(partition);
  }
}

}  // namespace andyx::client
