// The storage contract on RocksDB: a thin face over the parts of ShardCore.
#include "storage/rocksdb_shard.h"

#include <atomic>
#include <mutex>

#include "storage/crc32c_hardware.h"
#include "storage/shard_core.h"

namespace andyx::storage {
namespace {

class RocksdbShard final : public StorageShard {
 public:
  explicit RocksdbShard(std::shared_ptr<ShardCore> core) : core_(std::move(core)) {}
  ~RocksdbShard() override { (void)close(); }

  Status submit(WriteGroup group, WriteObserver& observer) override;
  Result<std::vector<SharedBytes>> read(LogId log, Offset from, std::size_t max_bytes) override;
  Result<Offset> find_time(LogId log, TimeUs time_us) override;
  Result<Sized> find_size(LogId log, std::uint64_t max_bytes) override;
  Result<std::uint64_t> bytes_from(LogId log, Offset from) override;
  std::optional<LogState> log_state(LogId log) const override { return core_->table().state(log); }
  std::vector<LogId> logs() const override { return core_->table().logs(); }
  Status advance_start(LogId log, Offset new_start) override;
  Status drop_log(LogId log) override;
  Result<CutTail> truncate(LogId log, Offset from) override;
  Status reset_log(LogId log, Offset start, std::vector<StatePut> puts) override;
  Result<std::optional<std::string>> get(Table table, std::string_view key) const override;
  Status scan(Table table, std::string_view prefix,
              const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    return scan_from(table, prefix, prefix, visit);
  }
  Status scan_from(
      Table table, std::string_view prefix, std::string_view first,
      const std::function<bool(std::string_view, std::string_view)>& visit) const override;
  ShardStatus status() const override;
  Status close() override;

 private:
  // Held by every call that touches RocksDB, so that close() waits for them.
  Result<std::shared_lock<std::shared_mutex>> use() const;
  Result<std::shared_lock<std::shared_mutex>> use_to_read() const;

  const std::shared_ptr<ShardCore> core_;
  mutable std::shared_mutex open_mutex_;
  mutable std::atomic<std::uint64_t> reads_{0};
  bool closed_ = false;
  Status close_result_;
};

Result<std::shared_lock<std::shared_mutex>> RocksdbShard::use() const {
  std::shared_lock lock(open_mutex_);
  if (closed_) return fail(ErrorCode::kShuttingDown, "the storage shard is closed");
  if (Status healthy = core_->health().check(); !healthy) return std::unexpected(healthy.error());
  return lock;
}

Result<std::shared_lock<std::shared_mutex>> RocksdbShard::use_to_read() const {
  reads_.fetch_add(1, std::memory_order_relaxed);
  return use();
}

Status RocksdbShard::submit(WriteGroup group, WriteObserver& observer) {
  ShardHealth& health = core_->health();
  if (health.disk_full()) {
    const bool small = group.may_use_reserve || group.appends.empty();
    if (!small || health.reserve_gone()) {
      return fail(ErrorCode::kDiskFull, "the disk of " + core_->options().directory + " has " +
                                            std::to_string(core_->guard().free_bytes()) +
                                            " bytes left, appends need " +
                                            std::to_string(core_->options().min_free_bytes));
    }
  }
  auto queued = inspect_group(std::move(group), observer);
  if (!queued) return std::unexpected(queued.error());
  return core_->writer().submit(std::move(*queued));
}

Result<std::vector<SharedBytes>> RocksdbShard::read(LogId log, Offset from, std::size_t max_bytes) {
  const auto in_use = use_to_read();
  if (!in_use) return std::unexpected(in_use.error());
  return LogReader(core_->database(), core_->table()).read(log, from, max_bytes);
}

Result<Offset> RocksdbShard::find_time(LogId log, TimeUs time_us) {
  const auto in_use = use_to_read();
  if (!in_use) return std::unexpected(in_use.error());
  return LogReader(core_->database(), core_->table()).find_time(log, time_us);
}

Result<StorageShard::Sized> RocksdbShard::find_size(LogId log, std::uint64_t max_bytes) {
  const auto in_use = use_to_read();
  if (!in_use) return std::unexpected(in_use.error());
  return LogReader(core_->database(), core_->table()).find_size(log, max_bytes);
}

Result<std::uint64_t> RocksdbShard::bytes_from(LogId log, Offset from) {
  const auto in_use = use_to_read();
  if (!in_use) return std::unexpected(in_use.error());
  return LogReader(core_->database(), core_->table()).bytes_from(log, from);
}

Status RocksdbShard::advance_start(LogId log, Offset new_start) {
  const auto in_use = use();
  if (!in_use) return std::unexpected(in_use.error());
  if (Status advanced = core_->table().advance_start(log, new_start); !advanced) return advanced;
  core_->writer().wake();
  core_->reclaimer().something_died();
  return {};
}

Status RocksdbShard::drop_log(LogId log) {
  const auto in_use = use();
  if (!in_use) return std::unexpected(in_use.error());
  core_->table().drop(log);
  core_->writer().wake();
  core_->reclaimer().something_died();
  return {};
}

Result<CutTail> RocksdbShard::truncate(LogId log, Offset from) {
  const auto in_use = use();
  if (!in_use) return std::unexpected(in_use.error());
  Truncation truncation(core_->directory(), core_->database(), core_->table(), core_->writer());
  return truncation.truncate(log, from);
}

Status RocksdbShard::reset_log(LogId log, Offset start, std::vector<StatePut> puts) {
  const auto in_use = use();
  if (!in_use) return std::unexpected(in_use.error());
  Truncation truncation(core_->directory(), core_->database(), core_->table(), core_->writer());
  const Status reset = truncation.reset(log, start, std::move(puts));
  if (reset) core_->reclaimer().something_died();
  return reset;
}

Result<std::optional<std::string>> RocksdbShard::get(Table table, std::string_view key) const {
  const auto in_use = use_to_read();
  if (!in_use) return std::unexpected(in_use.error());
  return core_->database().get(table, key);
}

Status RocksdbShard::scan_from(
    Table table, std::string_view prefix, std::string_view first,
    const std::function<bool(std::string_view, std::string_view)>& visit) const {
  const auto in_use = use_to_read();
  if (!in_use) return std::unexpected(in_use.error());
  const Family family = table == Table::kMeta ? Family::kMeta : Family::kCursor;
  return core_->database().visit_rows_from(family, std::max(prefix, first),
                                           [&](std::string_view key, std::string_view row) {
                                             return key.starts_with(prefix) && visit(key, row);
                                           });
}

ShardStatus RocksdbShard::status() const {
  const std::shared_lock lock(open_mutex_);
  const ShardHealth& health = core_->health();
  const WriterCounters& counters = core_->writer().counters();
  const Crc32cStatus crc = crc32c_status();
  ShardStatus status{.fsync = core_->options().fsync,
                     .generation = core_->table().open_generation(),
                     .written_bytes = counters.written_bytes,
                     .reads = reads_.load(std::memory_order_relaxed),
                     .copied_bytes = counters.copied_bytes,
                     .free_bytes = core_->guard().free_bytes(),
                     .syncs = counters.syncs,
                     .last_sync_us = counters.last_sync_us,
                     .sync_running_us = core_->writer().running_us(),
                     .queued_bytes = core_->writer().queued_bytes(),
                     .crc32c_hardware = crc.hardware,
                     .crc32c_calls = crc.calls};
  if (health.fenced()) {
    status.state = "failed: " + health.reason();
    status.error = ErrorCode::kStorageFailed;
  } else if (closed_) {
    status.state = "closed";
    status.error = ErrorCode::kShuttingDown;
  } else if (health.disk_full()) {
    status.state = "disk full";
    status.error = ErrorCode::kDiskFull;
  } else {
    status.state = "serving";
  }
  if (!closed_ && !health.fenced()) {  // a fenced RocksDB may hang
    status.unflushed_generations = core_->database().unflushed_memtables() + 1;
    status.disk_bytes = core_->database().disk_bytes();
  }
  return status;
}

Status RocksdbShard::close() {
  core_->writer().stop();
  const std::unique_lock alone(open_mutex_);
  if (closed_) return close_result_;
  closed_ = true;
  close_result_ = core_->close();
  return close_result_;
}

}  // namespace

Result<std::unique_ptr<StorageShard>> open_rocksdb_shard(
    const ShardOptions& options, std::shared_ptr<rocksdb::FileSystem> file_system,
    RecoveryReport* report) {
  RecoveryReport unused;
  auto core =
      ShardCore::open(options, std::move(file_system), report != nullptr ? *report : unused);
  if (!core) return std::unexpected(core.error());
  return std::make_unique<RocksdbShard>(std::move(*core));
}

}  // namespace andyx::storage
