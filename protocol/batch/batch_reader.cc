#include "protocol/batch/batch_reader.h"

#include <cassert>
#include <string>

#include "protocol/base/limits.h"
#include "protocol/batch/byte_order.h"
#include "protocol/batch/checksum.h"
#include "protocol/batch/compression.h"
#include "protocol/batch/record_decode.h"

namespace andyx::batch {
namespace {

std::unexpected<Error> bad_batch(const std::string& what) {
  return fail(ErrorCode::kBadBatch, "record batch: " + what);
}

Status check_sizes(const Header& header, std::size_t available) {
  if (header.size_bytes > limits::kMaxBatchBytes || header.body_bytes > limits::kMaxBatchBytes) {
    return bad_batch("size_bytes " + std::to_string(header.size_bytes) + " or body_bytes " +
                     std::to_string(header.body_bytes) + " over the limit of " +
                     std::to_string(limits::kMaxBatchBytes));
  }
  if (header.size_bytes > available) {
    return bad_batch("size_bytes is " + std::to_string(header.size_bytes) + ", only " +
                     std::to_string(available) + " bytes are there");
  }
  if (header.count == 0 || header.count > limits::kMaxBatchRecords) {
    return bad_batch("count is " + std::to_string(header.count) + ", not 1 to " +
                     std::to_string(limits::kMaxBatchRecords));
  }
  const std::size_t body_at = body_offset(header);
  if (body_at >= header.size_bytes || header.body_bytes == 0) {
    return bad_batch("no room for a table of " + std::to_string(header.count) +
                     " records and a body in " + std::to_string(header.size_bytes) + " bytes");
  }
  if (header.compression == Compression::kNone &&
      header.body_bytes != header.size_bytes - body_at) {
    return bad_batch("body_bytes is " + std::to_string(header.body_bytes) + ", the body has " +
                     std::to_string(header.size_bytes - body_at));
  }
  return {};
}

// Where a column of the table begins, behind `before` bytes for each record.
const std::uint8_t* column(ByteSpan batch, std::size_t before) {
  return batch.data() + kHeaderBytes + load<std::uint32_t>(batch.data() + at::kCount) * before;
}

}  // namespace

Result<Header> read_header(ByteSpan bytes) {
  if (bytes.size() < kHeaderBytes) {
    return bad_batch(std::to_string(bytes.size()) + " bytes are less than a header");
  }
  const std::uint8_t* const in = bytes.data();
  if (in[at::kVersion] != kVersion) {
    return bad_batch("version " + std::to_string(in[at::kVersion]) + " is not known");
  }
  if ((load<std::uint32_t>(in) >> 8) != 0 || load<std::uint16_t>(in + at::kZeros) != 0 ||
      load<std::uint32_t>(in + at::kZeros2) != 0) {
    return bad_batch("a reserved field of the header is not zero");
  }
  const std::uint8_t compression = in[at::kCompression];
  if (compression > static_cast<std::uint8_t>(Compression::kZstd)) {
    return bad_batch("compression " + std::to_string(compression) + " is not known");
  }
  if ((in[at::kFlags] & ~(kFlagDeliverAt | kFlagMessageIds | kFlagNoKeys)) != 0) {
    return bad_batch("flags " + std::to_string(in[at::kFlags]) + " are not known");
  }
  const Header header{.main_epoch = load<std::uint32_t>(in + at::kMainEpoch),
                      .base_offset = load<std::uint64_t>(in + at::kBaseOffset),
                      .append_time_us = load<std::int64_t>(in + at::kAppendTime),
                      .checksum = load<std::uint64_t>(in + at::kChecksum),
                      .size_bytes = load<std::uint32_t>(in + at::kSize),
                      .count = load<std::uint32_t>(in + at::kCount),
                      .compression = static_cast<Compression>(compression),
                      .flags = in[at::kFlags],
                      .body_bytes = load<std::uint32_t>(in + at::kBodyBytes),
                      .producer_id = load<std::uint64_t>(in + at::kProducerId),
                      .sequence = load<std::uint64_t>(in + at::kSequence),
                      .producer_epoch = load<std::uint32_t>(in + at::kProducerEpoch),
                      .first_time_us = load<std::int64_t>(in + at::kFirstTime),
                      .last_time_us = load<std::int64_t>(in + at::kLastTime)};
  if (auto status = check_sizes(header, bytes.size()); !status)
    return std::unexpected(status.error());
  return header;
}

Status verify_checksum(ByteSpan batch, const Header& header) {
  if (batch.size() != header.size_bytes) {
    return bad_batch(std::to_string(batch.size()) + " bytes are given, size_bytes is " +
                     std::to_string(header.size_bytes));
  }
  const std::uint64_t computed = checksum64(batch.subspan(kChecksumFrom));
  if (computed != header.checksum) {
    return fail(ErrorCode::kBadChecksum, "record batch of " + std::to_string(batch.size()) +
                                             " bytes: the checksum is stated as " +
                                             std::to_string(header.checksum) + ", the bytes give " +
                                             std::to_string(computed));
  }
  return {};
}

void patch_server_fields(std::uint8_t* batch, MainEpoch epoch, Offset base_offset,
                         TimeUs append_time_us) {
  store(batch + at::kMainEpoch, epoch);
  store(batch + at::kBaseOffset, base_offset);
  store(batch + at::kAppendTime, append_time_us);
}

TableEntry table_entry(ByteSpan batch, std::uint32_t index) {
  const std::size_t each = entry_bytes(batch[at::kFlags]);
  const std::uint8_t* const entry = batch.data() + kHeaderBytes + index * each;
  return {load<std::uint32_t>(entry),
          each == kKeylessEntryBytes ? 0 : load<std::uint32_t>(entry + kKeylessEntryBytes)};
}

TimeUs deliver_at_us(ByteSpan batch, std::uint32_t index) {
  const std::uint8_t flags = batch[at::kFlags];
  if ((flags & kFlagDeliverAt) == 0) return 0;
  return load<TimeUs>(column(batch, entry_bytes(flags)) + index * kDeliverAtEntryBytes);
}

std::uint64_t message_id_hash(ByteSpan batch, std::uint32_t index) {
  const std::uint8_t flags = batch[at::kFlags];
  if ((flags & kFlagMessageIds) == 0) return 0;
  // The last column of the table.
  const std::size_t before = table_bytes_each(flags) - kMessageIdEntryBytes;
  return load<std::uint64_t>(column(batch, before) + index * kMessageIdEntryBytes);
}

Result<BatchReader> BatchReader::open(ByteSpan batch) {
  auto header = read_header(batch);
  if (!header) return std::unexpected(header.error());
  if (auto status = verify_checksum(batch, *header); !status)
    return std::unexpected(status.error());

  BatchReader reader;
  reader.header_ = *header;
  reader.batch_ = batch;
  reader.body_ = batch.subspan(body_offset(*header));
  if (header->compression != Compression::kNone) {
    reader.decompressed_.resize(header->body_bytes);
    if (auto status = decompress(header->compression, reader.body_, reader.decompressed_);
        !status) {
      return std::unexpected(status.error());
    }
    reader.body_ = reader.decompressed_;
  }
  return reader;
}

Status BatchReader::read(std::uint32_t index, Record& record) const {
  assert(index < header_.count);
  const auto bad_record = [&](const char* what) {
    return bad_batch("record " + std::to_string(index) + ": " + what);
  };
  const std::size_t begin = table_entry(batch_, index).position;
  const std::size_t end =
      index + 1 < header_.count ? table_entry(batch_, index + 1).position : body_.size();
  if (begin >= end || end > body_.size()) return bad_record("its position is outside of the body");

  record.headers.clear();
  RecordParts parts;
  const char* const fault =
      decode_record(body_.data() + begin, body_.data() + end, header_.first_time_us, parts,
                    [&](std::string_view name, std::string_view value) {
                      record.headers.push_back({name, value});
                    });
  if (fault != nullptr) return bad_record(fault);
  record.offset = header_.base_offset + index;
  record.time_us = parts.time_us;
  record.append_time_us = header_.append_time_us;
  record.deliver_at_us = batch::deliver_at_us(batch_, index);
  record.message_id_hash = batch::message_id_hash(batch_, index);
  record.key.reset();
  if (parts.has_key) record.key = parts.key;
  record.payload = parts.payload;
  return {};
}

Result<std::vector<ByteSpan>> split_batches(ByteSpan bytes) {
  std::vector<ByteSpan> batches;
  while (!bytes.empty()) {
    const auto header = read_header(bytes);
    if (!header) return std::unexpected(header.error());
    batches.push_back(bytes.first(header->size_bytes));
    bytes = bytes.subspan(header->size_bytes);
  }
  return batches;
}

}  // namespace andyx::batch
