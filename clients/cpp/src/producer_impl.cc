// The callers' side: choosing a partition, filling and sealing batches, waiting.
#include "clients/cpp/src/producer_impl.h"

#include <algorithm>

#include "protocol/base/limits.h"
#include "protocol/base/names.h"
#include "protocol/batch/key_hash.h"

namespace andyx::client {
namespace {

constexpr std::uint32_t kMostPassedOver = 32;      // partitions, by one message without a key
constexpr std::size_t kLeastShareBytes = 4 << 10;  // of the buffer, for one partition

Status check(const ProducerOptions& options) {
  if (options.max_in_flight_batches < 1 ||
      options.max_in_flight_batches > limits::kProducerBatchesRemembered) {
    return fail(ErrorCode::kBadArgument, "max_in_flight_batches must be 1 to " +
                                             std::to_string(limits::kProducerBatchesRemembered));
  }
  if (options.batch_bytes < 1 || options.batch_bytes > limits::kMaxBatchBytes) {
    return fail(ErrorCode::kBadArgument,
                "batch_bytes must be 1 to " + std::to_string(limits::kMaxBatchBytes));
  }
  if (options.buffer_bytes < 1 || options.delivery_timeout_ms < 1) {
    return fail(ErrorCode::kBadArgument, "buffer_bytes and delivery_timeout_ms must be over 0");
  }
  if (!options.name.empty() && !options.idempotent) {
    return fail(ErrorCode::kBadArgument, "a producer with a name is idempotent");
  }
  return {};
}

}  // namespace

ProducerImpl::ProducerImpl(std::shared_ptr<ClientImpl> client, ProducerOptions options,
                           std::string topic)
    : client_(std::move(client)), options_(std::move(options)), topic_(std::move(topic)) {}

Result<std::shared_ptr<ProducerImpl>> ProducerImpl::open(const std::shared_ptr<ClientImpl>& client,
                                                         ProducerOptions options) {
  if (auto good = check(options); !good) return std::unexpected(good.error());
  auto topic = TopicName::parse(options.topic);
  if (!topic) return std::unexpected(topic.error());
  std::shared_ptr<ProducerImpl> impl(new ProducerImpl(client, std::move(options), topic->path()));
  auto begun = client->wait<bool>([impl](auto done) { impl->begin(std::move(done)); });
  if (!begun) return std::unexpected(begun.error());
  return impl;
}

std::uint32_t ProducerImpl::partitions() const {
  std::lock_guard lock(mutex_);
  return static_cast<std::uint32_t>(slots_.size());
}

Status ProducerImpl::send(const OutMessage& message, SendCallback callback, WhenFull when_full) {
  const batch::RecordInput record{
      .key = message.key,
      .payload = message.payload,
      .headers = message.headers,
      .time_us = message.time_us != 0 ? message.time_us : net::wall_time_us(),
      .deliver_at_us = message.deliver_at_us,
      .message_id_hash = message.message_id ? batch::hash_message_id(*message.message_id) : 0,
  };
  std::unique_lock lock(mutex_);
  if (auto admitted = admit(lock, when_full); !admitted) return admitted;
  const auto partition = choose(message);
  if (!partition) return std::unexpected(partition.error());
  auto& slot = slots_[*partition];
  auto before_bytes = slot.builder.empty() ? 0 : slot.builder.size_bytes();
  auto added = slot.builder.add(record);
  if (!added && added.error().code == ErrorCode::kLimitReached && !slot.builder.empty()) {
    seal(*partition);
    before_bytes = 0;
    added = slot.builder.add(record);
  }
  if (!added) return added;

  if (slot.builder.count() == 1) slot.first_time_us = record.time_us;
  if (!std::exchange(slot.unsealed, true)) unsealed_.push_back(*partition);
  const auto now_bytes = slot.builder.size_bytes();
  slot.charged_bytes += now_bytes - before_bytes;
  slot.buffered_bytes += now_bytes - before_bytes;
  stats_.buffered_bytes += now_bytes - before_bytes;
  ++stats_.messages_sent;
  if (callback) slot.callbacks.emplace_back(slot.builder.count() - 1, std::move(callback));
  if (!message.partition && !message.key) turns_.advance();
  if (now_bytes >= options_.batch_bytes) {
    seal(*partition);
  } else if (!linger_armed_) {
    linger();
  }
  return {};
}

Status ProducerImpl::admit(std::unique_lock<std::mutex>& lock, WhenFull when_full) {
  const auto full = [this] { return stats_.buffered_bytes >= options_.buffer_bytes; };
  if (!closed_ && !failed_ && full()) [[unlikely]] {
    if (when_full == WhenFull::kRefuse || client_->on_thread()) {
      return fail(ErrorCode::kOverloaded,
                  "the producer's buffer is full: " + std::to_string(stats_.buffered_bytes) +
                      " bytes are not answered");
    }
    ++waiters_;
    // Every batch is resolved, by its delivery timeout at the latest.
    changed_.wait(lock, [&] { return closed_ || failed_ || !full(); });
    --waiters_;
  }
  if (closed_) return std::unexpected(*closed_);
  if (failed_) return std::unexpected(*failed_);
  return {};
}

Result<std::uint32_t> ProducerImpl::choose(const OutMessage& message) {
  const auto count = static_cast<std::uint32_t>(slots_.size());
  if (message.partition) {
    if (*message.partition < count) return *message.partition;
    return fail(ErrorCode::kUnknownPartition, topic_ + " has the partitions 0 to " +
                                                  std::to_string(count - 1) + ", not " +
                                                  std::to_string(*message.partition));
  }
  return message.key ? batch::partition_of_key(*message.key, count) : next_in_turn();
}

// A batch that is open is filled. None is begun where a partition, whose main is away or slow, has
// its share of the buffer, so that something is left for the others. Where many in a row have
// theirs, so have all: it is the buffer that is full.
std::uint32_t ProducerImpl::next_in_turn() {
  if (!slots_[turns_.current()].builder.empty()) return turns_.current();
  const auto share_bytes = std::max(options_.buffer_bytes / (2 * slots_.size()),
                                    std::min(kLeastShareBytes, options_.batch_bytes));
  for (std::uint32_t i = 0; i < kMostPassedOver; ++i) {
    const auto& slot = slots_[turns_.current()];
    if (!slot.builder.empty() || slot.buffered_bytes < share_bytes) break;
    turns_.release(turns_.current());
    turns_.advance();
  }
  return turns_.current();
}

void ProducerImpl::seal(std::uint32_t partition) {
  auto& slot = slots_[partition];
  if (slot.builder.empty()) return;
  Batch batch{.bytes = {},
              .partition = partition,
              .count = slot.builder.count(),
              .charged_bytes = std::exchange(slot.charged_bytes, 0),
              .first_time_us = slot.first_time_us,
              .callbacks = std::exchange(slot.callbacks, {})};
  batch.bytes = slot.builder.build(slot.stamp);
  if (options_.idempotent) ++slot.stamp.sequence;
  ++slot.sealed;
  turns_.release(partition);
  // A builder keeps its capacity; over many partitions that would be more than the buffer's bound.
  if (slots_.size() * options_.batch_bytes > options_.buffer_bytes) {
    slot.builder = batch::BatchBuilder(options_.compression);
  }
  ready_.push_back(std::move(batch));
  if (ready_.size() == 1) client_->post([self = shared_from_this()] { self->take_ready(); });
}

void ProducerImpl::seal_all() {
  for (const std::uint32_t partition : std::exchange(unsealed_, {})) {
    slots_[partition].unsealed = false;
    seal(partition);
  }
}

void ProducerImpl::seal_everything() {
  std::lock_guard lock(mutex_);
  seal_all();
}

void ProducerImpl::linger() {
  linger_armed_ = true;
  client_->post([self = shared_from_this()] {
    if (self->ended_) return;
    if (self->options_.linger_ms == 0) {
      self->linger_is_over();
      return;
    }
    self->linger_timer_->start(self->options_.linger_ms, 0,
                               [impl = self.get()] { impl->linger_is_over(); });
  });
}

Status ProducerImpl::flush() {
  if (client_->on_thread()) return fail(ErrorCode::kBadArgument, "a callback may not wait");
  std::unique_lock lock(mutex_);
  seal_all();
  std::vector<std::uint64_t> targets;
  for (const auto& slot : slots_) targets.push_back(slot.sealed);
  const auto answered = [&] {
    for (std::size_t i = 0; i < targets.size(); ++i) {
      if (slots_[i].resolved < targets[i]) return false;
    }
    return true;
  };
  ++waiters_;
  changed_.wait(lock, answered);  // every batch is resolved, by its delivery timeout at the latest
  --waiters_;
  if (auto error = std::exchange(first_error_, std::nullopt))
    return std::unexpected(std::move(*error));
  if (failed_) return std::unexpected(*failed_);
  return {};
}

Status ProducerImpl::close() {
  {
    std::lock_guard lock(mutex_);
    if (closed_) return {};
  }
  auto flushed = flush();
  // Whoever opens the name after this finds the place free.
  static_cast<void>(client_->wait<bool>(
      [self = shared_from_this()](auto done) { self->leave([done]() mutable { done(true); }); }));
  abandon();
  return flushed;
}

void ProducerImpl::abandon() {
  client_->run_and_wait([self = shared_from_this()] {
    self->end({ErrorCode::kShuttingDown, "the producer is closed"});
  });
}

ProducerStats ProducerImpl::stats() const {
  std::lock_guard lock(mutex_);
  return stats_;
}

// ---- The handle ----

Producer::Producer(std::shared_ptr<ProducerImpl> impl) : impl_(std::move(impl)) {}
Producer::Producer(Producer&&) noexcept = default;

Producer& Producer::operator=(Producer&& other) noexcept {
  if (impl_ != nullptr) impl_->abandon();
  impl_ = std::move(other.impl_);
  return *this;
}

Producer::~Producer() {
  if (impl_ != nullptr) impl_->abandon();
}

std::uint32_t Producer::partitions() const { return impl_->partitions(); }

Status Producer::send(const OutMessage& message, SendCallback callback) {
  return impl_->send(message, std::move(callback), ProducerImpl::WhenFull::kWait);
}

Status Producer::try_send(const OutMessage& message, SendCallback callback) {
  return impl_->send(message, std::move(callback), ProducerImpl::WhenFull::kRefuse);
}

std::future<SendOutcome> Producer::send_future(const OutMessage& message) {
  std::promise<SendOutcome> promise;
  auto outcome = promise.get_future();
  // Shared, because a refused message gives its callback back to nobody.
  auto shared = std::make_shared<std::promise<SendOutcome>>(std::move(promise));
  auto sent = send(message, [shared](const SendOutcome& result) { shared->set_value(result); });
  if (!sent) shared->set_value(std::unexpected(SendError{sent.error(), Storedness::kNotStored}));
  return outcome;
}

SendOutcome Producer::send_and_wait(const OutMessage& message) {
  auto outcome = send_future(message);
  impl_->seal_everything();
  return outcome.get();
}

Status Producer::flush() { return impl_->flush(); }
Status Producer::close() { return impl_->close(); }
ProducerStats Producer::stats() const { return impl_->stats(); }

}  // namespace andyx::client
