#include "raft/store/store_database.h"

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/listener.h>
#include <rocksdb/table.h>

#include "raft/store/store_error.h"
#include "raft/store/torn_manifest.h"

namespace andyx::raft {
namespace {

constexpr std::size_t kMemtableBytes = 16 << 20;

class Listener final : public rocksdb::EventListener {
 public:
  explicit Listener(StoreDatabase::Failed failed) : failed_(std::move(failed)) {}

  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* error) override {
    failed_(*error);
  }
  // Never resume by itself: after a failed write nobody knows what the disk holds.
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status error,
                            bool* auto_recovery) override {
    *auto_recovery = false;
    failed_(error);
  }

 private:
  const StoreDatabase::Failed failed_;
};

rocksdb::Options database_options(rocksdb::Env* env, bool create, StoreDatabase::Failed failed) {
  rocksdb::Options options;
  options.env = env;
  options.create_if_missing = create;
  options.error_if_exists = create;
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  // What was recovered is in tables and synced before anybody relies on it; nor does a torn WAL
  // stay in front of the new one.
  options.avoid_flush_during_recovery = false;
  options.allow_fallocate = false;                  // else each WAL takes 1.1 times the memtable
  options.allow_concurrent_memtable_write = false;  // one writer
  options.enable_write_thread_adaptive_yield = false;
  options.write_buffer_size = kMemtableBytes;
  options.arena_block_size = 1 << 20;
  options.max_write_buffer_number = 4;
  options.compression = rocksdb::kNoCompression;
  options.ttl = 0;
  options.periodic_compaction_seconds = 0;
  options.max_open_files = 64;
  options.max_background_jobs = 2;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  options.max_log_file_size = 1 << 20;
  options.keep_log_file_num = 4;
  options.listeners = {std::make_shared<Listener>(std::move(failed))};
  rocksdb::BlockBasedTableOptions table;
  table.block_size = 16 << 10;
  table.checksum = rocksdb::kXXH3;
  table.block_cache = rocksdb::NewLRUCache(4 << 20);
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

}  // namespace

Result<std::unique_ptr<StoreDatabase>> StoreDatabase::open(std::shared_ptr<rocksdb::FileSystem> fs,
                                                           const std::string& path, bool create,
                                                           Failed failed) {
  std::unique_ptr<StoreDatabase> database(new StoreDatabase);
  database->path_ = path;
  database->env_ = rocksdb::NewCompositeEnv(fs);
  const rocksdb::Options options =
      database_options(database->env_.get(), create, std::move(failed));
  rocksdb::DB* db = nullptr;
  auto status = rocksdb::DB::Open(options, path, &db);
  if (status.IsCorruption()) {
    const auto cut = cut_torn_manifest(*fs, path);
    if (!cut) return std::unexpected(cut.error());
    if (*cut) status = rocksdb::DB::Open(options, path, &db);
  }
  const std::string where = "open the raft store's database " + path;
  if (status.IsInvalidArgument() || status.IsPathNotFound()) {  // it, or a file of it, is gone
    return fail(ErrorCode::kDataLoss, where + ": " + status.ToString() + ". " + kRejoin);
  }
  if (!status.ok()) return store_error(status, where);
  database->db_.reset(db);
  return database;
}

StoreDatabase::~StoreDatabase() {
  if (db_) db_->Close().PermitUncheckedError();
}

Status StoreDatabase::write(rocksdb::WriteBatch& batch, bool sync) {
  rocksdb::WriteOptions options;
  options.sync = sync;
  const auto status = db_->Write(options, &batch);
  if (!status.ok()) return store_error(status, "write to the raft store's database " + path_);
  return {};
}

Result<std::optional<std::string>> StoreDatabase::get(const std::string& key) const {
  std::string value;
  const auto status = db_->Get(rocksdb::ReadOptions(), key, &value);
  if (status.IsNotFound()) return std::nullopt;
  if (!status.ok()) return store_error(status, "read from the raft store's database " + path_);
  return value;
}

Status StoreDatabase::visit(const std::string& first, const Visit& visit) const {
  rocksdb::ReadOptions options;
  options.background_purge_on_iterator_cleanup = true;  // else files are deleted on this thread
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options));
  for (it->Seek(first); it->Valid() && it->key()[0] == first[0]; it->Next()) {
    if (!visit(it->key().ToStringView(), it->value().ToStringView())) return {};
  }
  if (!it->status().ok()) {
    return store_error(it->status(), "read from the raft store's database " + path_);
  }
  return {};
}

Status StoreDatabase::visit_entries(Index low, Index high, const VisitEntry& visit_entry) const {
  Index next = low;
  bool stopped = low >= high;
  bool damaged = false;
  if (stopped) return {};
  const Status read = visit(entry_key(low), [&](std::string_view key, std::string_view row) {
    if (decode_entry_key(key) != next) return false;
    auto decoded = decode_entry(next, row);
    damaged = !decoded;
    if (damaged) return false;
    stopped = !visit_entry(std::move(*decoded)) || ++next == high;
    return !stopped;
  });
  if (!read || stopped) return read;
  const std::string entry = "entry " + std::to_string(next) + " of the raft store " + path_;
  return damaged ? fail(ErrorCode::kCorrupt, entry + " is damaged. " + kRejoin)
                 : fail(ErrorCode::kDataLoss, entry + " is missing. " + kRejoin);
}

}  // namespace andyx::raft
