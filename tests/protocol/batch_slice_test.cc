#include "protocol/batch/batch_slice.h"

#include <doctest/doctest.h>

#include <string>

#include "protocol/batch/batch_builder.h"
#include "protocol/batch/batch_reader.h"

using namespace andyx;

namespace {

constexpr std::uint32_t kCount = 20;

SharedBytes ten_keyed_and_ten_not(batch::Compression compression) {
  batch::BatchBuilder builder(compression);
  const batch::RecordHeader header{"trace", "abc"};
  for (std::uint32_t i = 0; i < kCount; ++i) {
    const std::string key = "key-" + std::to_string(i), payload(50 + i, static_cast<char>('a' + i));
    batch::RecordInput input{.payload = payload,
                             .time_us = 1'000 + i,
                             .deliver_at_us = i == 7 ? 5'000 : 0,
                             .message_id_hash = i == 8 ? 99u : 0u};
    if (i < kCount / 2) input.key = key;
    if (i == 3) input.headers = {&header, 1};
    REQUIRE(builder.add(input));
  }
  SharedBytes batch = builder.build({.producer_id = 9, .producer_epoch = 1, .sequence = 4});
  batch::patch_server_fields(batch.mutable_data(), 6, 100, 77'000);
  return batch;
}

}  // namespace

TEST_CASE("a slice is a batch of its own with the same messages at the same offsets") {
  for (auto compression :
       {batch::Compression::kNone, batch::Compression::kLz4, batch::Compression::kZstd}) {
    const SharedBytes whole = ten_keyed_and_ten_not(compression);
    auto original = batch::BatchReader::open(whole.span());
    REQUIRE(original);
    for (std::uint32_t first = 0; first < kCount; ++first) {
      for (std::uint32_t count : {1u, 3u, kCount - first}) {
        if (count > kCount - first) continue;
        auto slice = batch::slice_batch(whole.span(), first, count);
        REQUIRE(slice);
        auto header = batch::verify_batch(slice->span());
        REQUIRE(header);
        CHECK(header->base_offset == 100 + first);
        CHECK(header->count == count);
        CHECK(header->main_epoch == 6);
        CHECK(header->append_time_us == 77'000);
        CHECK(header->producer_id == 0);
        auto reader = batch::BatchReader::open(slice->span());
        REQUIRE(reader);
        batch::Record expected, found;
        for (std::uint32_t i = 0; i < count; ++i) {
          REQUIRE(original->read(first + i, expected));
          REQUIRE(reader->read(i, found));
          CHECK(found.offset == expected.offset);
          CHECK(found.key == expected.key);
          CHECK(found.payload == expected.payload);
          CHECK(found.time_us == expected.time_us);
          CHECK(found.deliver_at_us == expected.deliver_at_us);
          CHECK(found.message_id_hash == expected.message_id_hash);
          REQUIRE(found.headers.size() == expected.headers.size());
          if (!found.headers.empty()) CHECK(found.headers[0].value == expected.headers[0].value);
        }
      }
    }
  }
}

TEST_CASE("a damaged batch is not sliced") {
  SharedBytes whole = ten_keyed_and_ten_not(batch::Compression::kNone);
  whole.mutable_data()[whole.size() - 1] ^= 1;
  auto slice = batch::slice_batch(whole.span(), 0, 1);
  REQUIRE_FALSE(slice);
  CHECK(slice.error().code == ErrorCode::kBadChecksum);
}
