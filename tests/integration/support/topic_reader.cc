#include "tests/integration/support/topic_reader.h"

#include <doctest/doctest.h>

namespace andyx::test {
namespace {

// Visits the records of one answer from `next` on; the offset after the last one.
Offset visit_batches(ByteSpan bytes, Offset next, const VisitRecord& visit) {
  const auto batches = batch::split_batches(bytes);
  REQUIRE_MESSAGE(batches.has_value(), batches.error().message);
  batch::Record record;
  for (const ByteSpan view : *batches) {
    const auto reader = batch::BatchReader::open(view);
    REQUIRE_MESSAGE(reader.has_value(), reader.error().message);
    const Offset base = reader->header().base_offset;
    REQUIRE_MESSAGE(base <= next, "a gap: offset ", next, " was asked for, ", base, " came");
    for (auto index = static_cast<std::uint32_t>(next - base); index < reader->count(); ++index) {
      REQUIRE(reader->read(index, record).has_value());
      REQUIRE(record.offset == next);
      visit(record);
      ++next;
    }
  }
  return next;
}

}  // namespace

Offset read_partition(RawConnection& connection, RawConnection::Partition partition, Offset from,
                      const VisitRecord& visit) {
  const Offset end = connection.committed_offset(partition);
  Offset next = from;
  while (next < end) {
    const Received answer = connection.request<protocol::Read>([&](Builder& builder) {
      return protocol::CreateRead(builder, partition.topic_id, partition.index, 0, next);
    });
    const auto* reply = answer.as<protocol::ReadReply>();
    REQUIRE_MESSAGE(reply != nullptr, "a read at offset ", next, " under the end ", end, " failed");
    REQUIRE(reply->batches() != nullptr);
    const Offset before = next;
    next = visit_batches({reply->batches()->data(), reply->batches()->size()}, next, visit);
    REQUIRE_MESSAGE(next > before, "nothing at offset ", next, " though the end is ", end);
  }
  return next;
}

std::vector<CursorState> describe_cursors(RawConnection& connection, const std::string& topic_path,
                                          const std::string& subscription) {
  const Received answer = connection.request<protocol::SubscriptionDescribe>([&](Builder& builder) {
    return protocol::CreateSubscriptionDescribeDirect(builder, topic_path.c_str(),
                                                      subscription.c_str());
  });
  const auto* reply = answer.as<protocol::SubscriptionReply>();
  REQUIRE_MESSAGE(reply != nullptr, "describing subscription ", subscription, " failed");
  REQUIRE(reply->subscriptions() != nullptr);
  REQUIRE(reply->subscriptions()->size() == 1);
  const auto* partitions = reply->subscriptions()->Get(0)->partitions();
  REQUIRE(partitions != nullptr);
  std::vector<CursorState> cursors(partitions->size());
  for (const auto* info : *partitions) {
    REQUIRE(info->partition() < cursors.size());
    cursors[info->partition()] = {.floor = info->floor(),
                                  .answered_above_floor = info->answered_above_floor(),
                                  .lag_messages = info->lag_messages()};
  }
  return cursors;
}

}  // namespace andyx::test
