// The few pieces of Apache Kafka's wire protocol that a comparison needs: record batches of
// version 2 (kafka.apache.org/protocol). Values; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/base/error.h"

namespace andyx::compare {

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
