// The writer leaves the payload where it is; what goes over the wire must still be the stock frame.
#include "protocol/frame/frame_writer.h"

#include <doctest/doctest.h>

#include <random>

#include "frame_generated.h"
#include "protocol/frame/frame_verify.h"

namespace andyx {
namespace {

using Bytes = std::vector<std::uint8_t>;
using VectorOffset = flatbuffers::Offset<flatbuffers::Vector<std::uint8_t>>;
using Builder = flatbuffers::FlatBufferBuilder;

Bytes flattened(const frame::OutFrame& frame) {
  Bytes bytes(frame.head.span().begin(), frame.head.span().end());
  for (const auto& piece : frame.payload) {
    bytes.insert(bytes.end(), piece.span().begin(), piece.span().end());
  }
  bytes.insert(bytes.end(), frame.padding, 0);
  CHECK(bytes.size() == frame.size_bytes());
  return bytes;
}

frame::Body body_of(protocol::Body type, flatbuffers::Offset<void> offset) {
  return {static_cast<std::uint8_t>(type), offset};
}

// Every body with a payload, with fields of every width before and after it.
frame::Body produce(Builder& builder, VectorOffset payload) {
  return body_of(
      protocol::Body::Produce,
      protocol::CreateProduce(builder, 5, 2, 1, protocol::Acks::quorum, payload).Union());
}
frame::Body bare_produce(Builder& builder, VectorOffset payload) {
  protocol::ProduceBuilder body(builder);
  body.add_batch(payload);
  return body_of(protocol::Body::Produce, body.Finish().Union());
}
frame::Body read_reply(Builder& builder, VectorOffset payload) {
  return body_of(protocol::Body::ReadReply,
                 protocol::CreateReadReply(builder, 10, 1ull << 40, 3, payload).Union());
}
frame::Body bare_read_reply(Builder& builder, VectorOffset payload) {
  return body_of(protocol::Body::ReadReply,
                 protocol::CreateReadReply(builder, 0, 0, 0, payload).Union());
}
frame::Body deliver(Builder& builder, VectorOffset payload) {
  const std::vector<protocol::OffsetRange> ranges = {{1, 9}, {20, 21}};
  const std::vector<protocol::Redelivery> redeliveries = {{20, 1'700'000, 2}};
  const auto ranges_at = builder.CreateVectorOfStructs(ranges);
  const auto redeliveries_at = builder.CreateVectorOfStructs(redeliveries);
  return body_of(protocol::Body::Deliver,
                 protocol::CreateDeliver(builder, 8, ranges_at, redeliveries_at, payload).Union());
}
frame::Body bare_deliver(Builder& builder, VectorOffset payload) {
  return body_of(protocol::Body::Deliver,
                 protocol::CreateDeliver(builder, 8, 0, 0, payload).Union());
}

using Fill = frame::Body (*)(Builder&, VectorOffset);
constexpr Fill kFills[] = {produce,         bare_produce, read_reply,
                           bare_read_reply, deliver,      bare_deliver};

Bytes stock_frame(std::uint64_t correlation_id, const Bytes& payload, Fill fill) {
  Builder builder;
  const auto vector = builder.CreateVector(payload);
  const auto body = fill(builder, vector);
  builder.FinishSizePrefixed(protocol::CreateFrame(
      builder, correlation_id, static_cast<protocol::Body>(body.type), body.offset));
  return {builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()};
}

void compare(frame::FrameWriter& writer, const Bytes& payload, std::size_t pieces) {
  CAPTURE(payload.size());
  CAPTURE(pieces);
  for (const Fill fill : kFills) {
    for (const std::uint64_t correlation_id :
         {std::uint64_t{0}, std::uint64_t{0x0102030405060708}}) {
      std::vector<SharedBytes> slices;
      for (std::size_t i = 0; i < pieces; ++i) {
        const auto from = payload.size() * i / pieces, to = payload.size() * (i + 1) / pieces;
        slices.push_back(SharedBytes::copy_of(ByteSpan(payload).subspan(from, to - from)));
      }
      const auto frame = writer.write_with_payload(correlation_id, std::move(slices), fill);
      const auto bytes = flattened(frame);
      REQUIRE(bytes == stock_frame(correlation_id, payload, fill));
      CHECK(frame::verify_frame(bytes));
    }
  }
}

TEST_CASE("a frame around a payload is byte for byte the stock builder's") {
  const auto seed = std::random_device{}();
  INFO("seed ", seed);
  std::mt19937_64 random(seed);
  frame::FrameWriter writer;
  const auto payload_of = [&](std::size_t size) {
    Bytes payload(size);
    for (auto& byte : payload) byte = static_cast<std::uint8_t>(random());
    return payload;
  };
  for (std::size_t size = 0; size <= 64; ++size) {
    for (const std::size_t pieces : {1, 2, 5}) compare(writer, payload_of(size), pieces);
  }
  compare(writer, {}, 0);
  for (int round = 0; round < 40; ++round) {
    compare(writer, payload_of(65 + random() % 100'000), 1 + random() % 4);
  }
}

TEST_CASE("the payload is handed on, not copied") {
  const auto payload = SharedBytes::copy_of(Bytes(1'000, 7));
  frame::FrameWriter writer;
  const auto frame = writer.write_with_payload(1, {payload}, produce);
  REQUIRE(frame.payload.size() == 1);
  CHECK(frame.payload[0].data() == payload.data());
  CHECK(frame.head.size() < 200);
}

TEST_CASE("a frame without payload is the stock builder's") {
  const auto fill = [](Builder& builder) {
    return body_of(
        protocol::Body::TopicCreate,
        protocol::CreateTopicCreateDirect(builder, "default/default/default/orders", 4).Union());
  };
  frame::FrameWriter writer;
  const auto frame = writer.write(77, fill);
  Builder builder;
  const auto body = fill(builder);
  builder.FinishSizePrefixed(
      protocol::CreateFrame(builder, 77, static_cast<protocol::Body>(body.type), body.offset));
  CHECK(flattened(frame) ==
        Bytes(builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()));
  CHECK(frame.payload.empty());
  CHECK(frame.padding == 0);
}

TEST_CASE("a writer is as good after a large frame as before") {
  frame::FrameWriter writer;
  const auto ping = [](Builder& builder) {
    return body_of(protocol::Body::Ping, protocol::CreatePing(builder).Union());
  };
  const auto before = flattened(writer.write(1, ping));
  writer.write(2, [](Builder& builder) {
    const auto prefix = builder.CreateString(std::string(1'000'000, 'x'));
    return body_of(protocol::Body::TopicList, protocol::CreateTopicList(builder, prefix).Union());
  });
  CHECK(flattened(writer.write(1, ping)) == before);
}

}  // namespace
}  // namespace andyx
