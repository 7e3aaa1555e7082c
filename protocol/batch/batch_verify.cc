// What a server checks before it accepts a batch: one pass over the records, without allocation.
#include <algorithm>
#include <cassert>
#include <string>

#include "protocol/base/limits.h"
#include "protocol/batch/batch_reader.h"
#include "protocol/batch/byte_order.h"
#include "protocol/batch/compression.h"
#include "protocol/batch/key_hash.h"
#include "protocol/batch/record_decode.h"

namespace andyx::batch {
namespace {

// Text is made of it only when there is a fault.
struct Fault {
  const char* what = nullptr;
  ErrorCode code = ErrorCode::kBadBatch;
  std::uint32_t record = 0;
};

// Scratch for decompressed bodies: grows to the largest body seen, at most kMaxBatchBytes.
std::span<std::uint8_t> scratch(std::size_t size_bytes) {
  thread_local std::vector<std::uint8_t> bytes;
  if (bytes.size() < size_bytes) bytes.resize(size_bytes);
  return std::span(bytes).first(size_bytes);
}

// The body as it was before compression: the batch's own bytes, or the scratch.
Result<ByteSpan> plain_body(ByteSpan batch, const Header& header) {
  const ByteSpan stored = batch.subspan(body_offset(header));
  if (header.compression == Compression::kNone) return stored;
  const auto plain = scratch(header.body_bytes);
  if (auto status = decompress(header.compression, stored, plain); !status) {
    return std::unexpected(status.error());
  }
  return plain;
}

Fault check_records(const std::uint8_t* table, const Header& header, ByteSpan body) {
  const std::uint32_t body_bytes = header.body_bytes;
  const std::size_t each = entry_bytes(header.flags);
  const bool keyless = (header.flags & kFlagNoKeys) != 0;
  TimeUs last_time_us = header.first_time_us;
  std::uint32_t begin = load<std::uint32_t>(table);
  if (begin != 0) return {"the position of the first record is not 0"};
  for (std::uint32_t i = 0; i < header.count; ++i, table += each) {
    const std::uint32_t end = i + 1 < header.count ? load<std::uint32_t>(table + each) : body_bytes;
    if (end <= begin || end > body_bytes) {
      return {"positions do not rise, or lead out of the body", ErrorCode::kBadBatch, i};
    }

    RecordParts parts;
    std::size_t header_bytes = 0;
    const char* const what =
        decode_record(body.data() + begin, body.data() + end, header.first_time_us, parts,
                      [&](std::string_view name, std::string_view value) {
                        header_bytes += name.size() + value.size();
                      });
    if (what != nullptr) return {what, ErrorCode::kBadBatch, i};
    if (parts.key.size() + header_bytes + parts.payload.size() > limits::kMaxMessageBytes) {
      return {"the message is over the limit of 8 MiB", ErrorCode::kMessageTooLarge, i};
    }
    if (keyless) {
      if (parts.has_key) return {"it has a key, flag bit 2 says none has", ErrorCode::kBadBatch, i};
    } else {
      const std::uint32_t key_hash = parts.has_key ? table_key_hash(parts.key) : 0;
      if (load<std::uint32_t>(table + kKeylessEntryBytes) != key_hash) {
        return {"its key_hash in the table is not its key's", ErrorCode::kBadBatch, i};
      }
    }
    if (i == 0 && parts.time_us != header.first_time_us) {
      return {"first_time_us is not its time", ErrorCode::kBadBatch, i};
    }
    last_time_us = std::max(last_time_us, parts.time_us);
    begin = end;
  }
  if (last_time_us != header.last_time_us) {
    return {"last_time_us is not the largest time of the records", ErrorCode::kBadBatch,
            header.count - 1};
  }
  return {};
}

}  // namespace

Result<Header> verify_batch(ByteSpan batch) {
  auto header = read_header(batch);
  if (!header) return header;
  if (auto status = verify_checksum(batch, *header); !status)
    return std::unexpected(status.error());

  const auto body = plain_body(batch, *header);
  if (!body) return std::unexpected(body.error());
  const Fault fault = check_records(batch.data() + kHeaderBytes, *header, *body);
  if (fault.what != nullptr) {
    return fail(fault.code, "record batch: record " + std::to_string(fault.record) + " of " +
                                std::to_string(header->count) + ": " + fault.what);
  }
  return header;
}

std::size_t largest_message_bytes(ByteSpan batch, const Header& header) {
  const auto body = plain_body(batch, header);
  assert(body);
  std::size_t largest = 0;
  for (std::uint32_t i = 0; i < header.count; ++i) {
    const std::size_t begin = table_entry(batch, i).position;
    const std::size_t end =
        i + 1 < header.count ? table_entry(batch, i + 1).position : body->size();
    // Most records are too small to matter, whatever their parts are.
    if (end - begin <= largest) continue;
    RecordParts parts;
    std::size_t header_bytes = 0;
    const char* const fault =
        decode_record(body->data() + begin, body->data() + end, header.first_time_us, parts,
                      [&](std::string_view name, std::string_view value) {
                        header_bytes += name.size() + value.size();
                      });
    assert(fault == nullptr);
    largest = std::max(largest, parts.key.size() + header_bytes + parts.payload.size());
  }
  return largest;
}

}  // namespace andyx::batch
