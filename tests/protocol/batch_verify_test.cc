// What a server must not accept. Each case damages a good batch in one place and states the code.
#include <doctest/doctest.h>

#include <random>

#include "protocol/base/limits.h"
#include "protocol/batch/batch_reader.h"
#include "protocol/batch/byte_order.h"
#include "protocol/batch/checksum.h"
#include "tests/protocol/batch_check.h"
#include "tests/protocol/sample_messages.h"

namespace andyx {
namespace {

using Bytes = std::vector<std::uint8_t>;
using batch::store;
namespace at = batch::at;

Bytes bytes_of(const SharedBytes& batch) { return {batch.span().begin(), batch.span().end()}; }

// A client with a mistake still makes a right checksum.
Bytes sealed(Bytes bytes) {
  store(bytes.data() + at::kChecksum,
        batch::checksum64(ByteSpan(bytes).subspan(batch::kChecksumFrom)));
  return bytes;
}

ErrorCode verify_code(ByteSpan bytes) {
  const auto header = batch::verify_batch(bytes);
  return header ? ErrorCode::kOk : header.error().code;
}

template <typename Damage>
ErrorCode code_after(Bytes bytes, Damage&& damage) {
  damage(bytes);
  return verify_code(sealed(std::move(bytes)));
}

const Bytes kGood = bytes_of(test::build_batch(test::rich_messages()));
const std::size_t kBodyAt = batch::kHeaderBytes + 4 * batch::kTableEntryBytes;

TEST_CASE("every flipped bit after the server's fields is found") {
  for (const auto compression :
       {batch::Compression::kNone, batch::Compression::kLz4, batch::Compression::kZstd}) {
    auto bytes = bytes_of(test::build_batch(test::many_messages(), compression));
    REQUIRE(verify_code(bytes) == ErrorCode::kOk);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const bool of_the_server = i >= at::kMainEpoch && i < at::kChecksum;
      if (of_the_server) continue;
      bytes[i] ^= static_cast<std::uint8_t>(1u << (i % 8));
      CHECK_MESSAGE(verify_code(bytes) != ErrorCode::kOk, "byte ", i);
      bytes[i] ^= static_cast<std::uint8_t>(1u << (i % 8));
    }
  }
}

TEST_CASE("a wrong checksum is told apart from a wrong structure") {
  auto bytes = kGood;
  bytes.back() ^= 1;
  CHECK(verify_code(bytes) == ErrorCode::kBadChecksum);
}

TEST_CASE("a batch with more or fewer bytes than it says is refused") {
  auto bytes = kGood;
  bytes.push_back(0);
  CHECK(verify_code(bytes) == ErrorCode::kBadBatch);
  for (std::size_t size = 0; size < kGood.size(); ++size) {
    CHECK(verify_code(ByteSpan(kGood).first(size)) == ErrorCode::kBadBatch);
  }
}

TEST_CASE("header fields out of their ranges are refused") {
  const auto set = [](std::size_t where, auto value) {
    return code_after(kGood, [&](Bytes& bytes) { store(bytes.data() + where, value); });
  };
  CHECK(set(at::kVersion, std::uint8_t{0}) == ErrorCode::kBadBatch);
  CHECK(set(at::kVersion, std::uint8_t{2}) == ErrorCode::kBadBatch);
  CHECK(set(1, std::uint8_t{1}) == ErrorCode::kBadBatch);
  CHECK(set(3, std::uint8_t{1}) == ErrorCode::kBadBatch);
  CHECK(set(at::kZeros, std::uint16_t{1}) == ErrorCode::kBadBatch);
  CHECK(set(at::kZeros2, std::uint32_t{1}) == ErrorCode::kBadBatch);
  CHECK(set(at::kCompression, std::uint8_t{3}) == ErrorCode::kBadBatch);
  CHECK(set(at::kFlags, std::uint8_t{8}) == ErrorCode::kBadBatch);
  CHECK(set(at::kFlags, batch::kFlagMessageIds) == ErrorCode::kBadBatch);
  CHECK(set(at::kFlags, batch::kFlagDeliverAt) == ErrorCode::kBadBatch);
  CHECK(set(at::kFlags, batch::kFlagNoKeys) == ErrorCode::kBadBatch);
  CHECK(set(at::kBodyBytes, std::uint32_t{0}) == ErrorCode::kBadBatch);
  CHECK(set(at::kBodyBytes, ~std::uint32_t{0}) == ErrorCode::kBadBatch);
  CHECK(set(at::kSize, std::uint32_t{0}) == ErrorCode::kBadBatch);
  CHECK(set(at::kSize, ~std::uint32_t{0}) == ErrorCode::kBadBatch);
  CHECK(set(at::kFirstTime, test::kSampleTimeUs + 1) == ErrorCode::kBadBatch);
  CHECK(set(at::kLastTime, test::kSampleTimeUs) == ErrorCode::kBadBatch);
}

TEST_CASE("a wrong count is refused, up or down") {
  for (const std::uint32_t count : {0u, 1u, 3u, 5u, 30u, limits::kMaxBatchRecords, ~0u}) {
    CAPTURE(count);
    CHECK(code_after(kGood, [&](Bytes& bytes) { store(bytes.data() + at::kCount, count); }) ==
          ErrorCode::kBadBatch);
  }
}

TEST_CASE("positions must begin at 0, rise, and stay in the body") {
  const auto position = [](std::size_t index, std::uint32_t value) {
    return code_after(kGood, [&](Bytes& bytes) {
      store(bytes.data() + batch::kHeaderBytes + index * batch::kTableEntryBytes, value);
    });
  };
  const auto third = batch::table_entry(kGood, 2).position;
  CHECK(position(0, 1) == ErrorCode::kBadBatch);
  CHECK(position(1, 0) == ErrorCode::kBadBatch);
  CHECK(position(1, third) == ErrorCode::kBadBatch);
  CHECK(position(1, third + 1) == ErrorCode::kBadBatch);
  CHECK(position(3, static_cast<std::uint32_t>(kGood.size() - kBodyAt)) == ErrorCode::kBadBatch);
  CHECK(position(3, ~std::uint32_t{0}) == ErrorCode::kBadBatch);
}

TEST_CASE("the table's key hashes must be those of the keys") {
  for (std::size_t index = 0; index < 4; ++index) {
    CAPTURE(index);
    CHECK(code_after(kGood, [&](Bytes& bytes) {
            bytes[batch::kHeaderBytes + index * batch::kTableEntryBytes + 4] ^= 1;
          }) == ErrorCode::kBadBatch);
  }
}

TEST_CASE("a record with a key is refused where the table says that none has one") {
  Bytes keyless(batch::kHeaderBytes + batch::kKeylessEntryBytes);
  keyless[at::kVersion] = batch::kVersion;
  keyless[at::kFlags] = batch::kFlagNoKeys;
  const Bytes body = {0, 2, 'k', 0, 'p'};  // time, key of one byte, no headers, payload
  keyless.insert(keyless.end(), body.begin(), body.end());
  store(keyless.data() + at::kSize, static_cast<std::uint32_t>(keyless.size()));
  store(keyless.data() + at::kCount, 1u);
  store(keyless.data() + at::kBodyBytes, static_cast<std::uint32_t>(body.size()));
  CHECK(verify_code(sealed(keyless)) == ErrorCode::kBadBatch);
  // Without the key, and 'k' as no headers: a good batch.
  const auto key_at = batch::kHeaderBytes + batch::kKeylessEntryBytes + 1;
  keyless[key_at] = keyless[key_at + 1] = 0;
  CHECK(verify_code(sealed(keyless)) == ErrorCode::kOk);
}

// One record whose body is given as it is.
Bytes batch_of_body(const Bytes& body) {
  Bytes bytes(batch::kHeaderBytes + batch::kTableEntryBytes);
  bytes[at::kVersion] = batch::kVersion;
  bytes.insert(bytes.end(), body.begin(), body.end());
  store(bytes.data() + at::kSize, static_cast<std::uint32_t>(bytes.size()));
  store(bytes.data() + at::kCount, 1u);
  store(bytes.data() + at::kBodyBytes, static_cast<std::uint32_t>(body.size()));
  return sealed(std::move(bytes));
}

TEST_CASE("records that are cut off or lead out of themselves are refused") {
  CHECK(verify_code(batch_of_body({0, 0, 0})) == ErrorCode::kOk);
  CHECK(verify_code(batch_of_body({0})) == ErrorCode::kBadBatch);          // no key
  CHECK(verify_code(batch_of_body({0x80})) == ErrorCode::kBadBatch);       // time cut off
  CHECK(verify_code(batch_of_body({0, 0})) == ErrorCode::kBadBatch);       // no headers
  CHECK(verify_code(batch_of_body({2, 0, 0})) == ErrorCode::kBadBatch);    // not first_time_us
  CHECK(verify_code(batch_of_body({0, 3, 'k'})) == ErrorCode::kBadBatch);  // key too long
  CHECK(verify_code(batch_of_body({0, 0, 1})) == ErrorCode::kBadBatch);    // header missing
  CHECK(verify_code(batch_of_body({0, 0, 1, 1, 'n', 0})) == ErrorCode::kOk);
  CHECK(verify_code(batch_of_body({0, 0, 1, 0, 0})) == ErrorCode::kBadBatch);  // empty name
  CHECK(verify_code(batch_of_body({0, 0, 1, 2, 'n'})) == ErrorCode::kBadBatch);
  CHECK(verify_code(batch_of_body({0, 0, 1, 1, 'n'})) == ErrorCode::kBadBatch);
  CHECK(verify_code(batch_of_body({0, 0, 1, 1, 'n', 9, 'v'})) == ErrorCode::kBadBatch);
  const std::uint8_t most = 0xff;  // lengths near 2^64 must not wrap around
  CHECK(verify_code(batch_of_body({0, most, most, most, most, most, most, most, most, most, 1,
                                   0})) == ErrorCode::kBadBatch);
  CHECK(verify_code(batch_of_body({0, 0, most, most, most, most, most, most, most, most, most,
                                   1})) == ErrorCode::kBadBatch);
}

// Each of these is whole but for the one thing.
TEST_CASE("bytes before the first record, and a first time that is not its own, are refused") {
  auto shifted = batch_of_body({0, 0, 0, 0, 0, 0});
  CHECK(verify_code(shifted) == ErrorCode::kOk);
  store(shifted.data() + batch::kHeaderBytes, 3u);
  CHECK(verify_code(sealed(shifted)) == ErrorCode::kBadBatch);

  auto later = batch_of_body({2, 0, 0});
  store(later.data() + at::kLastTime, std::int64_t{1});
  CHECK(verify_code(sealed(later)) == ErrorCode::kBadBatch);
  later[batch::kHeaderBytes + batch::kTableEntryBytes] = 0;
  store(later.data() + at::kFirstTime, std::int64_t{1});
  CHECK(verify_code(sealed(later)) == ErrorCode::kOk);
}

TEST_CASE("limits of headers hold on the server too") {
  Bytes many = {0, 0, 0xe9, 0x07};  // 1001 headers
  for (int i = 0; i < 1'001; ++i) many.insert(many.end(), {1, 'n', 0});
  CHECK(verify_code(batch_of_body(many)) == ErrorCode::kBadBatch);
  Bytes long_name = {0, 0, 1, 0x81, 0x08};  // 1025 bytes
  long_name.insert(long_name.end(), 1'025, 'n');
  long_name.push_back(0);
  CHECK(verify_code(batch_of_body(long_name)) == ErrorCode::kBadBatch);
}

TEST_CASE("a message over the limit inside of a batch that is not is refused") {
  Bytes body = {0, 0, 0};
  body.insert(body.end(), limits::kMaxMessageBytes, 'p');
  CHECK(verify_code(batch_of_body(body)) == ErrorCode::kOk);
  body.push_back('p');
  CHECK(verify_code(batch_of_body(body)) == ErrorCode::kMessageTooLarge);
}

TEST_CASE("the largest message counts key, headers and payload, not their lengths") {
  auto messages = test::many_messages();
  messages[7] = {.key = "1234567890", .headers = {{"ab", "cde"}}, .payload = std::string(985, 'p')};
  for (const auto compression : {batch::Compression::kNone, batch::Compression::kZstd}) {
    const auto built = test::build_batch(messages, compression);
    const auto header = batch::verify_batch(built.span());
    REQUIRE(header);
    CHECK(header->compression == compression);
    CHECK(batch::largest_message_bytes(built.span(), *header) == 1'000);
  }
}

TEST_CASE("a body that decompresses to another size, or over the limit, is refused") {
  for (const auto compression : {batch::Compression::kLz4, batch::Compression::kZstd}) {
    const auto good = bytes_of(test::build_batch(test::many_messages(), compression));
    const auto size = batch::load<std::uint32_t>(good.data() + at::kBodyBytes);
    const auto with = [&](std::uint32_t body_bytes) {
      return code_after(good,
                        [&](Bytes& bytes) { store(bytes.data() + at::kBodyBytes, body_bytes); });
    };
    CHECK(with(size) == ErrorCode::kOk);
    CHECK(with(size - 1) == ErrorCode::kDecompressionFailed);
    CHECK(with(size + 1) == ErrorCode::kDecompressionFailed);
    CHECK(with(limits::kMaxBatchBytes) == ErrorCode::kDecompressionFailed);
    CHECK(with(limits::kMaxBatchBytes + 1) == ErrorCode::kBadBatch);
  }
}

TEST_CASE("a compressed body with the other algorithm's name is refused") {
  const auto good = bytes_of(test::build_batch(test::many_messages(), batch::Compression::kLz4));
  CHECK(code_after(good, [](Bytes& bytes) { bytes[at::kCompression] = 2; }) ==
        ErrorCode::kDecompressionFailed);
  CHECK(code_after(good, [](Bytes& bytes) { bytes[at::kCompression] = 0; }) ==
        ErrorCode::kBadBatch);
}

// The reader takes untrusted bytes too: whatever is accepted must be readable, the rest must not
// crash.
TEST_CASE("random damage under a right checksum: accepted means readable") {
  const auto seed = std::random_device{}();
  INFO("seed ", seed);
  std::mt19937_64 random(seed);
  int accepted = 0;
  for (int round = 0; round < 30'000; ++round) {
    auto bytes = bytes_of(test::build_batch(test::delayed_messages()));
    for (auto left = 1 + random() % 3; left > 0; --left) {
      bytes[batch::kChecksumFrom + random() % (bytes.size() - batch::kChecksumFrom)] =
          static_cast<std::uint8_t>(random());
    }
    bytes = sealed(std::move(bytes));
    const bool ok = verify_code(bytes) == ErrorCode::kOk;
    accepted += ok;
    const auto reader = batch::BatchReader::open(bytes);
    if (!reader) {
      CHECK_FALSE(ok);
      continue;
    }
    batch::Record record;
    for (std::uint32_t i = 0; i < reader->count(); ++i) {
      const bool read = reader->read(i, record).has_value();
      if (ok) CHECK(read);
    }
  }
  CHECK(accepted > 0);
}

}  // namespace
}  // namespace andyx
