// The parts of an open RocksDB shard, in the order of their dependencies, and their threads. Shared
// by the threads: a writer that hangs in the kernel is left behind on close, and takes the core
// with it.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "storage/data_directory.h"
#include "storage/database.h"
#include "storage/log_reader.h"
#include "storage/log_table.h"
#include "storage/reclaimer.h"
#include "storage/rocksdb_shard.h"
#include "storage/shard_guard.h"
#include "storage/shard_health.h"
#include "storage/shard_writer.h"
#include "storage/truncation.h"
#include "storage/watermark.h"

namespace andyx::storage {

class ShardCore : public std::enable_shared_from_this<ShardCore> {
 public:
  ~ShardCore();
  static Result<std::shared_ptr<ShardCore>> open(const ShardOptions& options,
                                                 std::shared_ptr<rocksdb::FileSystem> fs,
                                                 RecoveryReport& report);

  // Stops the threads and closes. kStorageFailed when the shard was fenced; a hung thread is left
  // behind.
  Status close();

  const ShardOptions& options() const { return options_; }
  ShardHealth& health() { return health_; }
  Database& database() { return *database_; }
  DataDirectory& directory() { return *directory_; }
  LogTable& table() { return table_; }
  ShardWriter& writer() { return *writer_; }
  ShardGuard& guard() { return *guard_; }
  Reclaimer& reclaimer() { return *reclaimer_; }

 private:
  explicit ShardCore(const ShardOptions& options);

  Result<Round> open_database(std::shared_ptr<rocksdb::FileSystem> fs, RecoveryReport& report);
  Result<std::unique_ptr<Database>> open_or_salvage(std::shared_ptr<rocksdb::FileSystem> fs,
                                                    std::string& damage);
  void set_parts_ready(bool ready);
  void start_threads();
  void start_thread(const char* name, std::function<void(ShardCore&)> body);

  ShardOptions options_;  // defaults filled in
  ShardHealth health_;
  std::mutex events_mutex_;  // RocksDB's callbacks come before the parts are there, and after
  bool parts_ready_ = false;
  std::unique_ptr<DataDirectory> directory_;
  LogTable table_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<Watermark> watermark_;
  std::unique_ptr<ShardWriter> writer_;
  std::unique_ptr<Reclaimer> reclaimer_;
  std::unique_ptr<ShardGuard> guard_;

  std::mutex threads_mutex_;
  std::condition_variable thread_ended_;
  std::size_t running_threads_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace andyx::storage
