// Messages as they were received: whole batches, read in place. A value, used by one thread at a
// time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "andyx/types.h"
#include "protocol/base/shared_bytes.h"
#include "protocol/batch/batch_reader.h"

namespace andyx::client {

// Views; valid until the next call of MessageBatch::next(), and while that batch lives.
struct Message {
  std::uint32_t partition = 0;
  Offset offset = 0;
  TimeUs time_us = 0;         // the producer's clock
  TimeUs append_time_us = 0;  // the server's clock
  TimeUs deliver_at_us = 0;   // 0: at once
  std::optional<std::string_view> key;
  std::string_view payload;
  std::span<const Header> headers;
  std::uint32_t delivery_count = 1;  // over 1: redelivered
  TimeUs first_delivered_us = 0;     // of a redelivered one, by the server's clock; else 0
};

class MessageBatch {
 public:
  struct Redelivery {
    Offset offset;
    std::uint32_t count;  // how often it was delivered before
    TimeUs first_delivered_us = 0;
  };

  MessageBatch() = default;
  // `batches`: a run of record batches; the messages in `ranges` (in their order) are handed out.
  // kBadBatch, kBadChecksum, kDecompressionFailed.
  static Result<MessageBatch> open(std::uint32_t partition, SharedBytes batches,
                                   std::vector<OffsetRange> ranges,
                                   std::vector<Redelivery> redeliveries = {});

  std::uint32_t partition() const { return partition_; }
  std::uint64_t count() const { return count_; }  // of messages
  bool empty() const { return count_ == 0; }
  std::size_t size_bytes() const { return bytes_.size(); }
  std::span<const OffsetRange> ranges() const { return ranges_; }

  // The next message, without allocation or copy. False at the end, and where a
  // record is damaged: then status() says so.
  bool next(Message& message);
  const Status& status() const { return status_; }
  void rewind();

 private:
  struct Piece {  // a run of messages within one batch
    std::size_t reader;
    Offset first, last;
  };
  void tell_history(Message& message) const;

  std::uint32_t partition_ = 0;
  SharedBytes bytes_;
  std::vector<OffsetRange> ranges_;
  std::vector<Redelivery> redeliveries_;  // ascending
  std::vector<batch::BatchReader> readers_;
  std::vector<Piece> pieces_;
  std::uint64_t count_ = 0;
  Status status_;

  std::size_t piece_ = 0;
  Offset next_offset_ = 0;
  batch::Record record_;
};

}  // namespace andyx::client
