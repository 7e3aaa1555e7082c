// The callers' side: taking messages, giving answers, waiting; and the handle.
#include "clients/cpp/src/consumer_impl.h"

#include <algorithm>
#include <chrono>

#include "protocol/base/limits.h"
#include "protocol/base/names.h"

namespace andyx::client {
namespace {

constexpr std::uint32_t kHandlerPollMs = 60'000;

Status check(const ConsumerOptions& options) {
  if (auto good = check_name(options.subscription, "subscription"); !good) return good;
  if (options.credit_bytes < 1 || options.credit_bytes > limits::kMaxCreditBytes) {
    return fail(ErrorCode::kBadArgument,
                "credit_bytes must be 1 to " + std::to_string(limits::kMaxCreditBytes));
  }
  if (options.credit_messages < 1 || options.credit_messages > limits::kMaxCreditMessages) {
    return fail(ErrorCode::kBadArgument,
                "credit_messages must be 1 to " + std::to_string(limits::kMaxCreditMessages));
  }
  if (options.ack_timeout_ms > limits::kMaxAckTimeoutMs) {
    return fail(ErrorCode::kBadArgument,
                "ack_timeout_ms must be at most " + std::to_string(limits::kMaxAckTimeoutMs));
  }
  if (options.key_ordered && options.type != SubscriptionType::kShared)
    return fail(ErrorCode::kBadArgument, "only a shared subscription can be key-ordered");
  return {};
}

}  // namespace

ConsumerImpl::ConsumerImpl(std::shared_ptr<ClientImpl> client, ConsumerOptions options,
                           std::string topic)
    : client_(std::move(client)), options_(std::move(options)), topic_(std::move(topic)) {}

ConsumerImpl::~ConsumerImpl() {
  if (handler_thread_.joinable())
    handler_thread_.detach();  // it is the one that drops the last reference
}

Result<std::shared_ptr<ConsumerImpl>> ConsumerImpl::open(const std::shared_ptr<ClientImpl>& client,
                                                         ConsumerOptions options) {
  if (auto good = check(options); !good) return std::unexpected(good.error());
  auto topic = TopicName::parse(options.topic);
  if (!topic) return std::unexpected(topic.error());
  std::shared_ptr<ConsumerImpl> impl(new ConsumerImpl(client, std::move(options), topic->path()));
  auto attached = client->wait<bool>([impl](auto done) { impl->begin(std::move(done)); });
  if (!attached) return std::unexpected(attached.error());
  if (impl->options_.handler)
    impl->handler_thread_ = std::thread([impl] { impl->handle_messages(); });
  return impl;
}

// ---- Messages ----

Result<ConsumerImpl::Received> ConsumerImpl::take(std::uint32_t timeout_ms) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms),
                    [this] { return failed_ || !queue_.empty(); });
  if (queue_.empty()) {
    if (failed_) return std::unexpected(*failed_);
    return Received{};
  }
  auto received = std::move(queue_.front());
  queue_.pop_front();
  stats_.buffered_bytes -= received.batches.size();
  auto& slot = slots_[received.partition];
  --slot.waiting;
  slot.credit_bytes += received.credit_bytes;
  slot.credit_messages += received.credit_messages;
  if (options_.type == SubscriptionType::kFailover) {
    for (const auto& range : received.ranges) slot.held.add(range);
  }
  if (!coalesce_credit(slot)) due(received.partition, &Slot::credit_due, credit_due_);
  return received;
}

// Small grants wait for more, as long as the server cannot run out of credit meanwhile.
bool ConsumerImpl::coalesce_credit(const Slot& slot) const {
  return slot.waiting > 0 && slot.credit_bytes < credit_bytes_ / 4 &&
         slot.credit_messages < credit_messages_ / 4;
}

Result<MessageBatch> ConsumerImpl::poll(std::uint32_t timeout_ms) {
  if (client_->on_thread()) return fail(ErrorCode::kBadArgument, "a callback may not wait");
  auto received = take(timeout_ms);
  if (!received) return std::unexpected(received.error());
  if (received->ranges.empty()) return MessageBatch{};
  return MessageBatch::open(received->partition, std::move(received->batches),
                            std::move(received->ranges), std::move(received->redeliveries));
}

void ConsumerImpl::handle_messages() {
  const auto keep = shared_from_this();
  Consumer face(keep, false);
  for (;;) {
    auto batch = poll(kHandlerPollMs);
    if (!batch) {
      const bool asked_to_end = batch.error().code == ErrorCode::kShuttingDown;
      if (!asked_to_end && options_.on_error) options_.on_error(batch.error());
      return;
    }
    if (!batch->empty()) options_.handler(face, *batch);
  }
}

void ConsumerImpl::join_handler() {
  if (handler_thread_.joinable() && handler_thread_.get_id() != std::this_thread::get_id()) {
    handler_thread_.join();
  }
}

// ---- Answers ----

void ConsumerImpl::due(std::uint32_t partition, bool Slot::* flag,
                       std::vector<std::uint32_t>& list) {
  if (!std::exchange(slots_[partition].*flag, true)) list.push_back(partition);
  if (!std::exchange(work_posted_, true))
    client_->post([self = shared_from_this()] { self->work_off(); });
}

void ConsumerImpl::answer(AnswerKind kind, std::uint32_t partition, OffsetRange range,
                          std::uint32_t delay_ms) {
  if (range.last < range.first) return;
  std::lock_guard lock(mutex_);
  if (failed_ || partition >= slots_.size()) return;
  slots_[partition].answers.add(kind, range, delay_ms);
  if (kind != AnswerKind::kExtend) slots_[partition].held.remove(range);
  unconfirmed_ += range.count();
  due(partition, &Slot::answers_due, answers_due_);
}

Status ConsumerImpl::flush_answers() {
  if (client_->on_thread()) return fail(ErrorCode::kBadArgument, "a callback may not wait");
  std::unique_lock lock(mutex_);
  while (unconfirmed_ > 0) {
    if (failed_) return std::unexpected(*failed_);
    const auto seen = confirmations_;
    const bool progress =
        changed_.wait_for(lock, std::chrono::milliseconds(options_.answer_timeout_ms),
                          [&] { return failed_ || unconfirmed_ == 0 || confirmations_ != seen; });
    if (!progress) {
      return fail(ErrorCode::kTimedOut, std::to_string(unconfirmed_) +
                                            " answers are not confirmed within " +
                                            std::to_string(options_.answer_timeout_ms) + " ms");
    }
  }
  return {};
}

Status ConsumerImpl::close() {
  {
    std::lock_guard lock(mutex_);
    if (failed_ && failed_->code == ErrorCode::kShuttingDown) return {};
  }
  auto flushed = flush_answers();
  // Detached when this returns, so that the next consumer finds the subscription free.
  static_cast<void>(client_->wait<bool>(
      [self = shared_from_this()](auto done) { self->detach([done]() mutable { done(true); }); }));
  abandon();
  return flushed;
}

void ConsumerImpl::abandon() {
  client_->run_and_wait([self = shared_from_this()] {
    self->end({ErrorCode::kShuttingDown, "the consumer is closed"});
  });
  join_handler();
}

ConsumerStats ConsumerImpl::stats() const {
  std::lock_guard lock(mutex_);
  return stats_;
}

// ---- The handle ----

Consumer::Consumer(std::shared_ptr<ConsumerImpl> impl, bool owns)
    : impl_(std::move(impl)), owns_(owns) {}
Consumer::Consumer(Consumer&&) noexcept = default;

Consumer& Consumer::operator=(Consumer&& other) noexcept {
  release();
  impl_ = std::move(other.impl_);
  owns_ = other.owns_;
  return *this;
}

Consumer::~Consumer() { release(); }

void Consumer::release() {
  if (impl_ != nullptr && owns_) impl_->abandon();
}

Result<MessageBatch> Consumer::poll(std::uint32_t timeout_ms) { return impl_->poll(timeout_ms); }
void Consumer::answer(AnswerKind kind, std::uint32_t partition, OffsetRange range,
                      std::uint32_t delay_ms) {
  impl_->answer(kind, partition, range, delay_ms);
}
Status Consumer::flush_answers() { return impl_->flush_answers(); }
Status Consumer::close() { return impl_->close(); }
ConsumerStats Consumer::stats() const { return impl_->stats(); }

}  // namespace andyx::client
