// Attaching a consumer: metadata, Subscribe to the coordinator, StreamOpen to each main; again
// after every loss, under the same session.
#include <algorithm>

#include "clients/cpp/src/backoff.h"
#include "clients/cpp/src/consumer_impl.h"

namespace andyx::client {
namespace {

constexpr std::uint64_t kMinStreamCreditBytes = 1'024;

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
        self->metadata_ = std::move(*topic);
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
                                             &start, options.create, consumer, self->session_));
  };
  client_->cluster().call(
      0, std::move(fill), Cluster::Repeat::kYes, [self = shared_from_this(), attempt](Reply reply) {
        if (self->attempt_ != attempt) return;
        if (!reply) {
          self->attach_failed(attempt, reply.error(), reply.error().retriable);
          return;
        }
        const auto* body = reply->frame->body_as_SubscribeReply();
        if (body != nullptr) {
          self->subscribed(attempt, *body);
        } else {
          self->attach_failed(attempt, {ErrorCode::kInternal, "the answer to subscribe is none"},
                              false);
        }
      });
}

void ConsumerImpl::subscribed(std::uint64_t attempt, const protocol::SubscribeReply& reply) {
  metadata_.topic_id = reply.topic_id();
  subscription_id_ = reply.subscription_id();
  attach_epoch_ = reply.attach_epoch();
  std::vector<std::uint32_t> partitions;
  if (reply.partitions() != nullptr)
    partitions.assign(reply.partitions()->begin(), reply.partitions()->end());
  std::erase_if(partitions,
                [this](auto partition) { return partition >= metadata_.partitions.size(); });
  {
    std::lock_guard lock(mutex_);
    if (slots_.size() < metadata_.partitions.size()) slots_.resize(metadata_.partitions.size());
    const auto share = std::max<std::size_t>(partitions.size(), 1);
    credit_bytes_ = std::max<std::uint64_t>(options_.credit_bytes / share, kMinStreamCreditBytes);
    credit_messages_ = std::max<std::uint64_t>(options_.credit_messages / share, 1);
  }
  streams_opening_ = partitions.size();
  for (const auto partition : partitions) {
    if (attempt_ != attempt) return;  // the last one has failed at once
    open_stream(attempt, partition);
  }
  if (partitions.empty()) {
    streams_opening_ = 1;
    stream_opened(attempt);
  }
}

void ConsumerImpl::open_stream(std::uint64_t attempt, std::uint32_t partition) {
  auto* link = client_->cluster().link_to(metadata_.partitions[partition].main);
  if (link != nullptr && std::ranges::find(links_, link) == links_.end()) {
    links_.push_back(link);
    link->add_user(this);
  }
  if (link == nullptr || !link->up()) {
    attach_failed(attempt,
                  {ErrorCode::kNotMain,
                   "the main of partition " + std::to_string(partition) + " is not connected yet"},
                  true);
    return;
  }
  const auto id = client_->next_stream();
  auto& stream = streams_[partition];
  stream.id = id;
  stream.link = link;
  partition_of_stream_[id] = partition;
  link->add_stream(id, this);
  link->call(
      [this, id, partition](flatbuffers::FlatBufferBuilder& builder) {
        return body_of(
            protocol::Body::StreamOpen,
            protocol::CreateStreamOpen(builder, metadata_.topic_id, partition, subscription_id_,
                                       attach_epoch_, id, credit_bytes_, credit_messages_));
      },
      [self = shared_from_this(), attempt](Reply reply) {
        if (self->attempt_ != attempt) return;
        if (reply) {
          self->stream_opened(attempt);
        } else {
          self->attach_failed(attempt, reply.error(), reply.error().retriable);
        }
      });
}

void ConsumerImpl::stream_opened(std::uint64_t attempt) {
  if (attempt_ != attempt || --streams_opening_ > 0) return;
  attached_ = true;
  failures_ = 0;
  if (on_attached_) {
    std::exchange(on_attached_, nullptr)(true);
    return;
  }
  std::lock_guard lock(mutex_);
  ++stats_.reconnects;
  for (std::uint32_t partition = 0; partition < slots_.size(); ++partition) {
    if (!slots_[partition].answers.empty()) due(partition, &Slot::answers_due, answers_due_);
  }
}

void ConsumerImpl::attach_failed(std::uint64_t attempt, const Error& error, bool retriable) {
  if (attempt_ != attempt || ended_) return;
  const auto now_ms = client_->loop().now_ms();
  const bool lost = error.code == ErrorCode::kConnectionLost || error.code == ErrorCode::kTimedOut;
  if ((!retriable && !lost) || now_ms - detached_at_ms_ > client_->options().request_timeout_ms) {
    stop(error);
    return;
  }
  drop_streams();
  ++attempt_;  // what is under way for this one comes too late
  const auto& options = client_->options();
  auto random = client_->cluster().random();
  retry_timer_->start(
      backoff_ms(++failures_, options.backoff_min_ms, options.backoff_max_ms, random), 0,
      [this] { attach(); });
}

// What was received and not taken comes again; what was answered and not confirmed is answered
// again.
void ConsumerImpl::drop_streams() {
  if (std::exchange(attached_, false)) detached_at_ms_ = client_->loop().now_ms();
  for (auto& [partition, stream] : streams_) stream.link->remove_stream(stream.id);
  std::lock_guard lock(mutex_);
  for (auto& [partition, stream] : streams_) {
    for (auto& [id, group] : stream.unconfirmed) {
      if (group.kind == AnswerKind::kUnacknowledge) {
        unconfirmed_ -= group.given;  // happens by itself: it is delivered again
        ++confirmations_;
      } else {
        slots_[partition].answers.put_back(std::move(group));
      }
    }
  }
  streams_.clear();
  partition_of_stream_.clear();
  queue_.clear();
  stats_.buffered_bytes = 0;
  for (auto& slot : slots_) {
    slot.credit_bytes = slot.credit_messages = 0;
    slot.waiting = 0;
  }
  changed_.notify_all();
}

void ConsumerImpl::link_down(NodeLink& link, const Error& reason) {
  const bool ours =
      std::ranges::any_of(streams_, [&](const auto& entry) { return entry.second.link == &link; });
  if (ours) attach_failed(attempt_, reason, true);
}

void ConsumerImpl::stream_closed(std::uint32_t stream, const Error& error) {
  if (!partition_of_stream_.contains(stream)) return;
  const bool final = error.code == ErrorCode::kStaleAttach ||
                     error.code == ErrorCode::kUnknownSubscription ||
                     error.code == ErrorCode::kUnknownTopic;
  attach_failed(attempt_, error, !final && error.retriable());
}

void ConsumerImpl::stop(const Error& reason) {
  if (std::exchange(ended_, true)) return;
  drop_streams();
  ++attempt_;
  for (auto* link : links_) link->remove_user(this);
  retry_timer_.reset();
  answer_timer_.reset();
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
  if (ended_ || !std::exchange(attached_, false)) {
    done();
    return;
  }
  client_->cluster().call(
      0,
      [topic = metadata_.topic_id, subscription = subscription_id_,
       epoch = attach_epoch_](flatbuffers::FlatBufferBuilder& builder) {
        return body_of(protocol::Body::Unsubscribe,
                       protocol::CreateUnsubscribe(builder, topic, subscription, epoch));
      },
      Cluster::Repeat::kNo, [done = std::move(done)](Reply) mutable { done(); });
}

}  // namespace andyx::client
