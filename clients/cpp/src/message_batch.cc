#include "andyx/message_batch.h"

#include <algorithm>
#include <utility>

namespace andyx::client {

Result<MessageBatch> MessageBatch::open(std::uint32_t partition, SharedBytes batches,
                                        std::vector<OffsetRange> ranges,
                                        std::vector<Redelivery> redeliveries) {
  MessageBatch out;
  out.partition_ = partition;
  out.bytes_ = std::move(batches);
  out.ranges_ = std::move(ranges);
  out.redeliveries_ = std::move(redeliveries);
  std::ranges::sort(out.redeliveries_, {}, &Redelivery::offset);
  const auto split = batch::split_batches(out.bytes_.span());
  if (!split) return std::unexpected(split.error());
  out.readers_.reserve(split->size());

  // Ranges come in the order of the batches; one may go over the end of a batch into the next.
  std::size_t at = 0;
  Offset from = out.ranges_.empty() ? 0 : out.ranges_[0].first;
  for (const auto& bytes : *split) {
    auto reader = batch::BatchReader::open(bytes);
    if (!reader) return std::unexpected(reader.error());
    const auto& header = reader->header();
    while (at < out.ranges_.size() && from >= header.base_offset && from < header.end_offset()) {
      const auto last = std::min(out.ranges_[at].last, header.last_offset());
      if (last < from) break;
      out.pieces_.push_back({.reader = out.readers_.size(), .first = from, .last = last});
      out.count_ += last - from + 1;
      from = last + 1;
      if (last == out.ranges_[at].last && ++at < out.ranges_.size()) from = out.ranges_[at].first;
    }
    out.readers_.push_back(std::move(*reader));
  }
  if (at < out.ranges_.size()) {
    return fail(ErrorCode::kBadBatch, "partition " + std::to_string(partition) + ": offset " +
                                          std::to_string(from) +
                                          " was announced and is not in the batches");
  }
  out.rewind();
  return out;
}

void MessageBatch::rewind() {
  piece_ = 0;
  next_offset_ = pieces_.empty() ? 0 : pieces_[0].first;
  status_ = {};
}

bool MessageBatch::next(Message& message) {
  if (piece_ == pieces_.size() || !status_) return false;
  const auto& piece = pieces_[piece_];
  const auto& reader = readers_[piece.reader];
  const auto index = static_cast<std::uint32_t>(next_offset_ - reader.header().base_offset);
  if (auto read = reader.read(index, record_); !read) {
    status_ = std::move(read);
    return false;
  }
  message.partition = partition_;
  message.offset = next_offset_;
  message.time_us = record_.time_us;
  message.append_time_us = record_.append_time_us;
  message.deliver_at_us = record_.deliver_at_us;
  message.key = record_.key;
  message.payload = record_.payload;
  message.headers = record_.headers;
  tell_history(message);
  if (next_offset_++ == piece.last && ++piece_ < pieces_.size())
    next_offset_ = pieces_[piece_].first;
  return true;
}

void MessageBatch::tell_history(Message& message) const {
  message.delivery_count = 1;
  message.first_delivered_us = 0;
  if (redeliveries_.empty()) return;
  const auto found =
      std::ranges::lower_bound(redeliveries_, message.offset, {}, &Redelivery::offset);
  if (found == redeliveries_.end() || found->offset != message.offset) return;
  message.delivery_count = found->count + 1;
  message.first_delivered_us = found->first_delivered_us;
}

}  // namespace andyx::client
