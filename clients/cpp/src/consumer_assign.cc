// The partitions of a consumer: what the coordinator assigns, a stream for each, and giving up what
// goes to another one.
#include <algorithm>

#include "clients/cpp/src/backoff.h"
#include "clients/cpp/src/consumer_impl.h"

namespace andyx::client {
namespace {

constexpr std::uint64_t kMinStreamCreditBytes = 1'024;
constexpr std::uint32_t kReopenMs = 20;
constexpr std::uint32_t kRefusalsBeforeAttach = 3;  // of one partition, in a row

}  // namespace

// ---- What is ours ----

void ConsumerImpl::assigned(const protocol::Assigned& body) { take_assignment(body); }

// Another node coordinates from now on, or somebody has taken over.
void ConsumerImpl::detached(const Error& error) {
  const bool moved = error.code == ErrorCode::kNotMain || error.code == ErrorCode::kShuttingDown;
  moved ? attachment_lost(error) : stop(error);
}

template <typename Body>
void ConsumerImpl::take_assignment(const Body& body) {
  assignment_.clear();
  if (body.partitions() != nullptr && body.partition_epochs() != nullptr) {
    const auto count = std::min(body.partitions()->size(), body.partition_epochs()->size());
    for (std::uint32_t i = 0; i < count; ++i)
      assignment_[body.partitions()->Get(i)] = body.partition_epochs()->Get(i);
  }
  if (options_.on_assigned) {
    std::vector<std::uint32_t> partitions;
    for (const auto& [partition, epoch] : assignment_) partitions.push_back(partition);
    options_.on_assigned(partitions);
  }
  apply_assignment();
}
template void ConsumerImpl::take_assignment(const protocol::SubscribeReply& body);

void ConsumerImpl::apply_assignment() {
  if (ended_ || coordinator_ == nullptr) return;
  if (!assignment_.empty() && assignment_.rbegin()->first >= routes_.size()) {
    learn_partitions();
    return;
  }
  {
    std::lock_guard lock(mutex_);
    if (slots_.size() < routes_.size()) slots_.resize(routes_.size());
    const auto share = std::max<std::size_t>(routes_.size(), 1);
    credit_bytes_ = std::max<std::uint64_t>(options_.credit_bytes / share, kMinStreamCreditBytes);
    credit_messages_ = std::max<std::uint64_t>(options_.credit_messages / share, 1);
  }
  std::vector<std::uint32_t> lost, other;
  for (const auto& [partition, stream] : streams_) {
    const auto found = assignment_.find(partition);
    if (found == assignment_.end()) {
      lost.push_back(partition);
    } else if (stream.epoch != found->second || stream.retiring) {
      other.push_back(partition);
    }
  }
  for (const auto partition : lost) retire(partition);
  for (const auto partition : other) close_stream(partition, Answers::kKeep);
  open_missing();
}

// The topic has grown.
void ConsumerImpl::learn_partitions() {
  if (std::exchange(learning_, true)) return;
  client_->cluster().refresh(
      topic_, [self = shared_from_this(), attempt = attempt_](Result<TopicMetadata> topic) {
        if (self->attempt_ != attempt || self->ended_) return;
        self->learning_ = false;
        const auto before = self->routes_.size();
        if (topic) self->take_metadata(*topic);
        if (self->routes_.size() > before) {
          self->apply_assignment();
        } else {
          self->start_over(topic ? Error{ErrorCode::kUnknownPartition,
                                         "a partition was assigned that is not known"}
                                 : topic.error(),
                           true);
        }
      });
}

// ---- Opening ----

// Each partition that is ours, as soon as its main is known and connected. Called again whenever
// something of that has changed.
void ConsumerImpl::open_missing() {
  if (ended_ || coordinator_ == nullptr) return;
  const auto now_ms = client_->loop().now_ms();
  if (on_attached_ && now_ms - detached_at_ms_ > client_->options().request_timeout_ms)
    return stop(last_error_);
  std::uint64_t next_ms = ~0ull;
  bool unknown = false;
  for (const auto& [partition, epoch] : assignment_) {
    if (partition >= routes_.size() || streams_.contains(partition)) continue;
    const auto retry = retries_.find(partition);
    if (retry != retries_.end() && retry->second.not_before_ms > now_ms) {
      next_ms = std::min(next_ms, retry->second.not_before_ms);
      continue;
    }
    auto* link = link_of(partition);
    if (link == nullptr) {
      unknown = true;
      continue;
    }
    watch(*link);
    if (link->up()) open_stream(partition, epoch, *link);  // else link_up() comes here again
  }
  if (next_ms != ~0ull) reopen_timer_->start(next_ms - now_ms, 0, [this] { open_missing(); });
  if (unknown) refresh();
  check_complete();
}

void ConsumerImpl::open_stream(std::uint32_t partition, std::uint64_t epoch, NodeLink& link) {
  const auto id = client_->next_stream();
  auto& stream = streams_[partition];
  stream.id = id;
  stream.epoch = epoch;
  stream.link = &link;
  stream.node = routes_[partition].node();
  partition_of_stream_[id] = partition;
  link.add_stream(id, this);
  link.call(
      [this, id, partition, epoch](flatbuffers::FlatBufferBuilder& builder) {
        return body_of(
            protocol::Body::StreamOpen,
            protocol::CreateStreamOpen(builder, topic_id_, partition, subscription_id_, epoch, id,
                                       credit_bytes_, credit_messages_, options_.ack_timeout_ms,
                                       options_.max_deliveries));
      },
      [self = shared_from_this(), partition, id](Reply reply) {
        self->stream_opened(partition, id, reply);
      });
}

void ConsumerImpl::stream_opened(std::uint32_t partition, std::uint32_t id, const Reply& reply) {
  const auto found = streams_.find(partition);
  if (found == streams_.end() || found->second.id != id) return;  // given up meanwhile
  if (!reply) {
    const auto& error = reply.error();
    if (found->second.retiring) return forget_stream(partition, Answers::kDrop);
    if (error.code == ErrorCode::kStaleAttach || error.code == ErrorCode::kUnknownPartition) {
      reopen_later(partition, error);
    } else if (error.retriable || error.code == ErrorCode::kConnectionLost) {
      lose_stream(partition, error);
    } else {
      start_over(error, false);
    }
    return;
  }
  found->second.open = true;
  refused_.erase(partition);
  retries_.erase(partition);
  check_complete();
  {
    std::lock_guard lock(mutex_);
    if (!slots_[partition].answers.empty()) due(partition, &Slot::answers_due, answers_due_);
  }
  close_if_retired(partition);
}

// The subscription was reset, or the partition is being taken away and Assigned says so soon: the
// same again, if it is still ours then. Who is refused again and again attaches anew.
void ConsumerImpl::reopen_later(std::uint32_t partition, const Error& error) {
  // The next attachment will say what is ours.
  if (coordinator_ == nullptr) return forget_stream(partition, Answers::kKeep);
  // What was given speaks of the past: after a reset these messages come again.
  forget_stream(partition, Answers::kDrop);
  if (++refused_[partition] > kRefusalsBeforeAttach) {
    start_over(error, true);
    return;
  }
  retries_[partition].not_before_ms = client_->loop().now_ms() + kReopenMs;
  open_missing();
}

// The partition is still ours: it goes on where its main is now, the others are not disturbed. A
// first redirect is followed at once, later ones with a back-off: two nodes may point at each other
// for a while.
void ConsumerImpl::lose_stream(std::uint32_t partition, const Error& error) {
  const auto& stream = streams_.at(partition);
  if (stream.retiring) return forget_stream(partition, Answers::kDrop);
  auto& route = routes_[partition];
  if (error.code == ErrorCode::kNotMain) {
    route.redirected(stream.node, error.node);
  } else if (error.code == ErrorCode::kConnectionLost) {
    route.unreachable(stream.node);
  }
  forget_stream(partition, Answers::kKeep);
  complete_ = false;
  last_error_ = error;
  const auto& options = client_->options();
  auto random = client_->cluster().random();
  auto& retry = retries_[partition];
  const bool first = retry.failures++ == 0 && error.node != 0;
  const auto pause_ms =
      first ? 0
            : backoff_ms(retry.failures, options.backoff_min_ms, options.backoff_max_ms, random);
  retry.not_before_ms = client_->loop().now_ms() + pause_ms;
  refresh();
  open_missing();
}

void ConsumerImpl::stream_closed(std::uint32_t stream, const Error& error) {
  const auto found = partition_of_stream_.find(stream);
  if (found == partition_of_stream_.end()) return;
  const auto partition = found->second;
  if (streams_.at(partition).retiring) return forget_stream(partition, Answers::kDrop);
  if (error.code == ErrorCode::kStaleAttach) return reopen_later(partition, error);
  error.retriable() ? lose_stream(partition, error) : start_over(error, false);
}

// ---- Giving up ----

// Nothing more of it is handed out. What the application has is answered on the old stream, then
// that is closed, and the partition goes on elsewhere.
void ConsumerImpl::retire(std::uint32_t partition) {
  auto& stream = streams_.at(partition);
  if (std::exchange(stream.retiring, true)) return;
  {
    std::lock_guard lock(mutex_);
    drop_received(partition);
  }
  close_if_retired(partition);
}

void ConsumerImpl::close_if_retired(std::uint32_t partition) {
  const auto found = streams_.find(partition);
  if (found == streams_.end() || !found->second.retiring || !found->second.unconfirmed.empty())
    return;
  {
    std::lock_guard lock(mutex_);
    const auto& slot = slots_[partition];
    if (!slot.held.empty() || !slot.answers.empty()) return;
  }
  close_stream(partition, Answers::kDrop);
}

void ConsumerImpl::close_stream(std::uint32_t partition, Answers answers) {
  const auto& stream = streams_.at(partition);
  // Streams of other consumers on this connection stay: the server cannot tell whose they are.
  stream.link->tell([&](flatbuffers::FlatBufferBuilder& builder) {
    return body_of(protocol::Body::StreamClose, protocol::CreateStreamClose(builder, stream.id));
  });
  forget_stream(partition, answers);
}

// What was received and not taken comes again, here or elsewhere; what was answered and not
// confirmed is answered again, where it is to be kept.
void ConsumerImpl::forget_stream(std::uint32_t partition, Answers answers) {
  auto node = streams_.extract(partition);
  auto& stream = node.mapped();
  stream.link->remove_stream(stream.id);
  partition_of_stream_.erase(stream.id);
  std::lock_guard lock(mutex_);
  auto& slot = slots_[partition];
  for (auto& [id, group] : stream.unconfirmed) {
    const bool again = group.kind == AnswerKind::kAcknowledge || group.kind == AnswerKind::kSkip;
    if (answers == Answers::kKeep && again) {
      slot.answers.put_back(std::move(group));
    } else {
      forget_answers(group.given);  // the message is delivered again by itself
    }
  }
  if (answers == Answers::kDrop) forget_answers(slot.answers.clear());
  slot.held.clear();
  drop_received(partition);
  slot.credit_bytes = slot.credit_messages = 0;
}

// With the mutex.
void ConsumerImpl::drop_received(std::uint32_t partition) {
  std::erase_if(queue_, [&](const Received& received) {
    if (received.partition != partition) return false;
    stats_.buffered_bytes -= received.batches.size();
    return true;
  });
  slots_[partition].waiting = 0;
}

}  // namespace andyx::client
