// The partitions of a consumer: what the coordinator assigns, a stream for each, and giving up what
// goes to another one.
#include <algorithm>

#include "clients/cpp/src/consumer_impl.h"

namespace andyx::client {
namespace {

constexpr std::uint64_t kMinStreamCreditBytes = 1'024;
constexpr std::uint32_t kReopenMs = 20;
constexpr std::uint32_t kRefusalsBeforeAttach = 3;  // of one partition, in a row

}  // namespace

// ---- What is ours ----

void ConsumerImpl::assigned(const protocol::Assigned& body) { take_assignment(body); }

// Where only the coordinator has moved, it is attached to again; any other reason is the end.
void ConsumerImpl::detached(const Error& error) {
  if (error.code == ErrorCode::kNotMain) return attach_failed(attempt_, error, true);
  stop(error);
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
  if (!assignment_.empty() && assignment_.rbegin()->first >= metadata_.partitions.size()) {
    learn_partitions();
    return;
  }
  {
    std::lock_guard lock(mutex_);
    if (slots_.size() < metadata_.partitions.size()) slots_.resize(metadata_.partitions.size());
    const auto share = std::max<std::size_t>(metadata_.partitions.size(), 1);
    credit_bytes_ = std::max<std::uint64_t>(options_.credit_bytes / share, kMinStreamCreditBytes);
    credit_messages_ = std::max<std::uint64_t>(options_.credit_messages / share, 1);
  }
  std::vector<std::uint32_t> lost;
  for (const auto& [partition, stream] : streams_) {
    if (!assignment_.contains(partition)) lost.push_back(partition);
  }
  for (const auto partition : lost) retire(partition);
  const auto attempt = attempt_;
  for (const auto& [partition, epoch] : std::map(assignment_)) {
    const auto found = streams_.find(partition);
    if (found != streams_.end()) {
      if (found->second.epoch == epoch && !found->second.retiring) continue;
      close_stream(partition, Answers::kKeep);
    }
    open_stream(partition, epoch);
    if (attempt_ != attempt) return;  // it has failed at once
  }
  check_attached();
}

// The topic has grown.
void ConsumerImpl::learn_partitions() {
  if (std::exchange(learning_, true)) return;
  client_->cluster().topic(
      topic_, false, [self = shared_from_this(), attempt = attempt_](Result<TopicMetadata> topic) {
        if (self->attempt_ != attempt) return;
        self->learning_ = false;
        const auto before = self->metadata_.partitions.size();
        if (topic) self->metadata_ = std::move(*topic);
        if (self->metadata_.partitions.size() > before) {
          self->apply_assignment();
        } else {
          self->attach_failed(attempt,
                              topic ? Error{ErrorCode::kUnknownPartition,
                                            "a partition was assigned that is not known"}
                                    : topic.error(),
                              true);
        }
      });
}

// ---- Opening ----

void ConsumerImpl::open_stream(std::uint32_t partition, std::uint64_t epoch) {
  auto* link = client_->cluster().link_to(metadata_.partitions[partition].main);
  if (link != nullptr && std::ranges::find(links_, link) == links_.end()) {
    links_.push_back(link);
    link->add_user(this);
  }
  if (link == nullptr || !link->up()) {
    attach_failed(attempt_,
                  {ErrorCode::kNotMain,
                   "the main of partition " + std::to_string(partition) + " is not connected yet"},
                  true);
    return;
  }
  const auto id = client_->next_stream();
  auto& stream = streams_[partition];
  stream.id = id;
  stream.epoch = epoch;
  stream.link = link;
  partition_of_stream_[id] = partition;
  link->add_stream(id, this);
  link->call(
      [this, id, partition, epoch](flatbuffers::FlatBufferBuilder& builder) {
        return body_of(
            protocol::Body::StreamOpen,
            protocol::CreateStreamOpen(builder, metadata_.topic_id, partition, subscription_id_,
                                       epoch, id, credit_bytes_, credit_messages_,
                                       options_.ack_timeout_ms, options_.max_deliveries));
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
    } else {
      attach_failed(attempt_, error, error.retriable);
    }
    return;
  }
  found->second.open = true;
  refused_.erase(partition);
  check_attached();
  {
    std::lock_guard lock(mutex_);
    if (!slots_[partition].answers.empty()) due(partition, &Slot::answers_due, answers_due_);
  }
  close_if_retired(partition);
}

// The subscription was reset, or the partition is being taken away and Assigned says so soon: the
// same again, if it is still ours then. Who is refused again and again attaches anew.
void ConsumerImpl::reopen_later(std::uint32_t partition, const Error& error) {
  // What was given speaks of the past: after a reset these messages come again.
  forget_stream(partition, Answers::kDrop);
  if (++refused_[partition] > kRefusalsBeforeAttach) {
    attach_failed(attempt_, error, true);
    return;
  }
  reopen_timer_->start(kReopenMs, 0, [this] { apply_assignment(); });
}

void ConsumerImpl::stream_closed(std::uint32_t stream, const Error& error) {
  const auto found = partition_of_stream_.find(stream);
  if (found == partition_of_stream_.end()) return;
  const auto partition = found->second;
  if (streams_.at(partition).retiring) return forget_stream(partition, Answers::kDrop);
  if (error.code == ErrorCode::kStaleAttach) return reopen_later(partition, error);
  const bool final =
      error.code == ErrorCode::kUnknownSubscription || error.code == ErrorCode::kUnknownTopic;
  attach_failed(attempt_, error, !final && error.retriable());
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
