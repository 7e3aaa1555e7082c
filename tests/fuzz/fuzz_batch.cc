// Any bytes as a record batch: what the server accepts, a consumer can read in full; what it
// refuses does no harm to a reader that tries nevertheless.
#include <cstring>
#include <vector>

#include "protocol/base/limits.h"
#include "protocol/batch/batch_builder.h"
#include "protocol/batch/batch_reader.h"
#include "protocol/batch/byte_order.h"
#include "protocol/batch/checksum.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

using namespace andyx;

std::size_t message_bytes(const batch::Record& record) {
  std::size_t size = record.payload.size() + (record.key ? record.key->size() : 0);
  for (const auto& header : record.headers) size += header.name.size() + header.value.size();
  return size;
}

void check_equal(const batch::Record& a, const batch::Record& b) {
  FUZZ_CHECK(a.key == b.key && a.payload == b.payload && a.time_us == b.time_us);
  FUZZ_CHECK(a.message_id_hash == b.message_id_hash);
  FUZZ_CHECK(a.deliver_at_us == b.deliver_at_us && a.headers.size() == b.headers.size());
  for (std::size_t h = 0; h < a.headers.size(); ++h) {
    FUZZ_CHECK(a.headers[h].name == b.headers[h].name && a.headers[h].value == b.headers[h].value);
  }
}

// The records of an accepted batch, put into a new one, are the same again.
void check_rebuilt(const batch::BatchReader& reader) {
  batch::BatchBuilder builder;
  batch::Record record, again;
  for (std::uint32_t i = 0; i < reader.count(); ++i) {
    FUZZ_CHECK(reader.read(i, record));
    if (!builder.add({record.key, record.payload, record.headers, record.time_us,
                      record.deliver_at_us, record.message_id_hash})) {
      return;  // uncompressed it is too large for one batch
    }
  }
  const auto built = builder.build({});
  FUZZ_CHECK(batch::verify_batch(built.span()));
  const auto rebuilt = batch::BatchReader::open(built.span());
  FUZZ_CHECK(rebuilt && rebuilt->count() == reader.count());
  for (std::uint32_t i = 0; i < reader.count(); ++i) {
    FUZZ_CHECK(reader.read(i, record));
    FUZZ_CHECK(rebuilt->read(i, again));
    check_equal(record, again);
  }
}

void check_batch(ByteSpan bytes) {
  const auto header = batch::verify_batch(bytes);
  const auto reader = batch::BatchReader::open(bytes);
  if (header) FUZZ_CHECK(reader);
  if (!reader) return;
  std::size_t largest = 0;
  batch::Record record;
  for (std::uint32_t i = 0; i < reader->count(); ++i) {
    const bool ok = reader->read(i, record).has_value();
    if (!header) continue;
    FUZZ_CHECK(ok);
    FUZZ_CHECK(record.offset == header->base_offset + i);
    FUZZ_CHECK(record.key.has_value() == (batch::table_entry(bytes, i).key_hash != 0));
    largest = std::max(largest, message_bytes(record));
  }
  if (!header) return;
  FUZZ_CHECK(largest <= limits::kMaxMessageBytes);
  FUZZ_CHECK(largest == batch::largest_message_bytes(bytes, *header));
  check_rebuilt(*reader);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint8_t> bytes(data, data + size);
  check_batch(bytes);
  if (const auto batches = batch::split_batches(bytes)) {
    std::size_t total = 0;
    for (const auto batch : *batches) total += batch.size();
    FUZZ_CHECK(total == bytes.size());
  }
  // Past size and checksum, which a fuzzer hardly finds by itself.
  if (size >= batch::kHeaderBytes) {
    batch::store(bytes.data() + batch::at::kSize, static_cast<std::uint32_t>(size));
    batch::store(bytes.data() + batch::at::kChecksum,
                 batch::checksum64(ByteSpan(bytes).subspan(batch::kChecksumFrom)));
    check_batch(bytes);
  }
  return 0;
}
