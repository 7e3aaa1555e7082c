// Attaching a consumer: metadata, Subscribe to the coordinator, then what it assigns; again, under
// the same session, when the coordinator is lost. The streams of the partitions go on meanwhile:
// they are opened anew where the next attachment gives them another epoch.
#include <algorithm>

#include "clients/cpp/src/backoff.h"
#include "clients/cpp/src/consumer_impl.h"
#include "protocol/base/limits.h"

namespace andyx::client {
namespace {

constexpr std::uint32_t kSignsOfLifePerSession = 3;  // so that one may be late

std::string random_name(std::uint64_t number) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string name = "consumer-";
  for (int i = 0; i < 16; ++i, number >>= 4) name += kDigits[number & 15];
  return name;
}

}  // namespace

void ConsumerImpl::begin(std::move_only_function<void(Result<bool>)> done) {
  on_attached_ = std::move(done);
  retry_timer_ = client_->loop().timer();
  answer_timer_ = client_->loop().timer();
  reopen_timer_ = client_->loop().timer();
  ping_timer_ = client_->loop().timer();
  session_ = client_->cluster().random() | 1;
  name_ = options_.name.empty() ? random_name(client_->cluster().random()) : options_.name;
  detached_at_ms_ = client_->loop().now_ms();
  client_->remember(shared_from_this());
  attach();
}

void ConsumerImpl::attach() {
  if (ended_) return;
  const auto attempt = ++attempt_;
  client_->cluster().topic(
      topic_, false, [self = shared_from_this(), attempt](Result<TopicMetadata> topic) {
        if (self->attempt_ != attempt) return;
        if (!topic) {
          self->attach_failed(attempt, topic.error(), topic.error().retriable());
          return;
        }
        self->take_metadata(*topic);
        self->subscribe(attempt);
      });
}

void ConsumerImpl::subscribe(std::uint64_t attempt) {
  auto fill = [self = shared_from_this()](flatbuffers::FlatBufferBuilder& builder) {
    const auto& options = self->options_;
    const auto topic = builder.CreateString(self->topic_);
    const auto subscription = builder.CreateString(options.subscription);
    const auto consumer = builder.CreateString(self->name_);
    const protocol::Start start(static_cast<protocol::StartKind>(options.start.kind),
                                options.start.value);
    return body_of(protocol::Body::Subscribe,
                   protocol::CreateSubscribe(builder, topic, subscription,
                                             static_cast<protocol::SubscriptionType>(options.type),
                                             static_cast<protocol::SubscriptionMode>(options.mode),
                                             &start, options.create, consumer, self->session_,
                                             options.priority, options.key_ordered,
                                             options.take_over && self->on_attached_ != nullptr));
  };
  client_->cluster().call(coordinator_node_, std::move(fill), Cluster::Repeat::kYes,
                          [self = shared_from_this(), attempt](Reply reply) {
                            if (self->attempt_ != attempt) return;
                            if (!reply) {
                              self->attach_failed(attempt, reply.error(), reply.error().retriable);
                              return;
                            }
                            const auto* body = reply->frame->body_as_SubscribeReply();
                            if (body != nullptr) {
                              self->subscribed(*reply->link, *body);
                            } else {
                              self->attach_failed(
                                  attempt,
                                  {ErrorCode::kInternal, "the answer to subscribe is none"}, false);
                            }
                          });
}

void ConsumerImpl::subscribed(NodeLink& coordinator, const protocol::SubscribeReply& reply) {
  if (reply.topic_id() != topic_id_) routes_.assign(routes_.size(), {});  // it was made anew
  topic_id_ = reply.topic_id();
  subscription_id_ = reply.subscription_id();
  attach_epoch_ = reply.attach_epoch();
  coordinator_ = &coordinator;
  coordinator_node_ = coordinator.node();
  coordinator_->add_attachment(subscription_id_, attach_epoch_, this);
  watch(*coordinator_);
  failures_ = 0;
  retries_.clear();
  const auto timeout_ms =
      reply.session_timeout_ms() > 0 ? reply.session_timeout_ms() : limits::kConsumerSessionMs;
  const auto every_ms = std::max<std::uint64_t>(timeout_ms / kSignsOfLifePerSession, 1);
  ping_timer_->start(every_ms, every_ms, [this] { sign_of_life(); });
  take_assignment(reply);
  all_answers_due();  // those of partitions that are not ours any more are forgotten
}

void ConsumerImpl::sign_of_life() {
  if (coordinator_ != nullptr) coordinator_->ping();
  for (auto* link : links_) {
    if (link != coordinator_) link->ping();
  }
}

void ConsumerImpl::check_complete() {
  if (complete_ || coordinator_ == nullptr) return;
  for (const auto& [partition, epoch] : assignment_) {
    const auto found = streams_.find(partition);
    if (found == streams_.end() || !found->second.open || found->second.epoch != epoch) return;
  }
  complete_ = true;
  if (on_attached_) {
    std::exchange(on_attached_, nullptr)(true);
    return;
  }
  std::lock_guard lock(mutex_);
  ++stats_.reconnects;
}

// Tries again after a pause, or ends the consumer.
void ConsumerImpl::attach_failed(std::uint64_t attempt, const Error& error, bool retriable) {
  if (attempt_ != attempt || ended_) return;
  const auto now_ms = client_->loop().now_ms();
  const bool lost = error.code == ErrorCode::kConnectionLost || error.code == ErrorCode::kTimedOut;
  if ((!retriable && !lost) || now_ms - detached_at_ms_ > client_->options().request_timeout_ms) {
    stop(error);
    return;
  }
  ++attempt_;  // what is under way for this one comes too late
  const auto& options = client_->options();
  auto random = client_->cluster().random();
  retry_timer_->start(
      backoff_ms(++failures_, options.backoff_min_ms, options.backoff_max_ms, random), 0,
      [this] { attach(); });
}

// The coordinator is gone, or is another node now. Its partitions are delivered on.
void ConsumerImpl::attachment_lost(const Error& reason) {
  if (ended_ || coordinator_ == nullptr) return;
  forget_attachment();
  coordinator_node_ = reason.node;
  attach_failed(attempt_, reason, true);
}

void ConsumerImpl::forget_attachment() {
  if (coordinator_ == nullptr) return;
  coordinator_->remove_attachment(subscription_id_, attach_epoch_);
  coordinator_ = nullptr;
  complete_ = false;
  learning_ = false;
  detached_at_ms_ = client_->loop().now_ms();  // time to come back begins here
  ping_timer_->stop();
}

// What the server and we know of the streams does not fit together.
void ConsumerImpl::start_over(const Error& error, bool retriable) {
  if (ended_) return;
  forget_attachment();
  drop_streams();
  attach_failed(attempt_, error, retriable);
}

void ConsumerImpl::drop_streams() {
  {
    std::lock_guard lock(mutex_);
    queue_.clear();
    stats_.buffered_bytes = 0;
  }
  while (!streams_.empty()) close_stream(streams_.begin()->first, Answers::kKeep);
  assignment_.clear();
  refused_.clear();
  retries_.clear();
  reopen_timer_->stop();
}

void ConsumerImpl::stop(const Error& reason) {
  if (std::exchange(ended_, true)) return;
  forget_attachment();
  drop_streams();
  ++attempt_;
  for (auto* link : links_) link->remove_user(this);
  retry_timer_.reset();
  answer_timer_.reset();
  reopen_timer_.reset();
  ping_timer_.reset();
  {
    std::lock_guard lock(mutex_);
    failed_ = reason;
    changed_.notify_all();
  }
  if (on_attached_) std::exchange(on_attached_, nullptr)(std::unexpected(reason));
  client_->forget(shared_from_this());
}

void ConsumerImpl::end(const Error& reason) {
  detach([] {});
  stop(reason);
  std::lock_guard lock(mutex_);
  failed_ = reason;
  changed_.notify_all();
}

void ConsumerImpl::detach(std::move_only_function<void()> done) {
  if (ended_ || coordinator_ == nullptr) {
    done();
    return;
  }
  forget_attachment();
  client_->cluster().call(
      coordinator_node_,
      [topic = topic_id_, subscription = subscription_id_,
       epoch = attach_epoch_](flatbuffers::FlatBufferBuilder& builder) {
        return body_of(protocol::Body::Unsubscribe,
                       protocol::CreateUnsubscribe(builder, topic, subscription, epoch));
      },
      Cluster::Repeat::kNo, [done = std::move(done)](Reply) mutable { done(); });
}

}  // namespace andyx::client
