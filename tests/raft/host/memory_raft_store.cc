#include "tests/raft/host/memory_raft_store.h"

#include <utility>

namespace andyx::raft {

MemoryRaftStore::MemoryRaftStore(std::shared_ptr<MemoryDisk> disk)
    : disk_(std::move(disk)), thread_([this] { run(); }) {}

MemoryRaftStore::~MemoryRaftStore() {
  disk_->set([this] { stopping_ = true; });
  thread_.join();
}

LogStorage::InitialState MemoryRaftStore::initial_state() const {
  std::lock_guard lock(disk_->mutex_);
  return disk_->log_.initial_state();
}
Index MemoryRaftStore::first_index() const {
  std::lock_guard lock(disk_->mutex_);
  return disk_->log_.first_index();
}
Index MemoryRaftStore::last_index() const {
  std::lock_guard lock(disk_->mutex_);
  return disk_->log_.last_index();
}
std::expected<Term, LogFault> MemoryRaftStore::term(Index index) const {
  std::lock_guard lock(disk_->mutex_);
  return disk_->log_.term(index);
}
std::expected<std::vector<Entry>, LogFault> MemoryRaftStore::entries(
    Index low, Index high, std::uint64_t max_bytes) const {
  std::lock_guard lock(disk_->mutex_);
  return disk_->log_.entries(low, high, max_bytes);
}
std::expected<SnapshotPtr, LogFault> MemoryRaftStore::snapshot() const {
  std::lock_guard lock(disk_->mutex_);
  return disk_->log_.snapshot();
}

void MemoryRaftStore::write(StoreWrite write, Done done) {
  std::uint64_t bytes = 0;
  for (const Entry& entry : write.entries) bytes += entry.data.size();
  const bool sync = write.sync;
  push({.apply =
            [write = std::move(write)](MemoryLogStorage& log) {
              if (write.snapshot) log.apply_snapshot(write.snapshot);
              if (!write.entries.empty()) log.append(write.entries);
              if (write.hard) log.set_hard_state(*write.hard);
            },
        .done = std::move(done),
        .bytes = bytes,
        .sync = sync});
}

void MemoryRaftStore::save_snapshot(SnapshotPtr snapshot, Done done) {
  push({.apply =
            [snapshot = std::move(snapshot)](MemoryLogStorage& log) {
              log.create_snapshot(snapshot->meta.index, snapshot->meta.conf, snapshot->data);
            },
        .done = std::move(done)});
}

void MemoryRaftStore::compact(Index index) {
  push({.apply = [index](MemoryLogStorage& log) { log.compact(index); }, .done = [] {}});
}

void MemoryRaftStore::on_failure(std::function<void(Error)> failed) {
  std::lock_guard lock(disk_->mutex_);
  failed_ = std::move(failed);
}

std::uint64_t MemoryRaftStore::oldest_write_age_ms() const {
  std::lock_guard lock(disk_->mutex_);
  if (queue_.empty()) return 0;
  const auto age = Clock::now() - queue_.front().since;
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(age).count());
}

std::uint64_t MemoryRaftStore::queued_bytes() const {
  std::lock_guard lock(disk_->mutex_);
  return queued_bytes_;
}

void MemoryRaftStore::push(Work work) {
  disk_->set([&] {
    queued_bytes_ += work.bytes;
    queue_.push_back(std::move(work));
  });
}

void MemoryRaftStore::run() {
  std::unique_lock lock(disk_->mutex_);
  while (true) {
    disk_->changed_.wait(
        lock, [this] { return stopping_ || disk_->fails_ || (!disk_->hangs_ && !queue_.empty()); });
    if (stopping_) return;
    if (disk_->fails_) {
      if (auto failed = std::exchange(failed_, nullptr))
        failed({ErrorCode::kIo, "the disk failed"});
      disk_->changed_.wait(lock, [this] { return stopping_; });
      return;
    }
    if (const auto delay = disk_->delay_; delay.count() > 0) {
      disk_->changed_.wait_for(lock, delay, [this] { return stopping_; });
      if (stopping_) return;
    }
    queue_.front().apply(disk_->log_);
    auto done = std::move(queue_.front().done);
    queued_bytes_ -= queue_.front().bytes;
    if (queue_.front().sync) ++disk_->synced_writes_;
    queue_.pop_front();
    lock.unlock();
    done();
    lock.lock();
  }
}

}  // namespace andyx::raft
