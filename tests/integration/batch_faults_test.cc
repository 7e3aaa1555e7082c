// Record batches that lie, against a real server: each is refused with its own code and nothing of
// it is stored.
#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <vector>

#include "protocol/base/limits.h"
#include "tests/integration/support/batch_forge.h"
#include "tests/integration/support/raw_connection.h"
#include "tests/integration/support/server_process.h"

namespace andyx::test {
namespace {

using batch::Compression;

struct Fault {
  std::string name;
  Bytes batch;
  ErrorCode code;
};

Bytes with_u32(Bytes batch, std::size_t at, std::uint32_t value) {
  put_u32(batch, at, value);
  seal(batch);
  return batch;
}

Bytes with_byte(Bytes batch, std::size_t at, std::uint8_t value) {
  batch.at(at) = value;
  seal(batch);
  return batch;
}

// Of a batch without keys.
std::size_t table_entry_at(std::uint32_t index) {
  return batch::kHeaderBytes + index * batch::kKeylessEntryBytes;
}

std::vector<Fault> structural_faults() {
  Bytes damaged = good_batch(3);
  damaged.back() ^= 1;
  Bytes wrong_sum = good_batch(3);
  put_u64(wrong_sum, batch::at::kChecksum, 4'711);
  const Bytes good = good_batch(3);
  const auto size = static_cast<std::uint32_t>(good.size());
  Bytes longer = good;
  longer.push_back(0);
  std::uint32_t position_of_1 = 0;
  std::memcpy(&position_of_1, good.data() + table_entry_at(1), sizeof position_of_1);
  return {
      {"a flipped bit in the payload", damaged, ErrorCode::kBadChecksum},
      {"a wrong checksum", wrong_sum, ErrorCode::kBadChecksum},
      {"one record fewer than stated", with_u32(good, batch::at::kCount, 4), ErrorCode::kBadBatch},
      {"no records", with_u32(good, batch::at::kCount, 0), ErrorCode::kBadBatch},
      {"a count over the limit", with_u32(good, batch::at::kCount, limits::kMaxBatchRecords + 1),
       ErrorCode::kBadBatch},
      {"the largest count", with_u32(good, batch::at::kCount, 0xFFFFFFFF), ErrorCode::kBadBatch},
      {"a size over the bytes", with_u32(good, batch::at::kSize, size + 1), ErrorCode::kBadBatch},
      {"a size under the bytes", longer, ErrorCode::kBadBatch},
      {"positions that do not rise", with_u32(good, table_entry_at(2), position_of_1),
       ErrorCode::kBadBatch},
      {"a first position that is not 0", with_u32(good, table_entry_at(0), 1),
       ErrorCode::kBadBatch},
      {"a position outside the body", with_u32(good, table_entry_at(2), 1'000'000),
       ErrorCode::kBadBatch},
      {"another version", with_byte(good, batch::at::kVersion, 2), ErrorCode::kBadBatch},
      {"an unknown compression", with_byte(good, batch::at::kCompression, 9), ErrorCode::kBadBatch},
      {"an unknown flag", with_byte(good, batch::at::kFlags, 0x80), ErrorCode::kBadBatch},
      {"no bytes at all", {}, ErrorCode::kBadBatch},
      {"half a header", Bytes(good.begin(), good.begin() + 40), ErrorCode::kBadBatch},
  };
}

std::vector<Fault> swelling_faults() {
  std::vector<Fault> faults;
  const Bytes bomb_body = one_record_body(100 * limits::kMiB);
  const Bytes small_body = one_record_body(1'000);
  for (const Compression kind : {Compression::kLz4, Compression::kZstd}) {
    const std::string name = kind == Compression::kLz4 ? "LZ4: " : "Zstd: ";
    const auto forge = [&](std::uint32_t stated, const Bytes& body) {
      return forge_batch(
          {.compression = kind, .stated_body_bytes = stated, .body = compressed(kind, body)});
    };
    const auto bomb_bytes = static_cast<std::uint32_t>(bomb_body.size());
    faults.push_back(
        {name + "a bomb that states its size", forge(bomb_bytes, bomb_body), ErrorCode::kBadBatch});
    faults.push_back({name + "a bomb that states a small size", forge(1'000, bomb_body),
                      ErrorCode::kDecompressionFailed});
    faults.push_back({name + "less than stated", forge(8 * limits::kMiB, small_body),
                      ErrorCode::kDecompressionFailed});
    Bytes noise = forge(1'003, small_body);
    for (std::size_t i = kForgedBodyAt; i < noise.size(); ++i) noise[i] = 0xA5;
    seal(noise);
    faults.push_back(
        {name + "bytes that do not decompress", noise, ErrorCode::kDecompressionFailed});
  }
  return faults;
}

std::vector<Fault> size_faults() {
  const auto stated = [](const Bytes& body) { return static_cast<std::uint32_t>(body.size()); };
  const Bytes over = one_record_body(limits::kMaxMessageBytes + 1);
  return {
      {"a message over the limit", forge_batch({.stated_body_bytes = stated(over), .body = over}),
       ErrorCode::kMessageTooLarge},
      {"a message over the limit, compressed",
       forge_batch({.compression = Compression::kZstd,
                    .stated_body_bytes = stated(over),
                    .body = compressed(Compression::kZstd, over)}),
       ErrorCode::kMessageTooLarge},
  };
}

// After a batch that lies the connection is closed; one that is merely too large leaves it open.
enum class Afterwards { kClosed, kOpen };

void require_all_refused(const std::vector<Fault>& faults, Afterwards afterwards) {
  ServerProcess server;
  server.start();
  RawConnection bystander(server.port());
  bystander.hello();
  const RawConnection::Partition partition{.topic_id = bystander.create_topic("faults"),
                                           .index = 0};
  Offset stored = 0;
  for (const Fault& fault : faults) {
    INFO("fault: ", fault.name);
    RawConnection connection(server.port());
    connection.hello();
    require_error(connection.produce(partition, fault.batch), fault.code);
    if (afterwards == Afterwards::kClosed) {
      CHECK_MESSAGE(connection.wait_closed(), "the connection stays open after a batch that lies");
    } else {
      connection.ping();
    }
    REQUIRE(bystander.produce_text(partition, "good") == stored++);
  }
  CHECK(bystander.committed_offset(partition) == stored);
}

TEST_CASE("a batch with a wrong checksum, count, position or header is refused") {
  require_all_refused(structural_faults(), Afterwards::kClosed);
}

TEST_CASE("a batch that does not decompress to what it states is refused") {
  require_all_refused(swelling_faults(), Afterwards::kClosed);
}

TEST_CASE("a message over the limit is refused with its own code") {
  require_all_refused(size_faults(), Afterwards::kOpen);
}

TEST_CASE("the largest message allowed is stored and comes back") {
  ServerProcess server;
  server.start();
  RawConnection connection(server.port());
  connection.hello();
  const RawConnection::Partition partition{.topic_id = connection.create_topic("large"),
                                           .index = 0};
  const Bytes body = one_record_body(limits::kMaxMessageBytes);
  const Bytes batch =
      forge_batch({.stated_body_bytes = static_cast<std::uint32_t>(body.size()), .body = body});
  REQUIRE(connection.produce(partition, batch).as<protocol::ProduceReply>() != nullptr);
  const Received answer = connection.request<protocol::Read>([&](Builder& builder) {
    return protocol::CreateRead(builder, partition.topic_id, 0, 0, 0, 1'000);
  });
  const auto* reply = answer.as<protocol::ReadReply>();
  REQUIRE(reply != nullptr);
  REQUIRE(reply->batches() != nullptr);
  REQUIRE(reply->batches()->size() == batch.size());
  CHECK(std::memcmp(reply->batches()->data() + batch::kChecksumFrom,
                    batch.data() + batch::kChecksumFrom, batch.size() - batch::kChecksumFrom) == 0);
}

}  // namespace
}  // namespace andyx::test
