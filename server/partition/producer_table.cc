#include "server/partition/producer_table.h"

#include <algorithm>
#include <string>

#include "protocol/base/limits.h"
#include "protocol/batch/varint.h"

namespace andyx::server {

namespace {

constexpr std::uint8_t kSnapshotVersion = 1;

std::string describe(const batch::Header& header) {
  return "producer " + std::to_string(header.producer_id) + " epoch " +
         std::to_string(header.producer_epoch) + " sequence " + std::to_string(header.sequence);
}

void put(std::vector<std::uint8_t>& out, std::uint64_t value) {
  std::uint8_t bytes[batch::kMaxVarintBytes];
  out.insert(out.end(), bytes, batch::put_varint(bytes, value));
}

// Reads numbers until one is cut off; `ok` says whether all were there.
struct Numbers {
  const std::uint8_t* at;
  const std::uint8_t* end;
  bool ok = true;

  std::uint64_t next() {
    std::uint64_t value = 0;
    if (ok) at = batch::get_varint(at, end, value);
    ok = ok && at != nullptr;
    return ok ? value : 0;
  }
};

}  // namespace

Result<ProducerTable::Verdict> ProducerTable::check(const batch::Header& header) const {
  if (header.producer_id == 0) return Verdict{};
  const auto found = producers_.find(header.producer_id);
  if (found == producers_.end()) {
    if (header.sequence == 0 || header.producer_id >= kInternalProducers) return Verdict{};
    return fail(ErrorCode::kUnknownProducer,
                describe(header) + ": not known here; a producer's first batch has sequence 0");
  }
  const Producer& producer = found->second;
  if (header.producer_epoch < producer.epoch)
    return fail(
        ErrorCode::kProducerFenced,
        describe(header) + ": epoch " + std::to_string(producer.epoch) + " has written here");
  const std::uint64_t expected =
      header.producer_epoch > producer.epoch ? 0 : producer.next_sequence;
  if (header.sequence == expected) return Verdict{};
  if (header.sequence > expected && header.producer_id >= kInternalProducers) return Verdict{};
  if (header.sequence > expected)
    return fail(ErrorCode::kOutOfSequence,
                describe(header) + ": expected sequence " + std::to_string(expected));
  const auto original =
      std::lower_bound(producer.batches.begin(), producer.batches.end(), header.sequence,
                       [](const ProducerBatch& b, std::uint64_t s) { return b.sequence < s; });
  if (original == producer.batches.end() || original->sequence != header.sequence)
    return fail(ErrorCode::kDuplicateUnknown,
                describe(header) + ": stored before, older than the batches remembered");
  if (original->end_offset - original->base_offset != header.count)
    return fail(ErrorCode::kOutOfSequence,
                describe(header) + ": stored before with " +
                    std::to_string(original->end_offset - original->base_offset) +
                    " messages, now it has " + std::to_string(header.count));
  return Verdict{.duplicate = true, .original = *original};
}

ProducerTable::Producer& ProducerTable::touch(ProducerId id) {
  const auto found = producers_.find(id);
  if (found != producers_.end()) {
    by_use_.splice(by_use_.end(), by_use_, found->second.position);
    return found->second;
  }
  if (producers_.size() >= limits::kMaxProducersPerPartition) {
    producers_.erase(by_use_.front());
    by_use_.pop_front();
  }
  Producer& producer = producers_[id];
  producer.position = by_use_.insert(by_use_.end(), id);
  return producer;
}

void ProducerTable::record(const batch::Header& header) {
  if (header.producer_id == 0) return;
  Producer& producer = touch(header.producer_id);
  if (header.producer_epoch != producer.epoch) producer.batches.clear();
  producer.epoch = header.producer_epoch;
  producer.next_sequence = header.sequence + 1;
  producer.last_append_time_us = header.append_time_us;
  producer.last_end_offset = header.end_offset();
  producer.batches.push_back(
      {header.sequence, header.base_offset, header.end_offset(), header.append_time_us});
  trim(producer);
}

void ProducerTable::replay(const batch::Header& header) {
  durable(header.end_offset());
  record(header);
}

// What is above the durable end stays, however much: a rollback needs it.
void ProducerTable::trim(Producer& producer) const {
  auto& batches = producer.batches;
  if (batches.size() <= limits::kProducerBatchesRemembered) return;
  const auto durable_end =
      std::partition_point(batches.begin(), batches.end(),
                           [&](const ProducerBatch& b) { return b.end_offset <= durable_; });
  const auto durable_count = durable_end - batches.begin();
  const auto excess = durable_count - std::ptrdiff_t{limits::kProducerBatchesRemembered};
  if (excess > 0) batches.erase(batches.begin(), batches.begin() + excess);
}

void ProducerTable::durable(Offset end) { durable_ = std::max(durable_, end); }

bool ProducerTable::rollback(Offset from) {
  bool exact = true;
  // Whoever recorded before a producer that ends at or below `from` ends there, too.
  for (auto id = by_use_.rbegin(); id != by_use_.rend(); ++id) {
    Producer& producer = producers_.find(*id)->second;
    if (producer.last_end_offset <= from) break;
    auto& batches = producer.batches;
    const auto cut =
        std::partition_point(batches.begin(), batches.end(),
                             [&](const ProducerBatch& b) { return b.end_offset <= from; });
    if (cut == batches.end()) continue;
    producer.next_sequence = cut->sequence;
    if (cut == batches.begin() && from < durable_ && cut->sequence > 0) exact = false;
    batches.erase(cut, batches.end());
  }
  durable_ = std::min(durable_, from);
  return exact;
}

std::size_t ProducerTable::evict_idle(TimeUs now_us) {
  constexpr TimeUs kIdleUs = TimeUs{limits::kProducerIdleMs} * 1000;
  std::size_t evicted = 0;
  while (!by_use_.empty()) {
    const auto oldest = producers_.find(by_use_.front());
    if (now_us - oldest->second.last_append_time_us < kIdleUs) break;
    producers_.erase(oldest);
    by_use_.pop_front();
    ++evicted;
  }
  return evicted;
}

std::vector<std::uint8_t> ProducerTable::encode(Offset covered) const {
  std::vector<std::uint8_t> out;
  out.push_back(kSnapshotVersion);
  put(out, covered);
  put(out, producers_.size());
  for (const ProducerId id : by_use_) {
    const Producer& producer = producers_.find(id)->second;
    const auto& batches = producer.batches;
    const auto end =
        std::partition_point(batches.begin(), batches.end(),
                             [&](const ProducerBatch& b) { return b.end_offset <= covered; });
    const auto begin =
        end - std::min<std::ptrdiff_t>(end - batches.begin(), limits::kProducerBatchesRemembered);
    put(out, id);
    put(out, producer.epoch);
    put(out, end == batches.end() ? producer.next_sequence : end->sequence);
    put(out, batch::zigzag(producer.last_append_time_us));
    put(out, static_cast<std::uint64_t>(end - begin));
    for (auto b = begin; b != end; ++b) {
      put(out, b->sequence);
      put(out, b->base_offset);
      put(out, b->end_offset - b->base_offset);
      put(out, batch::zigzag(b->append_time_us));
    }
  }
  return out;
}

Result<ProducerTable::Snapshot> ProducerTable::decode(ByteSpan bytes) {
  const auto corrupt = [](std::string_view what) {
    return fail(ErrorCode::kCorrupt, "snapshot of producers: " + std::string(what));
  };
  if (bytes.empty()) return corrupt("it is empty");
  if (bytes[0] != kSnapshotVersion)
    return corrupt("version " + std::to_string(bytes[0]) + " is not known");
  Numbers in{.at = bytes.data() + 1, .end = bytes.data() + bytes.size()};
  Snapshot snapshot;
  snapshot.covered = in.next();
  const std::uint64_t producers = in.next();
  if (producers > limits::kMaxProducersPerPartition) return corrupt("too many producers");
  ProducerTable& table = snapshot.table;
  table.durable_ = snapshot.covered;
  for (std::uint64_t i = 0; i < producers && in.ok; ++i) {
    const ProducerId id = in.next();
    if (id == 0 || table.producers_.contains(id))
      return corrupt("a producer id is zero or twice there");
    Producer& producer = table.touch(id);
    producer.epoch = static_cast<std::uint32_t>(in.next());
    producer.next_sequence = in.next();
    producer.last_end_offset = snapshot.covered;  // the order of use may speak of later batches
    producer.last_append_time_us = batch::unzigzag(in.next());
    const std::uint64_t batches = in.next();
    for (std::uint64_t n = 0; n < batches && in.ok; ++n) {
      ProducerBatch b;
      b.sequence = in.next();
      b.base_offset = in.next();
      b.end_offset = b.base_offset + in.next();
      b.append_time_us = batch::unzigzag(in.next());
      const bool follows =
          producer.batches.empty() || (b.sequence > producer.batches.back().sequence &&
                                       b.base_offset >= producer.batches.back().end_offset);
      if (in.ok && (!follows || b.end_offset <= b.base_offset || b.end_offset > snapshot.covered ||
                    b.sequence >= producer.next_sequence))
        return corrupt("a batch is out of place");
      producer.batches.push_back(b);
    }
    table.trim(producer);
  }
  if (!in.ok) return corrupt("it is cut off");
  if (in.at != in.end) return corrupt("bytes follow its end");
  return snapshot;
}

}  // namespace andyx::server
