#include "storage/database_options.h"

#include <rocksdb/listener.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <limits>

namespace andyx::storage {
namespace {

// A generation is never cut by RocksDB itself: the buffer holds two, and we flush at one.
rocksdb::ColumnFamilyOptions common_options(const DatabaseOptions& options) {
  rocksdb::ColumnFamilyOptions family;
  family.write_buffer_size = std::max<std::size_t>(2 * options.generation_bytes, 8 << 20);
  family.max_write_buffer_number = 16;  // never a stall of RocksDB's; ours comes first
  family.arena_block_size = 1 << 20;
  family.num_levels = 2;
  family.level0_slowdown_writes_trigger = 64;
  family.level0_stop_writes_trigger = 128;
  family.soft_pending_compaction_bytes_limit = 0;
  family.hard_pending_compaction_bytes_limit = 0;
  family.compression = rocksdb::kNoCompression;  // batches come compressed, rows are few
  family.ttl = 0;
  family.periodic_compaction_seconds = 0;
  rocksdb::BlockBasedTableOptions table;
  table.block_size = 16 << 10;
  table.checksum = rocksdb::kXXH3;
  table.block_cache = rocksdb::NewLRUCache(8 << 20);  // batches are read past it
  family.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return family;
}

// Files of whole generations with ranges of their own: moved down at once, never rewritten.
rocksdb::ColumnFamilyOptions log_options(const DatabaseOptions& options) {
  rocksdb::ColumnFamilyOptions family = common_options(options);
  family.level0_file_num_compaction_trigger = 1;
  family.target_file_size_base = std::numeric_limits<std::int64_t>::max() / 4;
  family.max_bytes_for_level_base = std::numeric_limits<std::int64_t>::max() / 4;
  return family;
}

}  // namespace

rocksdb::DBOptions database_options(const DatabaseOptions& options, rocksdb::Env* env,
                                    std::shared_ptr<rocksdb::EventListener> listener) {
  rocksdb::DBOptions db;
  db.env = env;
  db.create_if_missing = options.create;
  db.create_missing_column_families = options.create;
  db.wal_recovery_mode = options.skip_damaged ? rocksdb::WALRecoveryMode::kSkipAnyCorruptedRecords
                                              : rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  // Recovered memtables are flushed before we serve. With avoid_flush_during_recovery a torn WAL
  // stays in front of the new one, and a second power failure then reads as a damaged database
  // (tried: it opens in half of the time, and fails power_failure_test).
  db.avoid_flush_during_recovery = false;
  db.allow_fallocate = false;  // else each WAL takes 1.1 times the buffer
  db.max_total_wal_size = 64 * options.generation_bytes + (256 << 20);  // WALs end with our flushes
  db.bytes_per_sync = 1 << 20;
  db.max_open_files = 256;
  db.max_background_jobs = 2;  // one flush at a time, so that a file holds one generation
  db.allow_concurrent_memtable_write = false;  // one writer
  db.enable_write_thread_adaptive_yield = false;
  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  db.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  db.max_log_file_size = 1 << 20;
  db.keep_log_file_num = 4;
  db.listeners = {std::move(listener)};
  return db;
}

std::vector<rocksdb::ColumnFamilyDescriptor> family_descriptors(const DatabaseOptions& options) {
  const rocksdb::ColumnFamilyOptions common = common_options(options);
  return {{rocksdb::kDefaultColumnFamilyName, log_options(options)},
          {"index", common},
          {"head", common},
          {"meta", common},
          {"cursor", common}};
}

}  // namespace andyx::storage
