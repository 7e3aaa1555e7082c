// The few pieces of Apache Kafka's wire protocol that a comparison needs: big-endian fields, record
// batches of version 2 (kafka.apache.org/protocol). Values; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/base/error.h"

namespace andyx::compare {

// Appends fields to a request.
class KafkaWriter {
 public:
  explicit KafkaWriter(std::string& out) : out_(out) {}

  template <typename Integer>
  void integer(Integer value) {
    for (int shift = static_cast<int>(sizeof value - 1) * 8; shift >= 0; shift -= 8) {
      out_.push_back(static_cast<char>(static_cast<std::uint64_t>(value) >> shift));
    }
  }
  void text(std::string_view text) {
    integer(static_cast<std::int16_t>(text.size()));
    out_.append(text);
  }
  void null_text() { integer(std::int16_t{-1}); }
  void varint(std::int64_t value);  // zigzag

 private:
  std::string& out_;
};

// Takes fields from a response. After its end everything is 0, and ok() is false.
class KafkaReader {
 public:
  explicit KafkaReader(std::string_view bytes) : bytes_(bytes) {}

  template <typename Integer>
  Integer integer() {
    if (bytes_.size() < sizeof(Integer)) return failed<Integer>();
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(Integer); ++i) {
      value = value << 8 | static_cast<unsigned char>(bytes_[i]);
    }
    bytes_.remove_prefix(sizeof(Integer));
    return static_cast<Integer>(value);
  }
  std::string_view text() { return bytes(integer<std::int16_t>()); }  // of a null one: nothing
  std::string_view blob() { return bytes(integer<std::int32_t>()); }
  std::string_view bytes(std::int64_t count);
  std::int64_t varint();
  void skip(std::size_t count) { bytes(static_cast<std::int64_t>(count)); }

  std::size_t left() const { return bytes_.size(); }
  bool ok() const { return ok_; }

 private:
  template <typename Integer>
  Integer failed() {
    ok_ = false;
    bytes_ = {};
    return 0;
  }

  std::string_view bytes_;
  bool ok_ = true;
};

// A record batch that is being filled.
class KafkaBatch {
 public:
  void add(std::string_view value);
  std::uint32_t count() const { return count_; }
  std::size_t size_bytes() const { return kHeaderBytes + records_.size(); }
  // Appends the whole batch, and begins another one.
  void seal(std::string& out, std::int64_t time_ms);

 private:
  static constexpr std::size_t kHeaderBytes = 61;
  std::string records_;
  std::uint32_t count_ = 0;
};

struct KafkaRecords {
  std::uint64_t count = 0, bytes = 0;
  std::int64_t next_offset = -1;  // -1: there was no whole batch
};
// Looks at each record of a run of batches, the last of which may be cut off. kBadBatch.
Result<KafkaRecords> read_records(std::string_view batches);
// Only where it ends.
std::int64_t next_offset_of(std::string_view batches);

}  // namespace andyx::compare
