// Record batches that no builder would make: good ones with fields overwritten, sums that lie,
// bodies that swell. Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "protocol/batch/batch_format.h"
#include "tests/integration/support/raw_connection.h"

namespace andyx::test {

Bytes good_batch(std::uint32_t records, std::size_t payload_bytes = 20);

// Little-endian, in place.
void put_u32(Bytes& batch, std::size_t at, std::uint32_t value);
void put_u64(Bytes& batch, std::size_t at, std::uint64_t value);
// Makes the checksum right again, so that only what was overwritten is wrong.
void seal(Bytes& batch);

// Where the body of a forged batch begins: behind a table of one record, key hash included.
inline constexpr std::size_t kForgedBodyAt = batch::kHeaderBytes + batch::kTableEntryBytes;

// One record whose body is `body` as it stands, whatever the header states.
struct Forged {
  batch::Compression compression = batch::Compression::kNone;
  std::uint32_t stated_body_bytes = 0;
  Bytes body;
};
Bytes forge_batch(const Forged& forged);

// One keyless record with `payload_bytes` of payload, as an uncompressed body.
Bytes one_record_body(std::size_t payload_bytes);
Bytes compressed(batch::Compression kind, const Bytes& body);

}  // namespace andyx::test
