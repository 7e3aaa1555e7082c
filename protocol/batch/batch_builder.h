// Building record batches on the producer's side (clients, and the server's internal logs). One
// thread.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/ids.h"
#include "protocol/base/shared_bytes.h"
#include "protocol/batch/batch_format.h"
#include "protocol/batch/batch_reader.h"

namespace andyx::batch {

struct RecordInput {
  std::optional<std::string_view> key;
  std::string_view payload;
  std::span<const RecordHeader> headers;
  TimeUs time_us = 0;
  TimeUs deliver_at_us = 0;           // 0: at once
  std::uint64_t message_id_hash = 0;  // of hash_message_id(); 0: none
};

struct ProducerStamp {
  ProducerId producer_id = 0;
  std::uint32_t producer_epoch = 0;
  std::uint64_t sequence = 0;
};

class BatchBuilder {
 public:
  explicit BatchBuilder(Compression compression = Compression::kNone);

  // kMessageTooLarge when the message alone is over kMaxMessageBytes, kBadArgument for header
  // limits, kLimitReached when it does not fit into this batch any more (then build() and add
  // again).
  Status add(const RecordInput& record);

  std::uint32_t count() const;
  bool empty() const { return count() == 0; }
  std::size_t size_bytes() const;  // of the batch, were it built now without compression

  // The finished batch; the builder is empty again and keeps its capacity. The body is left
  // uncompressed when compression does not make it smaller. Asserts !empty().
  SharedBytes build(const ProducerStamp& stamp);

 private:
  Status check_limits(const RecordInput& record, std::size_t message_bytes) const;
  std::uint8_t* reserve(std::size_t size_bytes);
  void put_entries(std::uint8_t* out) const;
  void restart();

  Compression compression_;
  std::vector<std::uint8_t>
      body_;  // only the first body_used_ bytes count: growing it zeroes, once
  std::size_t body_used_ = 0;
  std::vector<std::uint32_t> positions_;
  std::vector<std::uint32_t> key_hashes_;   // empty until one record has a key
  std::vector<TimeUs> deliver_at_;          // empty until one record has a time
  std::vector<std::uint64_t> message_ids_;  // empty until one record has an id
  TimeUs first_time_us_ = 0, last_time_us_ = 0;
};

}  // namespace andyx::batch
