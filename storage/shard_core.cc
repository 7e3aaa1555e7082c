#include "storage/shard_core.h"

#include <pthread.h>
#include <rocksdb/file_system.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>

#include "protocol/base/limits.h"
#include "storage/crc32c_hardware.h"
#include "storage/manifest_tail.h"
#include "storage/recovery.h"

namespace andyx::storage {
namespace {

constexpr std::uint64_t kLeastFreeBytes = 512ull << 20;
constexpr int kReclaimerNice = 10;                       // a tenth of the weight of other threads
constexpr std::chrono::milliseconds kCloseGrace{2'000};  // for threads of a fenced shard

ShardOptions with_defaults(ShardOptions options) {
  if (options.generation_bytes == 0) options.generation_bytes = limits::kGenerationBytes;
  if (options.queue_bytes == 0) options.queue_bytes = limits::kStorageQueueBytes;
  if (options.min_free_bytes == 0) {
    options.min_free_bytes = std::max<std::uint64_t>(kLeastFreeBytes, 2 * options.generation_bytes);
  }
  return options;
}

}  // namespace

ShardCore::ShardCore(const ShardOptions& options) : options_(with_defaults(options)) {}

ShardCore::~ShardCore() { set_parts_ready(false); }

Result<std::shared_ptr<ShardCore>> ShardCore::open(const ShardOptions& options,
                                                   std::shared_ptr<rocksdb::FileSystem> fs,
                                                   RecoveryReport& report) {
  check_crc32c();
  if (!fs) fs = rocksdb::FileSystem::Default();
  std::shared_ptr<ShardCore> core(new ShardCore(options));
  auto directory = DataDirectory::open(fs, options.directory);
  if (!directory) return std::unexpected(directory.error());
  core->directory_ = std::move(*directory);
  auto round = core->open_database(fs, report);
  if (!round) return std::unexpected(round.error());

  const ShardOptions& set = core->options_;
  core->writer_ = std::make_unique<ShardWriter>(
      *core->database_, core->table_, *core->watermark_, core->health_,
      WriterOptions{set.generation_bytes, set.queue_bytes, set.fsync, set.busy_poll_us}, *round);
  core->reclaimer_ = std::make_unique<Reclaimer>(*core->database_, core->table_, core->health_,
                                                 *core->writer_, set.generation_bytes);
  core->guard_ = std::make_unique<ShardGuard>(
      *core->directory_, *core->watermark_, core->health_, *core->writer_,
      GuardOptions{set.hung_sync_ms, set.min_free_bytes, set.fsync});
  core->guard_->check_free_space();
  core->start_threads();
  return core;
}

Result<Round> ShardCore::open_database(std::shared_ptr<rocksdb::FileSystem> fs,
                                       RecoveryReport& report) {
  const std::string mark_path = directory_->watermark_path();
  std::optional<Mark> mark;
  std::string mark_damage, database_damage;
  if (directory_->formatted()) {
    auto found = Watermark::load(*fs, mark_path);
    if (found) {
      mark = found->mark;
      if (found->one_slot_damaged) {
        report.warnings.push_back("one of two slots of " + mark_path +
                                  " is damaged; used the other");
      }
    } else if (!options_.accept_data_loss) {
      return fail(
          ErrorCode::kCorrupt,
          found.error().message +
              ", so nobody knows whether all that was acknowledged is here. Start once with "
              "--accept-data-loss to go on with what there is");
    } else {
      mark_damage = found.error().message;
    }
  }
  auto database = open_or_salvage(fs, database_damage);
  if (!database) return std::unexpected(database.error());
  database_ = std::move(*database);

  Recovery recovery(*database_, table_, mark, options_.accept_data_loss, report);
  if (!mark_damage.empty()) recovery.note_loss(mark_damage);
  if (!database_damage.empty()) recovery.note_loss(database_damage);
  auto round = recovery.run();
  if (!round) return round;

  auto watermark = Watermark::open(*fs, mark_path);
  if (!watermark) return std::unexpected(watermark.error());
  watermark_ = std::move(*watermark);
  Status marked = watermark_->publish({.round = *round, .fsync = options_.fsync});
  if (marked) marked = watermark_->sync();
  if (marked && !directory_->formatted()) marked = directory_->mark_formatted();
  if (!marked) return std::unexpected(marked.error());
  return round;
}

Result<std::unique_ptr<Database>> ShardCore::open_or_salvage(
    std::shared_ptr<rocksdb::FileSystem> fs, std::string& damage) {
  DatabaseOptions database{.path = directory_->database_path(),
                           .segments_path = directory_->segments_path(),
                           .create = !directory_->formatted(),
                           .generation_bytes = options_.generation_bytes};
  const DatabaseEvents events{
      .failed = [this](const std::string& why) { health_.fence("RocksDB stopped: " + why); },
      .flushed =
          [this] {
            const std::lock_guard lock(events_mutex_);
            if (!parts_ready_) return;
            writer_->flush_ended();
            reclaimer_->flush_ended();
          },
      .segment_kept =
          [this] {  // later than the flush, whose pass may have found nothing to remove yet
            const std::lock_guard lock(events_mutex_);
            if (parts_ready_) reclaimer_->something_died();
          }};
  auto opened = Database::open(fs, database, events);
  if (!opened && opened.error().code == ErrorCode::kCorrupt) {
    auto cut = cut_torn_manifest(*fs, database.path);
    if (!cut) return std::unexpected(cut.error());
    if (*cut) opened = Database::open(fs, database, events);
  }
  if (opened) return opened;
  const bool damaged = opened.error().code == ErrorCode::kCorrupt;
  if (damaged && options_.accept_data_loss) {
    damage = opened.error().message;
    database.skip_damaged = true;
    return Database::open(fs, database, events);
  }
  if (!damaged) return opened;
  return fail(ErrorCode::kCorrupt,
              opened.error().message +
                  ". Restore the directory from a copy, or start once with --accept-data-loss to "
                  "keep what can still be read");
}

void ShardCore::set_parts_ready(bool ready) {
  const std::lock_guard lock(events_mutex_);
  parts_ready_ = ready;
}

void ShardCore::start_thread(const char* name, std::function<void(ShardCore&)> body) {
  ++running_threads_;
  threads_.emplace_back([core = shared_from_this(), name, run = std::move(body)] {
    pthread_setname_np(pthread_self(), name);
    run(*core);
    const std::lock_guard lock(core->threads_mutex_);
    --core->running_threads_;
    core->thread_ended_.notify_all();
  });
}

void ShardCore::start_threads() {
  set_parts_ready(true);
  health_.on_fence([this] {
    writer_->wake();
    reclaimer_->stop();
  });
  const std::lock_guard lock(threads_mutex_);
  start_thread("andyx-watch", [](ShardCore& core) { core.guard_->run_watch(); });
  start_thread("andyx-sync", [](ShardCore& core) { core.guard_->run_sync(); });
  start_thread("andyx-reclaim", [](ShardCore& core) {
    // To free a file takes milliseconds in the kernel, which loops should not have to wait for.
    // Best effort; of this thread only, on Linux.
    (void)::setpriority(PRIO_PROCESS, 0, kReclaimerNice);
    core.reclaimer_->run();
  });
  start_thread("andyx-writer", [](ShardCore& core) { core.writer_->run(); });
}

Status ShardCore::close() {
  reclaimer_->stop();
  writer_->stop();
  bool all_ended = false;
  {
    // The writer ends first: the watch has to see it hang. Then the rest.
    std::unique_lock lock(threads_mutex_);
    const auto writer_ended = [this] { return writer_->stopped() || health_.fenced(); };
    while (!writer_ended()) thread_ended_.wait_for(lock, std::chrono::milliseconds(20));
    if (health_.fenced()) {
      thread_ended_.wait_for(lock, kCloseGrace, [this] { return writer_->stopped(); });
    }
    guard_->stop();
    all_ended = thread_ended_.wait_for(lock, kCloseGrace, [this] { return running_threads_ == 0; });
  }
  for (std::thread& thread : threads_) {
    if (all_ended) {
      thread.join();
    } else {
      thread.detach();
    }
  }
  threads_.clear();
  const Status healthy = health_.check();
  if (!all_ended) return healthy;
  set_parts_ready(false);
  const Status closed = database_->close();
  directory_->unlock();
  return healthy ? closed : healthy;
}

}  // namespace andyx::storage
