// Reading and checking record batches. Views: they borrow the bytes. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/ids.h"
#include "protocol/base/shared_bytes.h"
#include "protocol/batch/batch_format.h"

namespace andyx::batch {

struct Header {
  MainEpoch main_epoch = 0;
  Offset base_offset = 0;
  TimeUs append_time_us = 0;
  std::uint64_t checksum = 0;
  std::uint32_t size_bytes = 0;
  std::uint32_t count = 0;
  Compression compression = Compression::kNone;
  std::uint8_t flags = 0;
  std::uint32_t body_bytes = 0;
  ProducerId producer_id = 0;
  std::uint64_t sequence = 0;
  std::uint32_t producer_epoch = 0;
  TimeUs first_time_us = 0;
  TimeUs last_time_us = 0;

  Offset last_offset() const { return base_offset + count - 1; }
  Offset end_offset() const { return base_offset + count; }
};

// Reads the header and checks the cheap things: version, sizes against bytes.size() (which must be
// at least size_bytes; more may follow), zeros, count, table inside the batch. kBadBatch otherwise.
Result<Header> read_header(ByteSpan bytes);

// Checksum of a whole batch (bytes.size() == size_bytes) against its header. kBadChecksum
// otherwise.
Status verify_checksum(ByteSpan batch, const Header& header);

// Everything a server checks before it accepts a batch: header, exact size, checksum, table, the
// body decompressed and every record's structure and limits. kBadBatch, kBadChecksum,
// kDecompressionFailed or kMessageTooLarge. Uses a thread-local scratch buffer for compressed
// bodies (bounded by kMaxBatchBytes); allocates nothing else.
Result<Header> verify_batch(ByteSpan batch);

// Key, headers and payload of the largest message of a batch that verify_batch has accepted: for
// servers with a limit below kMaxMessageBytes.
std::size_t largest_message_bytes(ByteSpan batch, const Header& header);

// The server's fields, in place. `batch` starts at the batch's first byte.
void patch_server_fields(std::uint8_t* batch, MainEpoch epoch, Offset base_offset,
                         TimeUs append_time_us);

struct TableEntry {
  std::uint32_t position;
  std::uint32_t key_hash;  // 0: without a key
};
TableEntry table_entry(ByteSpan batch, std::uint32_t index);  // no checks: after verify_batch
TimeUs deliver_at_us(ByteSpan batch, std::uint32_t index);    // likewise; 0: at once
std::uint64_t message_id_hash(ByteSpan batch, std::uint32_t index);  // likewise; 0: none

struct RecordHeader {
  std::string_view name, value;
};

// One decoded message: views into the batch, or into the reader's decompressed body.
struct Record {
  Offset offset = 0;
  TimeUs time_us = 0;
  TimeUs append_time_us = 0;
  TimeUs deliver_at_us = 0;
  std::uint64_t message_id_hash = 0;  // 0: without an id
  std::optional<std::string_view> key;
  std::string_view payload;
  std::vector<RecordHeader> headers;  // reused between calls of BatchReader::next
};

// Iterates over the records of one verified or untrusted batch; checks bounds as it goes.
class BatchReader {
 public:
  // Checks header and checksum and decompresses the body (kept inside the reader).
  static Result<BatchReader> open(ByteSpan batch);

  // The views lead into the reader itself: it moves, but is not copied.
  BatchReader(BatchReader&&) = default;
  BatchReader& operator=(BatchReader&&) = default;

  const Header& header() const { return header_; }
  std::uint32_t count() const { return header_.count; }
  // Record `index` < count(), in O(1). Overwrites `record`, reusing its vector.
  Status read(std::uint32_t index, Record& record) const;

 private:
  BatchReader() = default;

  Header header_;
  ByteSpan batch_;
  ByteSpan body_;
  std::vector<std::uint8_t> decompressed_;
};

// Splits `bytes`, a run of whole batches one after the other, into views. kBadBatch on a torn end.
Result<std::vector<ByteSpan>> split_batches(ByteSpan bytes);

}  // namespace andyx::batch
