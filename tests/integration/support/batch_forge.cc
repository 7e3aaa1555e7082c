#include "tests/integration/support/batch_forge.h"

#include <doctest/doctest.h>

#include <cstring>

#include "protocol/batch/batch_builder.h"
#include "protocol/batch/checksum.h"
#include "protocol/batch/compression.h"

namespace andyx::test {
namespace {

void put_bytes(Bytes& batch, std::size_t at, const void* value, std::size_t size) {
  REQUIRE(at + size <= batch.size());
  std::memcpy(batch.data() + at, value, size);
}

}  // namespace

Bytes good_batch(std::uint32_t records, std::size_t payload_bytes) {
  batch::BatchBuilder builder;
  const std::string payload(payload_bytes, 'g');
  for (std::uint32_t i = 0; i < records; ++i) {
    REQUIRE(builder.add({.key = std::nullopt, .payload = payload, .headers = {}}).has_value());
  }
  const SharedBytes built = builder.build({});
  return {built.data(), built.data() + built.size()};
}

void put_u32(Bytes& batch, std::size_t at, std::uint32_t value) {
  put_bytes(batch, at, &value, sizeof value);
}

void put_u64(Bytes& batch, std::size_t at, std::uint64_t value) {
  put_bytes(batch, at, &value, sizeof value);
}

void seal(Bytes& batch) {
  put_u64(batch, batch::at::kChecksum,
          batch::checksum64(ByteSpan(batch).subspan(batch::kChecksumFrom)));
}

Bytes forge_batch(const Forged& forged) {
  Bytes batch(kForgedBodyAt + forged.body.size());
  put_bytes(batch, kForgedBodyAt, forged.body.data(), forged.body.size());
  batch[batch::at::kVersion] = batch::kVersion;
  batch[batch::at::kCompression] = static_cast<std::uint8_t>(forged.compression);
  put_u32(batch, batch::at::kSize, static_cast<std::uint32_t>(batch.size()));
  put_u32(batch, batch::at::kCount, 1);
  put_u32(batch, batch::at::kBodyBytes, forged.stated_body_bytes);
  seal(batch);
  return batch;
}

Bytes one_record_body(std::size_t payload_bytes) {
  Bytes body(3 + payload_bytes, 'p');
  body[0] = body[1] = body[2] = 0;  // time of the first record, no key, no headers
  return body;
}

Bytes compressed(batch::Compression kind, const Bytes& body) {
  Bytes out;
  REQUIRE(batch::compress(kind, body, out));
  return out;
}

}  // namespace andyx::test
