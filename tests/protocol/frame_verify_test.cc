#include "protocol/frame/frame_verify.h"

#include <doctest/doctest.h>

#include <random>

#include "frame_generated.h"
#include "protocol/base/limits.h"
#include "protocol/frame/frame_writer.h"
#include "tests/protocol/sample_messages.h"

namespace andyx {
namespace {

using Bytes = std::vector<std::uint8_t>;

template <typename Fill>
Bytes stock(std::uint64_t correlation_id, Fill&& fill) {
  flatbuffers::FlatBufferBuilder builder;
  const auto [type, body] = fill(builder);
  builder.FinishSizePrefixed(protocol::CreateFrame(builder, correlation_id, type, body));
  return {builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()};
}

ErrorCode code_of(const Bytes& bytes) {
  const auto frame = frame::verify_frame(bytes);
  return frame ? ErrorCode::kOk : frame.error().code;
}

Bytes create_frame() {
  return stock(9, [](auto& builder) {
    return std::pair(protocol::Body::TopicCreate,
                     protocol::CreateTopicCreateDirect(builder, "a/b/c/orders", 4).Union());
  });
}

TEST_CASE("a good frame is read in place") {
  const auto bytes = create_frame();
  const auto frame = frame::verify_frame(bytes);
  REQUIRE(frame);
  CHECK((*frame)->correlation_id() == 9);
  REQUIRE((*frame)->body_as_TopicCreate() != nullptr);
  CHECK((*frame)->body_as_TopicCreate()->topic()->string_view() == "a/b/c/orders");
}

TEST_CASE("a body of a later version is refused with its correlation id") {
  const auto bytes = stock(77, [](auto& builder) {
    return std::pair(static_cast<protocol::Body>(200), protocol::CreatePing(builder).Union());
  });
  CHECK(code_of(bytes) == ErrorCode::kUnknownBody);
  CHECK(frame::correlation_of(bytes) == 77);
}

TEST_CASE("a null body is refused, of a known type and of none") {
  for (const auto type : {protocol::Body::Ping, protocol::Body::Produce, protocol::Body::NONE}) {
    const auto bytes =
        stock(78, [&](auto&) { return std::pair(type, flatbuffers::Offset<void>()); });
    CHECK(code_of(bytes) == ErrorCode::kUnknownBody);
    CHECK(frame::correlation_of(bytes) == 78);
  }
}

TEST_CASE("a body without type is refused") {
  const auto bytes = stock(79, [](auto& builder) {
    return std::pair(protocol::Body::NONE, protocol::CreatePing(builder).Union());
  });
  CHECK(code_of(bytes) == ErrorCode::kUnknownBody);
}

TEST_CASE("a required field that is missing is refused") {
  const auto bytes = stock(80, [](auto& builder) {
    const auto start = builder.StartTable();
    return std::pair(protocol::Body::Produce, flatbuffers::Offset<void>(builder.EndTable(start)));
  });
  CHECK(code_of(bytes) == ErrorCode::kBadFrame);
}

TEST_CASE("a cut frame, and one whose prefix does not say its length, are refused") {
  const auto good = create_frame();
  for (std::size_t size = 0; size < good.size(); ++size) {
    CHECK(code_of(Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size))) ==
          ErrorCode::kBadFrame);
  }
  auto longer = good;
  longer.insert(longer.end(), 8, 0);
  CHECK(code_of(longer) == ErrorCode::kBadFrame);
  CHECK(frame::correlation_of(longer) == 0);
}

TEST_CASE("a frame over the limit is refused before it is looked at") {
  Bytes bytes(limits::kMaxFrameBytes + 5);
  const auto length = static_cast<std::uint32_t>(bytes.size() - 4);
  std::memcpy(bytes.data(), &length, 4);
  CHECK(code_of(bytes) == ErrorCode::kBadFrame);
}

TEST_CASE("more tables than the limit are refused: a small frame must not cost much") {
  const auto with_tables = [](std::size_t count) {
    return stock(81, [&](auto& builder) {
      // One table, referred to many times.
      const std::vector topics(count, protocol::CreateTopicMetadata(builder));
      return std::pair(
          protocol::Body::MetadataReply,
          protocol::CreateMetadataReplyDirect(builder, 1, "", nullptr, &topics).Union());
    });
  };
  CHECK(code_of(with_tables(limits::kFrameVerifyTables - 2)) == ErrorCode::kOk);
  CHECK(code_of(with_tables(limits::kFrameVerifyTables)) == ErrorCode::kBadFrame);
}

TEST_CASE("random bytes and random damage never crash the check") {
  const auto seed = std::random_device{}();
  INFO("seed ", seed);
  std::mt19937_64 random(seed);
  const auto good = create_frame();
  for (int round = 0; round < 20'000; ++round) {
    auto bytes = good;
    for (auto left = 1 + random() % 4; left > 0; --left) {
      bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
    }
    (void)code_of(bytes);
    Bytes noise(random() % 200);
    for (auto& byte : noise) byte = static_cast<std::uint8_t>(random());
    CHECK(code_of(noise) != ErrorCode::kOk);
  }
}

}  // namespace
}  // namespace andyx
