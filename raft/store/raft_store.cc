#include "raft/store/raft_store.h"

#include <rocksdb/file_system.h>
#include <rocksdb/write_batch.h>

#include <cstdlib>
#include <mutex>
#include <thread>

#include "raft/store/store_directory.h"
#include "raft/store/store_error.h"
#include "raft/store/store_recovery.h"
#include "raft/store/store_writer.h"

namespace andyx::raft {
namespace {

class RocksdbRaftStore final : public RaftStore {
 public:
  RocksdbRaftStore(std::unique_ptr<StoreDirectory> directory, const StoreOptions& options)
      : directory_(std::move(directory)), options_(options) {}
  ~RocksdbRaftStore() override;

  Status start(std::shared_ptr<rocksdb::FileSystem> fs);

  void write(StoreWrite write, Done done) override;
  void save_snapshot(SnapshotPtr snapshot, Done done) override;
  void compact(Index index) override;
  void on_failure(std::function<void(Error)> failed) override {
    writer_->on_failure(std::move(failed));
  }
  std::uint64_t oldest_write_age_ms() const override { return writer_->oldest_age_ms(); }
  std::uint64_t queued_bytes() const override { return writer_->queued_bytes(); }
  std::uint64_t synced_bytes() const override { return writer_->synced_bytes(); }

  InitialState initial_state() const override {
    return {.hard = hard_, .conf = snapshot_->meta.conf};
  }
  Index first_index() const override { return log_.first_index(); }
  Index last_index() const override { return log_.last_index(); }
  std::expected<Term, LogFault> term(Index index) const override { return log_.term(index); }
  std::expected<std::vector<Entry>, LogFault> entries(Index low, Index high,
                                                      std::uint64_t max_bytes) const override;
  std::expected<SnapshotPtr, LogFault> snapshot() const override { return snapshot_; }

 private:
  Status make(rocksdb::FileSystem& fs);
  LogView::Entries read_older(Index low, Index high, std::uint64_t max_bytes) const;
  void append(std::vector<Entry> entries, StoreTask& task);
  void submit(StoreTask task, Done done);
  void background_failed(const rocksdb::Status& why);

  const std::unique_ptr<StoreDirectory> directory_;
  const StoreOptions options_;
  std::mutex early_mutex_;  // guards the two below: a background error before there is a writer
  bool writer_made_ = false;
  std::optional<Error> early_failure_;

  std::unique_ptr<StoreDatabase> database_;
  std::unique_ptr<Watermark> watermark_;
  std::unique_ptr<StoreWriter> writer_;
  std::thread thread_;

  // The core's thread.
  HardState hard_;
  SnapshotPtr snapshot_;
  LogView log_;
  std::uint64_t writes_ = 0;
};

// What was written before the first mark counts for nothing: it is made anew by the next open.
Status RocksdbRaftStore::make(rocksdb::FileSystem& fs) {
  Status status = directory_->clear();
  if (status) status = Watermark::create(fs, directory_->watermark_path());
  if (status) status = directory_->sync();
  return status;
}

Status RocksdbRaftStore::start(std::shared_ptr<rocksdb::FileSystem> fs) {
  const bool create = !directory_->formatted();
  if (create) {
    if (Status made = make(*fs); !made) return made;
  }
  auto watermark = Watermark::open(*fs, directory_->watermark_path());
  if (!watermark) return std::unexpected(watermark.error());
  watermark_ = std::move(*watermark);
  auto newest = watermark_->load();
  if (!newest) return std::unexpected(newest.error());
  auto database =
      StoreDatabase::open(std::move(fs), directory_->database_path(), create,
                          [this](const rocksdb::Status& why) { background_failed(why); });
  if (!database) return std::unexpected(database.error());
  database_ = std::move(*database);

  if (create) {
    newest->mark = {.state = {.round = 1}, .fsync = options_.fsync};
    rocksdb::WriteBatch first;
    first.Put(state_key(), encode_state(newest->mark.state));
    if (Status written = database_->write(first, true); !written) return written;
  }
  auto recovered = recover_store(*database_, *newest, options_.path, options_.cache_bytes);
  if (!recovered) return std::unexpected(recovered.error());
  // What is there now is relied upon from here on, so it counts as synced: RocksDB has put what it
  // recovered into synced tables.
  const Mark mark{.state = recovered->state, .fsync = options_.fsync};
  if (Status marked = watermark_->publish({.mark = mark, .copy = {}}, true); !marked) return marked;
  if (create) {
    if (Status formatted = directory_->mark_formatted(); !formatted) return formatted;
  }

  const StoreState& state = recovered->state;
  hard_ = {.term = state.term, .vote = state.vote, .commit = state.commit};
  snapshot_ = std::move(recovered->snapshot);
  log_ = std::move(recovered->log);
  writer_ = std::make_unique<StoreWriter>(*database_, *watermark_, mark, recovered->snapshot_row);
  {
    const std::lock_guard lock(early_mutex_);
    writer_made_ = true;
    if (early_failure_) return std::unexpected(*early_failure_);
  }
  thread_ = std::thread([this] { writer_->run(); });
  return {};
}

RocksdbRaftStore::~RocksdbRaftStore() {
  if (thread_.joinable()) {
    writer_->stop();
    thread_.join();
  }
  database_.reset();  // what it reports until then still finds the writer
}

void RocksdbRaftStore::background_failed(const rocksdb::Status& why) {
  Error error = store_error(why, "the database of the raft store " + options_.path).error();
  const std::lock_guard lock(early_mutex_);
  if (writer_made_) {
    writer_->fail_with(std::move(error));
  } else if (!early_failure_) {
    early_failure_ = std::move(error);
  }
}

void RocksdbRaftStore::write(StoreWrite write, Done done) {
  StoreTask task{.sync = write.sync};
  if (write.hard) hard_ = *write.hard;
  if (write.snapshot && write.snapshot->meta.index > snapshot_->meta.index) {
    task.remove_from = log_.first_index();
    task.remove_to = log_.last_index() + 1;
    task.snapshot = snapshot_ = std::move(write.snapshot);
    log_.reset(snapshot_->meta.index, snapshot_->meta.term);
  }
  append(std::move(write.entries), task);
  submit(std::move(task), std::move(done));
}

void RocksdbRaftStore::append(std::vector<Entry> entries, StoreTask& task) {
  const Index first = log_.first_index();
  std::erase_if(entries, [first](const Entry& entry) { return entry.index < first; });
  if (entries.empty()) return;
  if (entries.front().index > log_.last_index() + 1) std::abort();  // a gap: a bug of the caller
  const Index old_last = log_.last_index();
  task.previous_term = *log_.term(entries.front().index - 1);
  for (const Entry& entry : entries) {
    log_.append(entry, writes_ + 1);
    task.bytes += kEntryHeadBytes + entry.data.size();
  }
  if (!task.snapshot && old_last > log_.last_index()) {
    task.remove_from = log_.last_index() + 1;
    task.remove_to = old_last + 1;
  }
  task.entries = std::move(entries);
}

void RocksdbRaftStore::save_snapshot(SnapshotPtr snapshot, Done done) {
  StoreTask task;
  if (snapshot->meta.index > snapshot_->meta.index && snapshot->meta.index <= log_.last_index()) {
    task.snapshot = snapshot_ = std::move(snapshot);
  }
  submit(std::move(task), std::move(done));
}

void RocksdbRaftStore::compact(Index index) {
  if (index <= log_.base_index() || index > snapshot_->meta.index || index > log_.last_index()) {
    return;
  }
  StoreTask task{.remove_from = log_.first_index(), .remove_to = index + 1, .sync = false};
  log_.compact(index);
  submit(std::move(task), {});
}

void RocksdbRaftStore::submit(StoreTask task, Done done) {
  task.number = ++writes_;
  task.done = std::move(done);
  task.sync = task.sync || task.snapshot != nullptr;
  task.bytes += kStateRowBytes + (task.remove_to - task.remove_from) * sizeof(Index) +
                (task.snapshot ? task.snapshot->data.size() : 0);
  task.state = {.term = hard_.term,
                .vote = hard_.vote,
                .commit = hard_.commit,
                .base_index = log_.base_index(),
                .base_term = log_.base_term(),
                .last_index = log_.last_index(),
                .last_term = log_.last_term(),
                .snapshot_index = snapshot_->meta.index};
  writer_->submit(std::move(task));
  log_.evict(writer_->stored());
}

LogView::Entries RocksdbRaftStore::entries(Index low, Index high, std::uint64_t max_bytes) const {
  return log_.entries(low, high, max_bytes, [this](Index from, Index to, std::uint64_t bytes) {
    return read_older(from, to, bytes);
  });
}

LogView::Entries RocksdbRaftStore::read_older(Index low, Index high,
                                              std::uint64_t max_bytes) const {
  std::vector<Entry> found;
  std::uint64_t bytes = 0;
  const Status read = database_->visit_entries(low, high, [&](DecodedEntry decoded) {
    bytes += decoded.entry.encoded_bytes();
    if (!found.empty() && bytes > max_bytes) return false;
    found.push_back(std::move(decoded.entry));
    return true;
  });
  if (read) return found;
  writer_->fail_with(read.error());
  return std::unexpected(LogFault::kUnavailable);
}

}  // namespace

Result<std::unique_ptr<RaftStore>> RaftStore::open(const StoreOptions& options,
                                                   std::shared_ptr<rocksdb::FileSystem> fs) {
  if (!fs) fs = rocksdb::FileSystem::Default();
  auto directory = StoreDirectory::open(fs, options);
  if (!directory) return std::unexpected(directory.error());
  auto store = std::make_unique<RocksdbRaftStore>(std::move(*directory), options);
  if (Status started = store->start(std::move(fs)); !started) {
    return std::unexpected(started.error());
  }
  return store;
}

}  // namespace andyx::raft
