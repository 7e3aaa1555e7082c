#include "protocol/batch/batch_builder.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <string>

#include "protocol/base/limits.h"
#include "protocol/batch/byte_order.h"
#include "protocol/batch/checksum.h"
#include "protocol/batch/compression.h"
#include "protocol/batch/key_hash.h"
#include "protocol/batch/varint.h"

namespace andyx::batch {
namespace {

std::uint8_t* put_bytes(std::uint8_t* out, std::string_view bytes) {
  if (!bytes.empty()) std::memcpy(out, bytes.data(), bytes.size());
  return out + bytes.size();
}

}  // namespace

BatchBuilder::BatchBuilder(Compression compression) : compression_(compression) {}

std::uint32_t BatchBuilder::count() const { return static_cast<std::uint32_t>(positions_.size()); }

std::size_t BatchBuilder::size_bytes() const {
  return kHeaderBytes + (positions_.size() + key_hashes_.size()) * kKeylessEntryBytes +
         deliver_at_.size() * kDeliverAtEntryBytes + message_ids_.size() * kMessageIdEntryBytes +
         body_used_;
}

Status BatchBuilder::check_limits(const RecordInput& record, std::size_t message_bytes) const {
  if (record.headers.size() > limits::kMaxHeadersPerMessage) {
    return fail(ErrorCode::kBadArgument, "a message has " + std::to_string(record.headers.size()) +
                                             " headers, the limit is " +
                                             std::to_string(limits::kMaxHeadersPerMessage));
  }
  for (const auto& header : record.headers) {
    if (header.name.empty() || header.name.size() > limits::kMaxHeaderNameBytes) {
      return fail(ErrorCode::kBadArgument,
                  "the name of a header has " + std::to_string(header.name.size()) +
                      " bytes; 1 to " + std::to_string(limits::kMaxHeaderNameBytes) +
                      " are allowed");
    }
  }
  if (message_bytes > limits::kMaxMessageBytes) {
    return fail(ErrorCode::kMessageTooLarge,
                "a message of " + std::to_string(message_bytes) +
                    " bytes (key, headers and payload), the limit is " +
                    std::to_string(limits::kMaxMessageBytes));
  }
  return {};
}

// Room for `size_bytes` after the bytes in use. The vector grows by doubling and never shrinks.
std::uint8_t* BatchBuilder::reserve(std::size_t size_bytes) {
  const std::size_t needed = body_used_ + size_bytes;
  if (needed > body_.size()) body_.resize(std::max(needed, 2 * body_.size()));
  return body_.data() + body_used_;
}

Status BatchBuilder::add(const RecordInput& record) {
  const std::size_t key_bytes = record.key ? record.key->size() : 0;
  std::size_t message_bytes = key_bytes + record.payload.size();
  for (const auto& header : record.headers)
    message_bytes += header.name.size() + header.value.size();
  if (message_bytes > limits::kMaxMessageBytes || !record.headers.empty()) [[unlikely]] {
    if (auto status = check_limits(record, message_bytes); !status) return status;
  }

  const bool first = positions_.empty();
  const TimeUs first_time_us = first ? record.time_us : first_time_us_;
  // Three numbers of the record, and two for each header.
  const std::size_t most_bytes = message_bytes + kMaxVarintBytes * (3 + 2 * record.headers.size());
  const bool timed = record.deliver_at_us != 0;
  const bool known = record.message_id_hash != 0;
  const bool keyed = record.key.has_value();
  const std::size_t columns =
      (keyed || !key_hashes_.empty() ? kTableEntryBytes : kKeylessEntryBytes) +
      (timed || !deliver_at_.empty() ? kDeliverAtEntryBytes : 0) +
      (known || !message_ids_.empty() ? kMessageIdEntryBytes : 0);
  // A column of keys, times or ids comes into being for all records once one has one.
  const std::size_t fixed_bytes = kHeaderBytes + (positions_.size() + 1) * columns;
  if (positions_.size() == limits::kMaxBatchRecords ||
      fixed_bytes + body_used_ + most_bytes > limits::kMaxBatchBytes) [[unlikely]] {
    return fail(ErrorCode::kLimitReached,
                "the batch is full: " + std::to_string(positions_.size()) + " messages, " +
                    std::to_string(size_bytes()) + " bytes; the message goes into the next one");
  }

  std::uint8_t* const begin = reserve(most_bytes);
  // Wraps around for times further apart than 2^63; the reader wraps back.
  std::uint8_t* out = put_varint(
      begin, zigzag(static_cast<std::int64_t>(static_cast<std::uint64_t>(record.time_us) -
                                              static_cast<std::uint64_t>(first_time_us))));
  out = put_varint(out, keyed ? key_bytes + 1 : 0);
  if (keyed) out = put_bytes(out, *record.key);
  out = put_varint(out, record.headers.size());
  for (const auto& header : record.headers) {
    out = put_bytes(put_varint(out, header.name.size()), header.name);
    out = put_bytes(put_varint(out, header.value.size()), header.value);
  }
  out = put_bytes(out, record.payload);

  if (timed && deliver_at_.empty()) deliver_at_.resize(positions_.size());
  if (timed || !deliver_at_.empty()) deliver_at_.push_back(record.deliver_at_us);
  if (known && message_ids_.empty()) message_ids_.resize(positions_.size());
  if (known || !message_ids_.empty()) message_ids_.push_back(record.message_id_hash);
  if (keyed && key_hashes_.empty()) key_hashes_.resize(positions_.size());
  if (keyed || !key_hashes_.empty()) key_hashes_.push_back(keyed ? table_key_hash(*record.key) : 0);
  positions_.push_back(static_cast<std::uint32_t>(body_used_));
  body_used_ += static_cast<std::size_t>(out - begin);
  first_time_us_ = first_time_us;
  last_time_us_ = first ? record.time_us : std::max(last_time_us_, record.time_us);
  return {};
}

void BatchBuilder::put_entries(std::uint8_t* out) const {
  if (key_hashes_.empty()) {
    std::memcpy(out, positions_.data(), positions_.size() * kKeylessEntryBytes);
    return;
  }
  for (std::size_t i = 0; i < positions_.size(); ++i, out += kTableEntryBytes) {
    store(out, positions_[i]);
    store(out + kKeylessEntryBytes, key_hashes_[i]);
  }
}

SharedBytes BatchBuilder::build(const ProducerStamp& stamp) {
  assert(!empty());
  const ByteSpan plain(body_.data(), body_used_);
  ByteSpan body = plain;
  Compression used = Compression::kNone;
  std::vector<std::uint8_t> compressed;
  if (compression_ != Compression::kNone && compress(compression_, plain, compressed)) {
    body = compressed;
    used = compression_;
  }

  const std::size_t table_bytes = (positions_.size() + key_hashes_.size()) * kKeylessEntryBytes;
  const std::size_t times_bytes = deliver_at_.size() * kDeliverAtEntryBytes;
  const std::size_t ids_bytes = message_ids_.size() * kMessageIdEntryBytes;
  const std::size_t body_at = kHeaderBytes + table_bytes + times_bytes + ids_bytes;
  auto batch = SharedBytes::allocate(body_at + body.size());
  std::uint8_t* const out = batch.mutable_data();
  std::memset(out, 0, kHeaderBytes);
  store(out + at::kVersion, kVersion);
  store(out + at::kSize, static_cast<std::uint32_t>(batch.size()));
  store(out + at::kCount, count());
  store(out + at::kCompression, static_cast<std::uint8_t>(used));
  store(out + at::kFlags, static_cast<std::uint8_t>((deliver_at_.empty() ? 0 : kFlagDeliverAt) |
                                                    (message_ids_.empty() ? 0 : kFlagMessageIds) |
                                                    (key_hashes_.empty() ? kFlagNoKeys : 0)));
  store(out + at::kBodyBytes, static_cast<std::uint32_t>(plain.size()));
  store(out + at::kProducerId, stamp.producer_id);
  store(out + at::kSequence, stamp.sequence);
  store(out + at::kProducerEpoch, stamp.producer_epoch);
  store(out + at::kFirstTime, first_time_us_);
  store(out + at::kLastTime, last_time_us_);
  put_entries(out + kHeaderBytes);
  if (times_bytes != 0)
    std::memcpy(out + kHeaderBytes + table_bytes, deliver_at_.data(), times_bytes);
  if (ids_bytes != 0)
    std::memcpy(out + kHeaderBytes + table_bytes + times_bytes, message_ids_.data(), ids_bytes);
  std::memcpy(out + body_at, body.data(), body.size());
  store(out + at::kChecksum, checksum64(batch.span().subspan(kChecksumFrom)));
  restart();
  return batch;
}

void BatchBuilder::restart() {
  body_used_ = 0;
  positions_.clear();
  key_hashes_.clear();
  deliver_at_.clear();
  message_ids_.clear();
}

}  // namespace andyx::batch
