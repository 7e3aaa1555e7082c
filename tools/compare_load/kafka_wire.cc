#include "tools/compare_load/kafka_wire.h"

#include <array>
#include <cstring>

#include "tools/compare_load/fields.h"

namespace andyx::compare {
namespace {

constexpr std::size_t kLengthEnd = 12;  // base offset and length, which counts what follows
constexpr std::size_t kCrcEnd = 21;     // the checksum is of everything behind it

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t crc32c(std::string_view bytes) {
  std::uint64_t crc = 0xFFFFFFFF;
  while (bytes.size() >= sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof word);
    crc = __builtin_ia32_crc32di(crc, word);
    bytes.remove_prefix(sizeof word);
  }
  auto narrow = static_cast<std::uint32_t>(crc);
  for (const char byte : bytes) {
    narrow = __builtin_ia32_crc32qi(narrow, static_cast<unsigned char>(byte));
  }
  return ~narrow;
}
#else
std::uint32_t crc32c(std::string_view bytes) {
  static const auto kTable = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < table.size(); ++i) {
      table[i] = i;
      for (int bit = 0; bit < 8; ++bit) {
        table[i] = table[i] >> 1 ^ ((table[i] & 1) != 0 ? 0x82F63B78u : 0);
      }
    }
    return table;
  }();
  std::uint32_t crc = 0xFFFFFFFF;
  for (const char byte : bytes) {
    crc = crc >> 8 ^ kTable[(crc ^ static_cast<unsigned char>(byte)) & 0xFF];
  }
  return ~crc;
}
#endif

}  // namespace

void KafkaBatch::add(std::string_view value) {
  std::string head;
  FieldWriter writer(head);
  head.push_back(0);  // attributes
  writer.varint(0);   // time, less that of the batch
  writer.varint(count_);
  writer.varint(-1);  // no key
  writer.varint(static_cast<std::int64_t>(value.size()));
  FieldWriter(records_).varint(static_cast<std::int64_t>(head.size() + value.size() + 1));
  records_.append(head).append(value).push_back(0);  // no headers
  ++count_;
}

void KafkaBatch::seal(std::string& out, std::int64_t time_ms) {
  std::string checked;  // by the checksum
  FieldWriter body(checked);
  body.integer(std::int16_t{0});                        // attributes
  body.integer(static_cast<std::int32_t>(count_) - 1);  // last offset, less the first
  body.integer(time_ms);
  body.integer(time_ms);
  body.integer(std::int64_t{-1});  // producer id, epoch, sequence: not idempotent
  body.integer(std::int16_t{-1});
  body.integer(std::int32_t{-1});
  body.integer(count_);
  checked += records_;
  FieldWriter writer(out);
  writer.integer(std::int64_t{0});  // base offset
  writer.integer(static_cast<std::int32_t>(kCrcEnd - kLengthEnd + checked.size()));
  writer.integer(std::int32_t{-1});  // leader epoch
  writer.integer(std::int8_t{2});    // format
  writer.integer(crc32c(checked));
  out += checked;
  records_.clear();
  count_ = 0;
}

Result<KafkaRecords> read_records(std::string_view batches) {
  KafkaRecords found;
  FieldReader in(batches);
  while (in.left() >= kLengthEnd) {
    const auto base = in.integer<std::int64_t>();
    const auto length = in.integer<std::int32_t>();
    if (length < 0 || static_cast<std::size_t>(length) > in.left()) break;  // cut off
    FieldReader batch(in.bytes(length));
    batch.skip(4 + 1 + 4 + 2);
    found.next_offset = base + batch.integer<std::int32_t>() + 1;
    batch.skip(8 + 8 + 8 + 2 + 4);
    const auto count = batch.integer<std::int32_t>();
    for (std::int32_t i = 0; i < count && batch.ok(); ++i) {
      FieldReader record(batch.bytes(batch.varint()));
      record.skip(1);
      record.varint();
      record.varint();
      record.bytes(record.varint());  // key
      found.bytes += record.bytes(record.varint()).size();
      if (!record.ok()) return fail(ErrorCode::kBadBatch, "Kafka: a damaged record");
      ++found.count;
    }
    if (!batch.ok()) return fail(ErrorCode::kBadBatch, "Kafka: a damaged batch");
  }
  return found;
}

std::int64_t next_offset_of(std::string_view batches) {
  std::int64_t next = -1;
  FieldReader in(batches);
  while (in.left() >= kLengthEnd) {
    const auto base = in.integer<std::int64_t>();
    const auto length = in.integer<std::int32_t>();
    if (length < 0 || static_cast<std::size_t>(length) > in.left()) break;
    FieldReader batch(in.bytes(length));
    batch.skip(4 + 1 + 4 + 2);
    next = base + batch.integer<std::int32_t>() + 1;
  }
  return next;
}

}  // namespace andyx::compare
