#include "server/metadata/local_metadata_store.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <limits>
#include <mutex>

#include "protocol/base/limits.h"
#include "protocol/batch/batch_builder.h"
#include "server/log_ids.h"
#include "server/metadata/apply.h"
#include "server/metadata/content_hash.h"

namespace andyx::server {
namespace {

constexpr std::string_view kEpochKey = "metadata/epoch";  // epoch
constexpr std::string_view kTailKey = "metadata/tail";    // tail, hash of the last entry, epoch
constexpr std::string_view kSnapshotKey = "metadata/snapshot";  // position, xxh3-64, bytes

// Little-endian, 8 bytes each.
std::string pack(std::initializer_list<std::uint64_t> numbers) {
  std::string out;
  for (const std::uint64_t number : numbers) {
    for (int shift = 0; shift < 64; shift += 8) out += static_cast<char>(number >> shift);
  }
  return out;
}

std::uint64_t unpack(std::string_view bytes, std::size_t index) {
  std::uint64_t number = 0;
  for (std::size_t i = 8; i-- > 0;) {
    number = (number << 8) | static_cast<std::uint8_t>(bytes[8 * index + i]);
  }
  return number;
}

ByteSpan span_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

TimeUs now_us() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}

// Waits for one group.
class WaitForGroup final : public storage::WriteObserver {
 public:
  void on_written(std::vector<storage::WriteResult> results) override {
    const std::lock_guard lock(mutex_);
    error_ = results.front().error;
    written_.notify_one();  // under the lock: the waiter may be gone right after it
  }
  ErrorCode wait() {
    std::unique_lock lock(mutex_);
    written_.wait(lock, [this] { return error_.has_value(); });
    return *error_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable written_;
  std::optional<ErrorCode> error_;
};

Status write_and_wait(storage::StorageShard& shard, storage::WriteGroup group) {
  WaitForGroup written;
  if (auto status = shard.submit(std::move(group), written); !status) return status;
  const ErrorCode error = written.wait();
  if (error == ErrorCode::kOk) return {};
  return fail(error, "the storage shard did not write the metadata: " + shard.status().state);
}

storage::WriteGroup one_put(std::string_view key, std::string value) {
  storage::WriteGroup group;
  group.puts.push_back({storage::Table::kMeta, std::string(key), std::move(value)});
  return group;
}

std::string numbered(Position position) { return std::to_string(position); }

}  // namespace

Result<LocalMetadataStore> LocalMetadataStore::open(storage::StorageShard& shard) {
  LocalMetadataStore store(shard);
  if (auto status = store.load(); !status) return std::unexpected(status.error());
  if (auto status = store.check_tail(); !status) return std::unexpected(status.error());
  return store;
}

Status LocalMetadataStore::load() {
  if (const auto log = shard_->log_state(kMetadataLog)) {
    start_ = log->start_offset;
    tail_ = log->end_offset;
    epoch_ = log->last_epoch;
  }
  auto epoch = shard_->get(storage::Table::kMeta, kEpochKey);
  if (!epoch) return std::unexpected(epoch.error());
  if (*epoch && (*epoch)->size() != 8)
    return fail(ErrorCode::kCorrupt, "the metadata epoch is damaged");
  const ControllerEpoch stored = *epoch ? unpack(**epoch, 0) : 0;
  if (stored < epoch_) {
    return fail(ErrorCode::kDataLoss, "the metadata epoch went back to " + std::to_string(stored) +
                                          ", the log was written under epoch " +
                                          std::to_string(epoch_));
  }
  epoch_ = stored;
  const auto snapshot = get_snapshot();
  if (!snapshot) return std::unexpected(snapshot.error());
  if (*snapshot) snapshot_position_ = (*snapshot)->position;
  if (snapshot_position_ < start_ || snapshot_position_ > tail_) {
    return fail(ErrorCode::kDataLoss, "the metadata log holds entries " + numbered(start_) +
                                          " to " + numbered(tail_) + ", its snapshot ends at " +
                                          numbered(snapshot_position_));
  }
  return {};
}

// What the last append wrote beside its entries, against what is there.
Status LocalMetadataStore::check_tail() {
  auto tail = shard_->get(storage::Table::kMeta, kTailKey);
  if (!tail) return std::unexpected(tail.error());
  if (!*tail && tail_ == 0) return {};
  if (!*tail || (*tail)->size() != 24) {
    return fail(ErrorCode::kCorrupt, "the note of the metadata log's tail is missing or damaged");
  }
  const Position noted = unpack(**tail, 0);
  if (noted != tail_) {
    return fail(noted > tail_ ? ErrorCode::kDataLoss : ErrorCode::kCorrupt,
                "the metadata log ends at " + numbered(tail_) + ", but was written up to " +
                    numbered(noted));
  }
  if (tail_ == start_) return {};
  const auto last = read(tail_ - 1, 1);
  if (!last) return std::unexpected(last.error());
  if (last->size() != 1 || hash_of_entry(last->front().bytes) != unpack(**tail, 1)) {
    return fail(ErrorCode::kCorrupt, "the last entry of the metadata log, at " +
                                         numbered(tail_ - 1) + ", is not the one that was written");
  }
  return {};
}

Result<ControllerEpoch> LocalMetadataStore::campaign() {
  const ControllerEpoch next = epoch_ + 1;
  // Batches carry it in 32 bits.
  if (next > std::numeric_limits<MainEpoch>::max()) {
    return fail(ErrorCode::kLimitReached, "the epochs of the metadata log are used up");
  }
  auto status = write_and_wait(*shard_, one_put(kEpochKey, pack({next})));
  if (!status) return std::unexpected(status.error());
  epoch_ = next;
  return next;
}

AppendResult LocalMetadataStore::append(Position expected, ControllerEpoch epoch,
                                        const std::vector<EntryBytes>& entries) {
  const auto not_written = [&](AppendOutcome outcome, ErrorCode code, std::string message) {
    return AppendResult{outcome, tail_, {code, std::move(message)}};
  };
  if (epoch != epoch_) {
    return not_written(AppendOutcome::kFenced, ErrorCode::kNotMain,
                       "the metadata log is at epoch " + std::to_string(epoch_) + ", not " +
                           std::to_string(epoch));
  }
  if (unknown_) {
    return not_written(AppendOutcome::kIndeterminate, ErrorCode::kStorageFailed,
                       "the end of the metadata log is not known since the last append");
  }
  if (expected != tail_) {
    return not_written(
        AppendOutcome::kMismatch, ErrorCode::kOutOfSequence,
        "the metadata log ends at " + numbered(tail_) + ", not " + numbered(expected));
  }
  if (entries.empty() || entries.size() > limits::kMaxMetadataAppendEntries) {
    return not_written(AppendOutcome::kNotApplied, ErrorCode::kBadArgument,
                       std::to_string(entries.size()) + " entries in one append");
  }
  return write(entries, epoch);
}

AppendResult LocalMetadataStore::write(const std::vector<EntryBytes>& entries,
                                       ControllerEpoch epoch) {
  const auto log = shard_->log_state(kMetadataLog);
  const TimeUs time_us = std::max(now_us(), log ? log->last_append_time_us : 0);
  batch::BatchBuilder builder;
  for (const EntryBytes& entry : entries) {
    const std::string_view payload(reinterpret_cast<const char*>(entry.data()), entry.size());
    batch::RecordInput record;
    record.payload = payload;
    record.time_us = time_us;
    if (auto status = builder.add(record); !status) {
      return {AppendOutcome::kNotApplied, tail_, status.error()};
    }
  }
  SharedBytes bytes = builder.build({});
  batch::patch_server_fields(bytes.mutable_data(), static_cast<MainEpoch>(epoch), tail_, time_us);

  const Position tail = tail_ + entries.size();
  storage::WriteGroup group = one_put(kTailKey, pack({tail, hash_of_entry(entries.back()), epoch}));
  group.appends.push_back({kMetadataLog, std::move(bytes)});
  // Small, and needed on a full disk: a node registers when it starts, a topic is deleted to make
  // room.
  group.may_use_reserve = true;
  WaitForGroup written;
  if (auto status = shard_->submit(std::move(group), written); !status) {
    return {AppendOutcome::kNotApplied, tail_, status.error()};
  }
  const ErrorCode error = written.wait();
  if (error == ErrorCode::kOk) {
    tail_ = tail;
    return {AppendOutcome::kOk, tail_, {}};
  }
  const Error reason{error, "the metadata log could not be written: " + shard_->status().state};
  if (error == ErrorCode::kDiskFull) return {AppendOutcome::kNotApplied, tail_, reason};
  unknown_ = true;
  return {AppendOutcome::kIndeterminate, tail_, reason};
}

Result<std::vector<LogEntry>> LocalMetadataStore::read(Position from, std::size_t max_bytes) {
  if (from < start_ || from > tail_) {
    return fail(ErrorCode::kOffsetOutOfRange, "the metadata log holds entries " + numbered(start_) +
                                                  " to " + numbered(tail_) + ", asked for " +
                                                  numbered(from));
  }
  std::vector<LogEntry> out;
  if (from == tail_) return out;
  auto batches = shard_->read(kMetadataLog, from, max_bytes);
  if (!batches) return std::unexpected(batches.error());
  for (const SharedBytes& bytes : *batches) {
    auto reader = batch::BatchReader::open(bytes.span());
    if (!reader) return std::unexpected(reader.error());
    batch::Record record;
    for (std::uint32_t i = 0; i < reader->count(); ++i) {
      if (auto status = reader->read(i, record); !status) return std::unexpected(status.error());
      if (record.offset < from) continue;
      const ByteSpan payload = span_of(record.payload);
      out.push_back({record.offset, {payload.begin(), payload.end()}});
    }
  }
  return out;
}

Result<Position> LocalMetadataStore::tail() {
  const storage::ShardStatus status = shard_->status();
  if (status.error == ErrorCode::kStorageFailed) {
    return fail(status.error, "the metadata log cannot be read: " + status.state);
  }
  const auto log = shard_->log_state(kMetadataLog);
  tail_ = log ? log->end_offset : 0;
  unknown_ = false;
  return tail_;
}

Status LocalMetadataStore::put_snapshot(const ImageSnapshotBytes& snapshot) {
  if (snapshot.position <= snapshot_position_) return {};
  if (snapshot.position > tail_) {
    return fail(ErrorCode::kBadArgument, "a metadata snapshot of position " +
                                             numbered(snapshot.position) +
                                             " of a log that ends at " + numbered(tail_));
  }
  std::string value = pack({snapshot.position, xxh3_64(snapshot.bytes)});
  value.append(snapshot.bytes.begin(), snapshot.bytes.end());
  if (auto status = write_and_wait(*shard_, one_put(kSnapshotKey, std::move(value))); !status) {
    return status;
  }
  snapshot_position_ = snapshot.position;
  return {};
}

Result<std::optional<ImageSnapshotBytes>> LocalMetadataStore::get_snapshot() {
  auto value = shard_->get(storage::Table::kMeta, kSnapshotKey);
  if (!value) return std::unexpected(value.error());
  if (!*value) return std::nullopt;
  const std::string_view bytes = **value;
  if (bytes.size() < 16 || xxh3_64(span_of(bytes.substr(16))) != unpack(bytes, 1)) {
    return fail(ErrorCode::kCorrupt, "the stored snapshot of the metadata is damaged");
  }
  const ByteSpan image = span_of(bytes.substr(16));
  return ImageSnapshotBytes{unpack(bytes, 0), {image.begin(), image.end()}};
}

Status LocalMetadataStore::trim(Position before) {
  if (before > snapshot_position_) {
    return fail(ErrorCode::kBadArgument, "the metadata log is not trimmed to " + numbered(before) +
                                             ": its snapshot ends at " +
                                             numbered(snapshot_position_));
  }
  if (before <= start_) return {};
  if (auto status = shard_->advance_start(kMetadataLog, before); !status) return status;
  start_ = before;
  return {};
}

Result<MetadataLogContent> LocalMetadataStore::content() {
  auto snapshot = get_snapshot();
  if (!snapshot) return std::unexpected(snapshot.error());
  MetadataLogContent content{.epoch = epoch_, .snapshot = std::move(*snapshot)};
  content.start = snapshot_position_;
  while (content.tail() < tail_) {
    auto entries = read(content.tail(), limits::kMaxReadBytes);
    if (!entries) return std::unexpected(entries.error());
    for (LogEntry& entry : *entries) content.entries.push_back(std::move(entry.bytes));
  }
  return content;
}

Status LocalMetadataStore::remove(storage::StorageShard& shard) {
  storage::WriteGroup group;
  for (const std::string_view key : {kEpochKey, kTailKey, kSnapshotKey}) {
    auto stored = shard.get(storage::Table::kMeta, key);
    if (!stored) return std::unexpected(stored.error());
    if (*stored) group.puts.push_back({storage::Table::kMeta, std::string(key), std::nullopt});
  }
  if (!group.puts.empty()) {
    if (auto status = write_and_wait(shard, std::move(group)); !status) return status;
  }
  return shard.log_state(kMetadataLog) ? shard.drop_log(kMetadataLog) : Status{};
}

}  // namespace andyx::server
