// Golden batches: bytes written once and committed. They fail when the format changes.
#include <doctest/doctest.h>

#include <fstream>
#include <iterator>

#include "tests/protocol/batch_check.h"
#include "tests/protocol/sample_messages.h"

namespace andyx {
namespace {

std::vector<std::uint8_t> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE_MESSAGE(file, path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<std::uint8_t> golden_bytes(const test::GoldenBatch& golden) {
  return read_file(std::string(ANDYX_SOURCE_ROOT "/tests/protocol/golden/") +
                   std::string(golden.file));
}

TEST_CASE("golden batches are accepted and hold what they always held") {
  for (const auto& golden : test::kGoldenBatches) {
    CAPTURE(golden.file);
    const auto bytes = golden_bytes(golden);
    const auto header = batch::verify_batch(bytes);
    REQUIRE_MESSAGE(header, header.error().message);
    CHECK(header->main_epoch == test::kSampleEpoch);
    CHECK(header->base_offset == test::kSampleBaseOffset);
    CHECK(header->append_time_us == test::kSampleAppendTimeUs);
    CHECK(header->compression == golden.compression);
    CHECK(header->producer_id == test::kSampleStamp.producer_id);
    CHECK(header->producer_epoch == test::kSampleStamp.producer_epoch);
    CHECK(header->sequence == test::kSampleStamp.sequence);
    CHECK(header->first_time_us == test::kSampleTimeUs);
    test::check_messages(bytes, golden.messages());
  }
}

TEST_CASE("the builder still makes the uncompressed golden batches byte for byte") {
  for (const auto& golden : test::kGoldenBatches) {
    if (!golden.written || golden.compression != batch::Compression::kNone) continue;
    CAPTURE(golden.file);
    const auto built = test::stored_batch(golden.messages());
    const auto bytes = golden_bytes(golden);
    REQUIRE(built.size() == bytes.size());
    CHECK(std::equal(bytes.begin(), bytes.end(), built.data()));
  }
}

// Laid out by hand from FORMAT.md, so that reader and builder cannot agree on a mistake.
TEST_CASE("a batch written by hand from the description is what the builder makes") {
  const std::uint8_t expected[] = {
      1,    0,    0,    0,    3,    0,    0,    0,     // version, main epoch 3
      0xe8, 0x03, 0,    0,    0,    0,    0,    0,     // base offset 1000
      0x1c, 0xd9, 0x4d, 0xc0, 0xed, 0x0d, 0x06, 0,     // append time
      0,    0,    0,    0,    0,    0,    0,    0,     // checksum: below
      100,  0,    0,    0,    1,    0,    0,    0,     // size, count
      0,    4,    0,    0,    8,    0,    0,    0,     // no compression, no keys, body 8
      0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,  // producer id
      42,   0,    0,    0,    0,    0,    0,    0,    7, 0, 0, 0, 0, 0, 0, 0,  // sequence, epoch
      0x40, 0xd3, 0x4d, 0xc0, 0xed, 0x0d, 0x06, 0,                             // first time
      0x40, 0xd3, 0x4d, 0xc0, 0xed, 0x0d, 0x06, 0,                             // last time
      0,    0,    0,    0,                                                     // position 0
      0,    0,    0,    'h',  'e',  'l',  'l',  'o',  // time +0, no key, no headers, payload
  };
  const auto built = test::stored_batch(test::plain_messages());
  REQUIRE(built.size() == sizeof expected);
  for (std::size_t i = 0; i < sizeof expected; ++i) {
    if (i >= 24 && i < 32) continue;
    CAPTURE(i);
    CHECK(static_cast<int>(built.data()[i]) == static_cast<int>(expected[i]));
  }
}

}  // namespace
}  // namespace andyx
