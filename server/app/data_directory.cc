#include "server/app/data_directory.h"

#include <algorithm>
#include <cstring>
#include <future>
#include <limits>
#include <unordered_set>

#include "server/app/log.h"
#include "server/log_ids.h"
#include "server/partition/due_row.h"

namespace andyx::server {
namespace {

constexpr const char* kDiskIdKey = "disk-id";
constexpr const char* kIncarnationKey = "incarnation";

class WriteOnce final : public storage::WriteObserver {
 public:
  void on_written(std::vector<storage::WriteResult> results) override {
    outcome_.set_value(results.front().error);
  }
  ErrorCode wait() { return outcome_.get_future().get(); }

 private:
  std::promise<ErrorCode> outcome_;
};

Status write_durably(storage::StorageShard& shard, storage::StatePut put) {
  WriteOnce write;
  storage::WriteGroup group;
  const std::string key = put.key;
  group.puts.push_back(std::move(put));
  if (auto submitted = shard.submit(std::move(group), write); !submitted) return submitted;
  if (auto error = write.wait(); error != ErrorCode::kOk)
    return fail(error, "the row " + key.substr(0, 1) + "… could not be written");
  return {};
}

}  // namespace

Status put_durably(storage::StorageShard& shard, const char* key, std::string value) {
  auto written = write_durably(shard, {storage::Table::kMeta, key, std::move(value)});
  if (!written)
    return fail(written.error().code, std::string("the ") + key + " could not be written");
  return {};
}

Status remove_durably(storage::StorageShard& shard, const char* key) {
  auto removed = write_durably(shard, {storage::Table::kMeta, key, std::nullopt});
  if (!removed)
    return fail(removed.error().code, std::string("the ") + key + " could not be removed");
  return {};
}

Result<Uuid> disk_id_of(storage::StorageShard& shard) {
  auto stored = shard.get(storage::Table::kMeta, kDiskIdKey);
  if (!stored) return std::unexpected(stored.error());
  Uuid id;
  if (*stored) {
    if ((*stored)->size() != sizeof id)
      return fail(ErrorCode::kCorrupt, "the disk id of the data directory is damaged");
    std::memcpy(&id, (*stored)->data(), sizeof id);
    return id;
  }
  id = Uuid::random();
  std::string bytes(sizeof id, '\0');
  std::memcpy(bytes.data(), &id, sizeof id);
  if (auto put = put_durably(shard, kDiskIdKey, std::move(bytes)); !put)
    return std::unexpected(put.error());
  return id;
}

Result<std::uint64_t> next_incarnation(storage::StorageShard& shard, TimeUs now_us) {
  auto stored = shard.get(storage::Table::kMeta, kIncarnationKey);
  if (!stored) return std::unexpected(stored.error());
  auto incarnation = static_cast<std::uint64_t>(std::max<TimeUs>(now_us, 1));
  if (*stored) {
    std::uint64_t last = 0;
    if ((*stored)->size() != sizeof last)
      return fail(ErrorCode::kCorrupt, "the incarnation in the data directory is damaged");
    std::memcpy(&last, (*stored)->data(), sizeof last);
    if (incarnation <= last) incarnation = last + 1;
  }
  std::string bytes(sizeof incarnation, '\0');
  std::memcpy(bytes.data(), &incarnation, sizeof incarnation);
  if (auto put = put_durably(shard, kIncarnationKey, std::move(bytes)); !put)
    return std::unexpected(put.error());
  return incarnation;
}

void drop_orphan_logs(storage::StorageShard& shard, const Image& image) {
  std::unordered_set<storage::LogId> known{kMetadataLog};
  for (const Topic& topic : image.topics) {
    for (const PartitionRecord& record : topic.partitions()) {
      known.insert(data_log(record.partition_id));
      known.insert(internal_log(record.partition_id));
    }
  }
  for (storage::LogId log : shard.logs()) {
    if (known.contains(log)) continue;
    auto dropped = shard.drop_log(log);
    log::info("log of a deleted topic dropped",
              {{"log", log}, {"outcome", dropped ? "ok" : dropped.error().message}});
  }
}

namespace {

constexpr std::size_t kOrphanRows = 10'000;        // in one write
constexpr std::size_t kMaxOrphanRows = 1'000'000;  // at one start; the rest at the next ones

// The first partition from `first` on that has rows.
std::optional<PartitionId> next_with_due_rows(const storage::StorageShard& shard,
                                              PartitionId first) {
  std::optional<PartitionId> found;
  const auto take_first = [&](std::string_view key, std::string_view) {
    found = partition_of_state_key(key);
    return false;
  };
  const std::string all = due_prefix(0).substr(0, 1);
  if (!shard.scan_from(storage::Table::kCursor, all, due_prefix(first), take_first)) return {};
  return found;
}

// Those of messages from `first` on; at most `most` of them. How many went, until a failure.
struct DroppedRows {
  std::size_t rows = 0;
  Status outcome;
};
DroppedRows drop_due_rows(storage::StorageShard& shard, PartitionId id, Offset first,
                          std::size_t most) {
  DroppedRows dropped;
  std::string from = due_prefix(id);
  while (dropped.rows < most) {
    storage::WriteGroup group;
    const auto take = [&](std::string_view key, std::string_view) {
      const auto row = decode_due_row_key(key);
      if (row ? row->offset < first : first > 0) return true;
      group.puts.push_back({storage::Table::kCursor, std::string(key), std::nullopt});
      return group.puts.size() < kOrphanRows;
    };
    dropped.outcome = shard.scan_from(storage::Table::kCursor, due_prefix(id), from, take);
    if (!dropped.outcome || group.puts.empty()) break;
    const std::size_t rows = group.puts.size();
    from = group.puts.back().key;
    WriteOnce write;
    dropped.outcome = shard.submit(std::move(group), write);
    if (!dropped.outcome) break;
    if (const ErrorCode error = write.wait(); error != ErrorCode::kOk) {
      dropped.outcome = fail(error, "rows of the due index could not be deleted");
      break;
    }
    dropped.rows += rows;
  }
  return dropped;
}

}  // namespace

Status drop_due_rows(storage::StorageShard& shard, PartitionId id) {
  return drop_due_rows(shard, id, 0, std::numeric_limits<std::size_t>::max()).outcome;
}

// The note: 'r' for a log that begins anew or 't' for a cut tail, then the offset.
Status note_cut(storage::StorageShard& shard, PartitionId id, const CutLog& cut) {
  const std::string note =
      (cut.restart_at ? "r" : "t") + std::to_string(cut.restart_at.value_or(cut.from));
  return write_durably(shard, {storage::Table::kCursor, cut_note_key(id), note});
}

Status finish_cut(storage::StorageShard& shard, PartitionId id) {
  const std::string key = cut_note_key(id);
  const auto note = shard.get(storage::Table::kCursor, key);
  if (!note) return std::unexpected(note.error());
  if (!*note) return {};
  const bool anew = (*note)->starts_with('r');
  const Offset at = std::strtoull((*note)->c_str() + 1, nullptr, 10);
  const auto state = shard.log_state(data_log(id));
  const Offset end = state ? state->end_offset : at;
  const bool empty = !state || state->start_offset == end;
  if (end <= at && (!anew || empty)) {
    const auto dropped =
        drop_due_rows(shard, id, anew ? 0 : at, std::numeric_limits<std::size_t>::max());
    if (!dropped.outcome) return dropped.outcome;
  }
  return write_durably(shard, {storage::Table::kCursor, key, std::nullopt});
}

void drop_orphan_due_rows(storage::StorageShard& shard, const Image& image) {
  std::unordered_set<PartitionId> known;
  for (const Topic& topic : image.topics) {
    for (const PartitionRecord& record : topic.partitions()) known.insert(record.partition_id);
  }
  std::size_t dropped = 0;
  for (auto id = next_with_due_rows(shard, 0); id && dropped < kMaxOrphanRows;
       id = next_with_due_rows(shard, *id + 1)) {
    if (!known.contains(*id))
      dropped += drop_due_rows(shard, *id, 0, kMaxOrphanRows - dropped).rows;
  }
  if (dropped != 0) log::info("delayed messages of deleted topics dropped", {{"rows", dropped}});
}

Status drop_lost_due_rows(storage::StorageShard& shard) {
  std::size_t rows = 0;
  for (auto id = next_with_due_rows(shard, 0); id; id = next_with_due_rows(shard, *id + 1)) {
    const auto state = shard.log_state(data_log(*id));
    const auto dropped = drop_due_rows(shard, *id, state ? state->end_offset : 0,
                                       std::numeric_limits<std::size_t>::max());
    if (!dropped.outcome) return dropped.outcome;
    rows += dropped.rows;
  }
  if (rows != 0) log::warn("rows of lost delayed messages dropped", {{"rows", rows}});
  return {};
}

}  // namespace andyx::server
