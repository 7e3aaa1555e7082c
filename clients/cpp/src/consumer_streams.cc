// An attached consumer: what is delivered, credit, answers.
#include <algorithm>

#include "clients/cpp/src/consumer_impl.h"
#include "protocol/base/limits.h"

namespace andyx::client {
namespace {

constexpr std::size_t kUnconfirmedRequests = 4;  // of each stream; more answers gather meanwhile
constexpr std::uint32_t kAnswerRetryMs = 50;

// A small batch must not keep a large receive slab.
SharedBytes own_bytes(const SharedBytes& frame, const flatbuffers::Vector<std::uint8_t>& vector) {
  auto bytes = frame.slice(static_cast<std::size_t>(vector.data() - frame.data()), vector.size());
  if (bytes.size() * limits::kMinPinShare < bytes.charged_bytes())
    return SharedBytes::copy_of(bytes.span());
  return bytes;
}

}  // namespace

void ConsumerImpl::deliver(std::uint32_t stream, const SharedBytes& frame,
                           const protocol::Deliver& body) {
  const auto found = partition_of_stream_.find(stream);
  if (found == partition_of_stream_.end() || body.ranges() == nullptr || body.batches() == nullptr)
    return;
  if (streams_.at(found->second).retiring) return;  // it is somebody else's soon
  Received received{.partition = found->second,
                    .batches = own_bytes(frame, *body.batches()),
                    .ranges = {},
                    .redeliveries = {},
                    .credit_bytes = body.charged_bytes(),
                    .credit_messages = 0};
  received.ranges.reserve(body.ranges()->size());
  for (const auto* range : *body.ranges()) {
    if (range->last() < range->first()) continue;
    received.ranges.push_back({range->first(), range->last()});
    received.credit_messages += received.ranges.back().count();
  }
  if (received.ranges.empty()) return;
  if (body.redeliveries() != nullptr) {
    for (const auto* one : *body.redeliveries()) {
      received.redeliveries.push_back({.offset = one->offset(),
                                       .count = one->count(),
                                       .first_delivered_us = one->first_delivered_us()});
    }
  }
  std::lock_guard lock(mutex_);
  stats_.messages_received += received.credit_messages;
  stats_.bytes_received += received.batches.size();
  stats_.buffered_bytes += received.batches.size();
  ++slots_[received.partition].waiting;
  queue_.push_back(std::move(received));
  changed_.notify_all();
}

void ConsumerImpl::work_off() {
  std::vector<std::uint32_t> answers, credit;
  {
    std::lock_guard lock(mutex_);
    work_posted_ = false;
    answers.swap(answers_due_);
    credit.swap(credit_due_);
    for (const auto partition : answers) slots_[partition].answers_due = false;
    for (const auto partition : credit) slots_[partition].credit_due = false;
  }
  for (const auto partition : answers) send_answers(partition);
  for (const auto partition : credit) grant(partition);
}

void ConsumerImpl::grant(std::uint32_t partition) {
  const auto found = streams_.find(partition);
  if (found == streams_.end()) return;
  std::uint64_t bytes = 0, messages = 0;
  {
    std::lock_guard lock(mutex_);
    bytes = std::exchange(slots_[partition].credit_bytes, 0);
    messages = std::exchange(slots_[partition].credit_messages, 0);
  }
  if (bytes == 0 && messages == 0) return;
  found->second.link->tell([&](flatbuffers::FlatBufferBuilder& builder) {
    return body_of(protocol::Body::Credit,
                   protocol::CreateCredit(builder, found->second.id, bytes, messages));
  });
}

void ConsumerImpl::send_answers(std::uint32_t partition) {
  const auto found = streams_.find(partition);
  if (found == streams_.end()) {
    // When it is open again; or when an attachment says whether it is still ours.
    if (coordinator_ == nullptr || assignment_.contains(partition)) return;
    // Answered too late: the partition is somebody else's, who gets the messages again.
    std::lock_guard lock(mutex_);
    forget_answers(slots_[partition].answers.clear());
    return;
  }
  auto& stream = found->second;
  if (!stream.open) return;
  while (stream.unconfirmed.size() < kUnconfirmedRequests) {
    AnswerQueue::Group group;
    {
      std::lock_guard lock(mutex_);
      auto& answers = slots_[partition].answers;
      if (answers.empty()) return;
      group = answers.take(limits::kMaxRangesPerAnswer);
    }
    const auto id = stream.next_answer++;
    const auto& sent = stream.unconfirmed.emplace(id, std::move(group)).first->second;
    stream.link->call(
        [&](flatbuffers::FlatBufferBuilder& builder) {
          std::vector<protocol::OffsetRange> ranges;
          ranges.reserve(sent.ranges.size());
          for (const auto& range : sent.ranges) ranges.emplace_back(range.first, range.last);
          const auto vector = builder.CreateVectorOfStructs(ranges);
          return body_of(protocol::Body::Answer,
                         protocol::CreateAnswer(builder, stream.id,
                                                static_cast<protocol::AnswerKind>(sent.kind),
                                                vector, sent.delay_ms));
        },
        [self = shared_from_this(), partition, id, stream_id = stream.id](Reply reply) {
          const auto now = self->streams_.find(partition);
          if (now == self->streams_.end() || now->second.id != stream_id)
            return;  // given again meanwhile
          self->answered(partition, id, reply);
        });
  }
}

void ConsumerImpl::answered(std::uint32_t partition, std::uint64_t id, const Reply& reply) {
  auto& stream = streams_.at(partition);
  const auto found = stream.unconfirmed.find(id);
  if (found == stream.unconfirmed.end()) return;
  if (!reply && reply.error().code == ErrorCode::kConnectionLost) return;  // link_down follows
  auto group = std::move(found->second);
  stream.unconfirmed.erase(found);
  if (!reply && (reply.error().code == ErrorCode::kUnknownStream ||
                 reply.error().code == ErrorCode::kStaleAttach ||
                 reply.error().code == ErrorCode::kNotMain)) {
    {
      std::lock_guard lock(mutex_);
      slots_[partition].answers.put_back(std::move(group));
    }
    if (stream.retiring) return forget_stream(partition, Answers::kDrop);
    lose_stream(partition, reply.error());
    return;
  }
  if (!reply && reply.error().retriable) {
    {
      std::lock_guard lock(mutex_);
      slots_[partition].answers.put_back(std::move(group));
    }
    answer_timer_->start(kAnswerRetryMs, 0, [this] { all_answers_due(); });
    return;
  }
  if (reply) {
    settle(group.given);
  } else {  // about messages of which some are not ours to answer (any more)
    std::lock_guard lock(mutex_);
    if (!slots_[partition].answers.put_back_halves(group)) forget_answers(group.given);
  }
  send_answers(partition);
  close_if_retired(partition);
}

void ConsumerImpl::all_answers_due() {
  std::lock_guard lock(mutex_);
  for (std::uint32_t i = 0; i < slots_.size(); ++i) {
    if (!slots_[i].answers.empty()) due(i, &Slot::answers_due, answers_due_);
  }
}

// With the mutex. They will not be confirmed.
void ConsumerImpl::forget_answers(std::uint64_t messages) {
  if (messages == 0) return;
  unconfirmed_ -= messages;
  ++confirmations_;
  stats_.answers_refused += messages;
  changed_.notify_all();
}

void ConsumerImpl::settle(std::uint64_t messages) {
  std::lock_guard lock(mutex_);
  unconfirmed_ -= messages;
  ++confirmations_;
  stats_.answers_confirmed += messages;
  changed_.notify_all();
}

}  // namespace andyx::client
