#include "tests/integration/support/raw_consumer.h"

#include "protocol/base/limits.h"

namespace andyx::test {

RawConsumer::RawConsumer(RawConnection& connection, const std::string& topic_path,
                         const std::string& subscription)
    : connection_(connection) {
  connection_.on_pushed([this](const Received& pushed) { take(pushed); });
  const Received answer = connection_.request<protocol::Subscribe>([&](Builder& builder) {
    const protocol::Start earliest(protocol::StartKind::earliest, 0);
    return protocol::CreateSubscribeDirect(
        builder, topic_path.c_str(), subscription.c_str(), protocol::SubscriptionType::unique,
        protocol::SubscriptionMode::nonresilient, &earliest, true, "raw", 4'711);
  });
  const auto* attach = answer.as<protocol::SubscribeReply>();
  if (attach == nullptr || attach->partitions() == nullptr) return;
  for (std::uint32_t i = 0; i < attach->partitions()->size(); ++i) {
    const std::uint32_t partition = attach->partitions()->Get(i);
    const std::uint64_t epoch = attach->partition_epochs()->Get(i);
    const Received opened = connection_.request<protocol::StreamOpen>([&](Builder& builder) {
      return protocol::CreateStreamOpen(builder, attach->topic_id(), partition,
                                        attach->subscription_id(), epoch, partition + 1,
                                        limits::kMiB * 64, 1'000'000);
    });
    if (opened.as<protocol::StreamOpenReply>() == nullptr) return;
  }
  attached_ = true;
}

RawConsumer::~RawConsumer() { connection_.on_pushed(nullptr); }

void RawConsumer::take(const Received& pushed) {
  if (const auto* deliver = pushed.as<protocol::Deliver>()) {
    if (deliver->ranges() == nullptr) return;
    for (const auto* range : *deliver->ranges()) {
      for (Offset offset = range->first(); offset <= range->last(); ++offset) {
        delivered_[deliver->stream() - 1].insert(offset);
      }
    }
  } else {
    ended_ = true;  // StreamClosed, or the error that ends the connection
  }
}

bool RawConsumer::receive_one() {
  if (ended_) return false;
  const std::optional<Received> received = connection_.receive();
  if (!received) return false;
  take(*received);
  return !ended_;
}

bool RawConsumer::wait_delivered(std::uint32_t partition, Offset offset) {
  while (!delivered_[partition].contains(offset)) {
    if (!receive_one()) return false;
  }
  return true;
}

std::uint64_t RawConsumer::count() const {
  std::uint64_t total = 0;
  for (const auto& [partition, offsets] : delivered_) total += offsets.size();
  return total;
}

bool RawConsumer::wait_count(std::uint64_t wanted) {
  while (count() < wanted) {
    if (!receive_one()) return false;
  }
  return true;
}

bool RawConsumer::acknowledge(std::uint32_t partition, Offset offset) {
  const Received answer = connection_.request<protocol::Answer>([&](Builder& builder) {
    const protocol::OffsetRange range(offset, offset);
    const auto ranges = builder.CreateVectorOfStructs(&range, 1);
    return protocol::CreateAnswer(builder, partition + 1, protocol::AnswerKind::acknowledge,
                                  ranges);
  });
  return answer.as<protocol::Done>() != nullptr;
}

}  // namespace andyx::test
