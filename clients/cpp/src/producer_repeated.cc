// What the server has under a message id already: told as delivered, and left out of its batch. The
// thread.
#include <cassert>
#include <unordered_map>

#include "clients/cpp/src/producer_impl.h"
#include "protocol/batch/batch_reader.h"

namespace andyx::client {
namespace {

constexpr std::uint32_t kNowhere = ~std::uint32_t{0};

// The batch without some of its messages, under the same stamp. `place[i]` is where message i is in
// it; a message that repeats one of its own batch is where that one is.
SharedBytes without(const batch::BatchReader& reader, Compression compression,
                    std::vector<std::uint32_t>& place) {
  batch::BatchBuilder builder(compression);
  batch::Record record;
  std::unordered_map<std::uint64_t, std::uint32_t> ids;
  for (std::uint32_t i = 0; i < reader.count(); ++i) {
    const Status read = reader.read(i, record);
    assert(read);  // it was built here
    if (place[i] == kNowhere) {
      const auto first = ids.find(record.message_id_hash);
      if (first != ids.end()) place[i] = first->second;
      continue;
    }
    place[i] = builder.count();
    if (record.message_id_hash != 0) ids.emplace(record.message_id_hash, place[i]);
    const batch::RecordInput copy{.key = record.key,
                                  .payload = record.payload,
                                  .headers = record.headers,
                                  .time_us = record.time_us,
                                  .deliver_at_us = record.deliver_at_us,
                                  .message_id_hash = record.message_id_hash};
    const Status added = builder.add(copy);
    assert(added);  // there is less than before
  }
  if (builder.empty()) return {};
  const auto& header = reader.header();
  return builder.build({header.producer_id, header.producer_epoch, header.sequence});
}

}  // namespace

// Tells of the messages that were stored before. True: that was the whole batch.
bool ProducerImpl::drop_repeated(std::uint32_t partition, BatchId id,
                                 const std::vector<ReplyError::Duplicate>& duplicates) {
  auto& lane = lanes_[partition];
  auto& batch = lane.batches[id - lane.first_id];
  std::vector<Offset> stored(batch.count, kNoOffset);
  std::vector<std::uint32_t> place(batch.count, 0);
  for (const auto& one : duplicates) {
    if (one.index >= batch.count) continue;
    stored[one.index] = one.offset;
    place[one.index] = kNowhere;
  }
  const auto whole = batch.bytes;
  const auto reader = batch::BatchReader::open(whole.span());
  assert(reader);
  batch.bytes = without(*reader, options_.compression, place);
  const auto before = batch.count;
  // What repeats one of the same batch shares its outcome; it is no message of its own any more.
  auto callbacks = std::exchange(batch.callbacks, {});
  std::vector<std::pair<Offset, SendCallback>> told;
  for (auto& [index, callback] : callbacks) {
    if (place[index] == kNowhere)
      told.emplace_back(stored[index], std::move(callback));
    else
      batch.callbacks.emplace_back(place[index], std::move(callback));
  }
  const auto remaining = batch.bytes.empty() ? 0 : batch::read_header(batch.bytes.span())->count;
  batch.count = remaining;
  if (options_.on_batch) {
    options_.on_batch({.partition = partition,
                       .count = before - remaining,
                       .first_time_us = batch.first_time_us});
  }
  for (auto& [offset, callback] : told)
    callback(Delivered{.partition = partition, .offset = offset, .duplicate = true});
  std::lock_guard lock(mutex_);
  stats_.messages_acked += before - remaining;
  return remaining == 0;
}

void ProducerImpl::act(std::uint32_t partition, const ProducerCore::Absorbed& action) {
  resolve(partition, action.id, Delivered{.partition = partition});  // told already
}

}  // namespace andyx::client
