#include "tests/server/replication/kept_disk.h"

#include <doctest/doctest.h>

#include "storage/rocksdb_shard.h"

namespace andyx::server::testing {
namespace {

// Results go on to the node's observer while its shard is open. Never destroyed before the disk.
class Relay final : public storage::WriteObserver {
 public:
  explicit Relay(storage::WriteObserver& to) : to_(&to) {}
  bool is_for(const storage::WriteObserver& observer) const { return to_ == &observer; }
  void end() {
    const std::lock_guard lock(mutex_);
    to_ = nullptr;
  }
  void on_written(std::vector<storage::WriteResult> results) override {
    const std::lock_guard lock(mutex_);
    if (to_ != nullptr) to_->on_written(std::move(results));
  }

 private:
  std::mutex mutex_;
  storage::WriteObserver* to_;
};

}  // namespace

class KeptDisk::Face {
 public:
  explicit Face(storage::StorageShard& shard) : shard_(shard) {}

  Status submit(storage::WriteGroup group, storage::WriteObserver& observer) {
    const std::lock_guard lock(mutex_);
    Relay* relay = nullptr;
    for (const auto& each : relays_) {
      if (each->is_for(observer)) relay = each.get();
    }
    if (relay == nullptr) relay = relays_.emplace_back(std::make_unique<Relay>(observer)).get();
    if (full_) {
      ++refused_;
      return fail(ErrorCode::kDiskFull, "the test's disk is full");
    }
    if (!held_) return shard_.submit(std::move(group), *relay);
    waiting_.emplace_back(std::move(group), relay);
    return {};
  }
  void hold() {
    const std::lock_guard lock(mutex_);
    held_ = true;
  }
  void release() {
    const std::lock_guard lock(mutex_);
    held_ = false;
    for (auto& [group, relay] : std::exchange(waiting_, {})) {
      if (!shard_.submit(std::move(group), *relay)) std::abort();
    }
  }
  void fill(bool full) {
    const std::lock_guard lock(mutex_);
    full_ = full;
  }
  std::size_t refused() {
    const std::lock_guard lock(mutex_);
    return refused_;
  }
  void end() {
    const std::lock_guard lock(mutex_);
    waiting_.clear();
    for (const auto& relay : relays_) relay->end();
  }

  storage::StorageShard& shard_;

 private:
  std::mutex mutex_;
  bool held_ = false, full_ = false;
  std::size_t refused_ = 0;
  std::vector<std::pair<storage::WriteGroup, Relay*>> waiting_;
  std::vector<std::unique_ptr<Relay>> relays_;
};

namespace {

template <typename Face>
class OpenDisk final : public storage::StorageShard {
 public:
  explicit OpenDisk(std::shared_ptr<Face> face) : face_(std::move(face)) {}
  ~OpenDisk() override { face_->end(); }

  Status submit(storage::WriteGroup group, storage::WriteObserver& observer) override {
    return face_->submit(std::move(group), observer);
  }
  Result<std::vector<SharedBytes>> read(storage::LogId log, Offset from,
                                        std::size_t max_bytes) override {
    return disk().read(log, from, max_bytes);
  }
  Result<Offset> find_time(storage::LogId log, TimeUs time_us) override {
    return disk().find_time(log, time_us);
  }
  Result<Sized> find_size(storage::LogId log, std::uint64_t max_bytes) override {
    return disk().find_size(log, max_bytes);
  }
  Result<std::uint64_t> bytes_from(storage::LogId log, Offset from) override {
    return disk().bytes_from(log, from);
  }
  std::optional<storage::LogState> log_state(storage::LogId log) const override {
    return disk().log_state(log);
  }
  std::vector<storage::LogId> logs() const override { return disk().logs(); }
  Status advance_start(storage::LogId log, Offset new_start) override {
    return disk().advance_start(log, new_start);
  }
  Status drop_log(storage::LogId log) override { return disk().drop_log(log); }
  Result<storage::CutTail> truncate(storage::LogId log, Offset from) override {
    return disk().truncate(log, from);
  }
  Status reset_log(storage::LogId log, Offset start, std::vector<storage::StatePut> puts) override {
    return disk().reset_log(log, start, std::move(puts));
  }
  Result<std::optional<std::string>> get(storage::Table table,
                                         std::string_view key) const override {
    return disk().get(table, key);
  }
  Status scan(storage::Table table, std::string_view prefix,
              const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    return disk().scan(table, prefix, visit);
  }
  Status scan_from(
      storage::Table table, std::string_view prefix, std::string_view first,
      const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    return disk().scan_from(table, prefix, first, visit);
  }
  storage::ShardStatus status() const override { return disk().status(); }
  Status close() override {
    face_->end();
    return {};
  }

 private:
  storage::StorageShard& disk() const { return face_->shard_; }

  std::shared_ptr<Face> face_;
};

}  // namespace

KeptDisk::KeptDisk(DiskKind kind) {
  if (kind == DiskKind::kMemory) {
    shard_ = storage::open_memory_shard({});
    return;
  }
  directory_.emplace();
  auto shard = storage::open_rocksdb_shard(
      {.directory = directory_->path(), .fsync = false, .generation_bytes = 1 << 20});
  REQUIRE_MESSAGE(shard.has_value(), shard.error().message);
  shard_ = std::move(*shard);
}

// A disk keeps every face that it ever had, in what it hands out: results may still be under way.
std::unique_ptr<storage::StorageShard> KeptDisk::open() {
  auto face = std::make_shared<Face>(*shard_);
  faces_.push_back(face);
  face_ = face;
  return std::make_unique<OpenDisk<Face>>(std::move(face));
}

void KeptDisk::fill(bool full) { face_->fill(full); }

std::size_t KeptDisk::refused() { return face_->refused(); }

void KeptDisk::hold() { face_->hold(); }

void KeptDisk::release() { face_->release(); }

}  // namespace andyx::server::testing
