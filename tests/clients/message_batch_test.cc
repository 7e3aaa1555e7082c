#include "andyx/message_batch.h"

#include <doctest/doctest.h>

#include <string>

#include "clients/cpp/src/batch_stamp.h"
#include "protocol/batch/batch_builder.h"

namespace andyx::client {
namespace {

// Messages "m<offset>" from `base` on.
SharedBytes batch_at(Offset base, std::uint32_t count,
                     Compression compression = Compression::kNone) {
  batch::BatchBuilder builder(compression);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string payload = "m" + std::to_string(base + i);
    REQUIRE(builder.add({.key = "k", .payload = payload, .headers = {}, .time_us = 1'000}));
  }
  auto bytes = builder.build({});
  batch::patch_server_fields(bytes.mutable_data(), 1, base, 77);
  return bytes;
}

SharedBytes joined(const std::vector<SharedBytes>& pieces) {
  std::vector<std::uint8_t> all;
  for (const auto& piece : pieces) all.insert(all.end(), piece.span().begin(), piece.span().end());
  return SharedBytes::copy_of(all);
}

std::vector<Offset> offsets_of(MessageBatch& batch) {
  std::vector<Offset> offsets;
  Message message;
  while (batch.next(message)) {
    CHECK(message.payload == "m" + std::to_string(message.offset));
    CHECK(message.append_time_us == 77);
    offsets.push_back(message.offset);
  }
  CHECK(batch.status().has_value());
  return offsets;
}

}  // namespace

TEST_CASE("only the messages of the ranges are handed out, over the ends of batches") {
  const auto bytes = joined({batch_at(10, 5), batch_at(15, 3, Compression::kLz4), batch_at(40, 2)});
  auto batch = MessageBatch::open(3, bytes, {{12, 12}, {14, 16}, {41, 41}});
  REQUIRE(batch.has_value());
  CHECK(batch->count() == 5);
  CHECK(offsets_of(*batch) == std::vector<Offset>{12, 14, 15, 16, 41});
  batch->rewind();
  CHECK(offsets_of(*batch).size() == 5);
}

TEST_CASE("a redelivered message before newer ones, from a batch that comes twice") {
  const auto bytes = joined({batch_at(10, 5), batch_at(20, 2), batch_at(10, 5)});
  auto batch =
      MessageBatch::open(0, bytes, {{11, 11}, {20, 21}, {13, 13}}, {{13, 4, 900}, {11, 1, 700}});
  REQUIRE(batch.has_value());
  Message message;
  using Seen = std::tuple<Offset, std::uint32_t, TimeUs>;
  std::vector<Seen> seen;
  while (batch->next(message))
    seen.emplace_back(message.offset, message.delivery_count, message.first_delivered_us);
  CHECK(seen == std::vector<Seen>{{11, 2, 700}, {20, 1, 0}, {21, 1, 0}, {13, 5, 900}});
}

TEST_CASE("a batch moves together with its views") {
  auto opened = MessageBatch::open(0, batch_at(0, 100, Compression::kZstd), {{0, 99}});
  REQUIRE(opened.has_value());
  MessageBatch moved = std::move(*opened);
  CHECK(offsets_of(moved).size() == 100);
}

TEST_CASE("damaged bytes and ranges that are not there are refused") {
  auto damaged = batch_at(0, 3);
  damaged.mutable_data()[damaged.size() - 1] ^= 1;
  CHECK(MessageBatch::open(0, damaged, {{0, 2}}).error().code == ErrorCode::kBadChecksum);
  CHECK(MessageBatch::open(0, batch_at(0, 3), {{2, 3}}).error().code == ErrorCode::kBadBatch);
  CHECK(MessageBatch::open(0, batch_at(5, 3), {{4, 5}}).error().code == ErrorCode::kBadBatch);
}

TEST_CASE("another stamp changes the producer's fields only, and the batch stays valid") {
  const auto before = batch_at(0, 10, Compression::kLz4);
  const auto after = with_stamp(before, {.producer_id = 7, .producer_epoch = 3, .sequence = 11});
  const auto header = batch::verify_batch(after.span());
  REQUIRE(header.has_value());
  CHECK(header->producer_id == 7);
  CHECK(header->producer_epoch == 3);
  CHECK(header->sequence == 11);
  CHECK(header->count == 10);
  // Somebody else holds `before`: it must not have changed.
  CHECK(batch::verify_batch(before.span())->producer_id == 0);
}

}  // namespace andyx::client
