// The in-memory twin of the RocksDB shard: the same contract on a deque for each log. For tests,
// above all under TSan (Debian's RocksDB is not instrumented). Its writer thread is real, so that
// answers come from another thread as they do in the server. One mutex guards everything but the
// observers' calls.
#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <unordered_set>

#include "protocol/base/limits.h"
#include "storage/queued_group.h"
#include "storage/storage_shard.h"

namespace andyx::storage {
namespace {

struct StoredBatch {
  AppendInfo info;
  SharedBytes bytes;
};

struct MemoryLog {
  LogState state;
  Offset submitted_end = 0;
  std::deque<StoredBatch> batches;

  std::deque<StoredBatch>::const_iterator find(Offset offset) const {
    return std::ranges::lower_bound(batches, offset, {},
                                    [](const StoredBatch& b) { return b.info.last(); });
  }
};

std::unexpected<Error> out_of_range(LogId log, const LogState& state, Offset from) {
  return fail(ErrorCode::kOffsetOutOfRange, "log " + std::to_string(log) + " holds offsets " +
                                                std::to_string(state.start_offset) + " to " +
                                                std::to_string(state.end_offset) + ", asked for " +
                                                std::to_string(from));
}

class MemoryShard final : public StorageShard {
 public:
  explicit MemoryShard(const ShardOptions& options)
      : queue_limit_(options.queue_bytes != 0 ? options.queue_bytes : limits::kStorageQueueBytes),
        fsync_(options.fsync),
        writer_([this] { run(); }) {}

  ~MemoryShard() override { (void)close(); }

  Status submit(WriteGroup group, WriteObserver& observer) override;
  Result<std::vector<SharedBytes>> read(LogId log, Offset from, std::size_t max_bytes) override;
  Result<Offset> find_time(LogId log, TimeUs time_us) override;
  Result<Sized> find_size(LogId log, std::uint64_t max_bytes) override;
  Result<std::uint64_t> bytes_from(LogId log, Offset from) override;
  std::optional<LogState> log_state(LogId log) const override;
  std::vector<LogId> logs() const override;
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
  using StateMap = std::map<std::string, std::string, std::less<>>;

  void run();
  void apply(QueuedGroup& queued);  // with mutex_ held
  void apply_puts(std::vector<StatePut>& puts);
  // The end as far as submitted; a new log starts where its first batch does.
  Status check_contiguous(const QueuedGroup& queued);
  const MemoryLog* find_log(LogId log) const;

  const std::size_t queue_limit_;
  const bool fsync_;
  mutable std::mutex mutex_;
  std::mutex close_mutex_;
  std::condition_variable wake_;
  std::vector<QueuedGroup> queue_;
  std::size_t queued_bytes_ = 0;
  mutable std::uint64_t reads_ = 0;
  bool closing_ = false;
  std::unordered_map<LogId, MemoryLog> logs_;  // includes logs whose first append is still queued
  std::unordered_set<LogId> dropped_;
  StateMap tables_[2];
  std::uint64_t rounds_ = 0;
  std::uint64_t written_bytes_ = 0;
  std::thread writer_;  // last: starts when all else is there
};

Status MemoryShard::check_contiguous(const QueuedGroup& queued) {
  std::unordered_map<LogId, Offset> ends;
  for (std::size_t i = 0; i < queued.infos.size(); ++i) {
    const LogId log = queued.group.appends[i].log;
    const AppendInfo& info = queued.infos[i];
    if (dropped_.contains(log)) {
      return fail(ErrorCode::kBadArgument, "log " + std::to_string(log) + " was dropped");
    }
    if (!ends.contains(log)) {
      const auto known = logs_.find(log);
      ends[log] = known == logs_.end() ? info.base : known->second.submitted_end;
    }
    if (ends[log] != info.base) {
      return fail(ErrorCode::kBadArgument,
                  "log " + std::to_string(log) + " ends at offset " + std::to_string(ends[log]) +
                      ", the batch starts at " + std::to_string(info.base));
    }
    ends[log] = info.end;
  }
  for (std::size_t i = 0; i < queued.infos.size(); ++i) {
    const LogId log = queued.group.appends[i].log;
    auto [it, created] = logs_.try_emplace(log);
    if (created) it->second.state.start_offset = it->second.state.end_offset = queued.infos[i].base;
    it->second.submitted_end = ends[log];
  }
  return {};
}

Status MemoryShard::submit(WriteGroup group, WriteObserver& observer) {
  auto queued = inspect_group(std::move(group), observer);
  if (!queued) return std::unexpected(queued.error());
  const std::lock_guard lock(mutex_);
  if (closing_) return fail(ErrorCode::kShuttingDown, "the storage shard is closed");
  if (queued_bytes_ != 0 && queued_bytes_ + queued->charged_bytes > queue_limit_) {
    return fail(ErrorCode::kOverloaded,
                "the storage queue holds " + std::to_string(queued_bytes_) + " bytes");
  }
  if (Status contiguous = check_contiguous(*queued); !contiguous) return contiguous;
  queued_bytes_ += queued->charged_bytes;
  queue_.push_back(std::move(*queued));
  if (queue_.size() == 1) wake_.notify_one();
  return {};
}

void MemoryShard::run() {
  std::vector<QueuedGroup> round;
  ResultsByObserver results;
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return closing_ || !queue_.empty(); });
    if (queue_.empty()) return;
    round.swap(queue_);
    queued_bytes_ = 0;
    for (QueuedGroup& queued : round) {
      apply(queued);
      results.add(queued.observer, {.token = queued.group.token});
    }
    ++rounds_;
    round.clear();
    lock.unlock();
    results.publish();
    lock.lock();
  }
}

void MemoryShard::apply(QueuedGroup& queued) {
  for (std::size_t i = 0; i < queued.infos.size(); ++i) {
    const AppendInfo& info = queued.infos[i];
    const auto found = logs_.find(queued.group.appends[i].log);
    if (found == logs_.end()) continue;  // dropped while it was queued
    MemoryLog& log = found->second;
    log.batches.push_back({info, std::move(queued.group.appends[i].batch)});
    log.state.end_offset = info.end;
    log.state.last_epoch = info.epoch;
    log.state.last_append_time_us = info.append_time_us;
    log.state.bytes += info.size_bytes;
    written_bytes_ += info.size_bytes;
  }
  apply_puts(queued.group.puts);
}

void MemoryShard::apply_puts(std::vector<StatePut>& puts) {
  for (StatePut& put : puts) {
    StateMap& table = tables_[static_cast<std::size_t>(put.table)];
    if (put.value) {
      table.insert_or_assign(std::move(put.key), std::move(*put.value));
    } else {
      table.erase(put.key);
    }
  }
}

const MemoryLog* MemoryShard::find_log(LogId log) const {
  const auto found = logs_.find(log);
  return found == logs_.end() ? nullptr : &found->second;
}

Result<std::vector<SharedBytes>> MemoryShard::read(LogId log, Offset from, std::size_t max_bytes) {
  const std::lock_guard lock(mutex_);
  ++reads_;
  const MemoryLog* found = find_log(log);
  const LogState state = found != nullptr ? found->state : LogState{};
  if (from < state.start_offset || from > state.end_offset) {
    return out_of_range(log, state, from);
  }
  std::vector<SharedBytes> out;
  if (found == nullptr) return out;
  std::size_t bytes = 0;
  for (auto it = found->find(from); it != found->batches.end(); ++it) {
    if (!out.empty() && bytes + it->bytes.size() > max_bytes) break;
    bytes += it->bytes.size();
    out.push_back(it->bytes);
  }
  return out;
}

Result<Offset> MemoryShard::find_time(LogId log, TimeUs time_us) {
  const std::lock_guard lock(mutex_);
  ++reads_;
  const MemoryLog* found = find_log(log);
  if (found == nullptr) return Offset{0};
  for (auto it = found->find(found->state.start_offset); it != found->batches.end(); ++it) {
    if (it->info.append_time_us >= time_us)
      return std::max(it->info.base, found->state.start_offset);
  }
  return found->state.end_offset;
}

Result<StorageShard::Sized> MemoryShard::find_size(LogId log, std::uint64_t max_bytes) {
  const std::lock_guard lock(mutex_);
  ++reads_;
  const MemoryLog* found = find_log(log);
  if (found == nullptr || found->batches.empty()) {
    return Sized{.from = found == nullptr ? 0 : found->state.start_offset};
  }
  Sized sized;
  for (auto it = found->batches.rbegin(); it != found->batches.rend(); ++it) {
    if (sized.bytes != 0 && sized.bytes + it->info.size_bytes > max_bytes) break;
    sized = {.from = std::max(it->info.base, found->state.start_offset),
             .bytes = sized.bytes + it->info.size_bytes};
  }
  return sized;
}

Result<std::uint64_t> MemoryShard::bytes_from(LogId log, Offset from) {
  const std::lock_guard lock(mutex_);
  ++reads_;
  const MemoryLog* found = find_log(log);
  const LogState state = found != nullptr ? found->state : LogState{};
  if (from < state.start_offset || from > state.end_offset) return out_of_range(log, state, from);
  std::uint64_t bytes = 0;
  if (found == nullptr) return bytes;
  for (auto it = found->find(from); it != found->batches.end(); ++it) bytes += it->info.size_bytes;
  return bytes;
}

std::optional<LogState> MemoryShard::log_state(LogId log) const {
  const std::lock_guard lock(mutex_);
  const MemoryLog* found = find_log(log);
  if (found == nullptr ||
      (found->batches.empty() && found->submitted_end != found->state.end_offset))
    return {};
  return found->state;
}

std::vector<LogId> MemoryShard::logs() const {
  const std::lock_guard lock(mutex_);
  std::vector<LogId> ids;
  for (const auto& [id, log] : logs_) {
    if (!log.batches.empty() || log.submitted_end == log.state.end_offset) ids.push_back(id);
  }
  std::ranges::sort(ids);
  return ids;
}

Status MemoryShard::advance_start(LogId log, Offset new_start) {
  const std::lock_guard lock(mutex_);
  const auto found = logs_.find(log);
  const Offset end = found == logs_.end() ? 0 : found->second.state.end_offset;
  if (new_start > end) {
    return fail(ErrorCode::kOffsetOutOfRange, "log " + std::to_string(log) + " ends at offset " +
                                                  std::to_string(end) + ", its start cannot be " +
                                                  std::to_string(new_start));
  }
  if (found == logs_.end()) return {};
  MemoryLog& memory = found->second;
  memory.state.start_offset = std::max(memory.state.start_offset, new_start);
  while (!memory.batches.empty() && memory.batches.front().info.end <= memory.state.start_offset) {
    memory.state.bytes -= memory.batches.front().info.size_bytes;
    memory.batches.pop_front();
  }
  return {};
}

Status MemoryShard::drop_log(LogId log) {
  const std::lock_guard lock(mutex_);
  logs_.erase(log);
  dropped_.insert(log);
  return {};
}

Result<CutTail> MemoryShard::truncate(LogId log, Offset from) {
  const std::lock_guard lock(mutex_);
  const auto found = logs_.find(log);
  const LogState state = found == logs_.end() ? LogState{} : found->second.state;
  if (from < state.start_offset || from > state.end_offset) {
    return fail(ErrorCode::kOffsetOutOfRange,
                "log " + std::to_string(log) + " cannot be cut at offset " + std::to_string(from));
  }
  CutTail cut{.log = log, .from = from, .to = state.end_offset};
  if (found == logs_.end()) return cut;
  MemoryLog& memory = found->second;
  if (memory.submitted_end != state.end_offset) {
    return fail(ErrorCode::kBadArgument, "log " + std::to_string(log) + " has appends in flight");
  }
  const auto first = memory.find(from);
  const bool inside = first != memory.batches.end() && first->info.base != from;
  if (inside && from != state.end_offset && from != state.start_offset) {
    return fail(ErrorCode::kBadArgument,
                "offset " + std::to_string(from) + " lies inside of a batch");
  }
  for (auto it = first; it != memory.batches.end(); ++it) cut.bytes += it->info.size_bytes;
  memory.batches.erase(first, memory.batches.end());
  const AppendInfo last = memory.batches.empty() ? AppendInfo{} : memory.batches.back().info;
  memory.state.end_offset = memory.submitted_end = from;
  memory.state.last_epoch = last.epoch;
  memory.state.last_append_time_us = last.append_time_us;
  memory.state.bytes -= cut.bytes;
  return cut;
}

Status MemoryShard::reset_log(LogId log, Offset start, std::vector<StatePut> puts) {
  const std::lock_guard lock(mutex_);
  const auto found = logs_.find(log);
  if (found != logs_.end()) {
    MemoryLog& memory = found->second;
    if (memory.submitted_end != memory.state.end_offset) {
      return fail(ErrorCode::kBadArgument, "log " + std::to_string(log) + " has appends in flight");
    }
    memory.batches.clear();
    memory.state = {.start_offset = start, .end_offset = start};
    memory.submitted_end = start;
  }
  apply_puts(puts);
  return {};
}

Result<std::optional<std::string>> MemoryShard::get(Table table, std::string_view key) const {
  const std::lock_guard lock(mutex_);
  ++reads_;
  const StateMap& map = tables_[static_cast<std::size_t>(table)];
  const auto found = map.find(key);
  if (found == map.end()) return std::nullopt;
  return found->second;
}

Status MemoryShard::scan_from(
    Table table, std::string_view prefix, std::string_view first,
    const std::function<bool(std::string_view, std::string_view)>& visit) const {
  StateMap copy;  // so that `visit` may call the shard
  {
    const std::lock_guard lock(mutex_);
    ++reads_;
    const StateMap& map = tables_[static_cast<std::size_t>(table)];
    for (auto it = map.lower_bound(std::max(prefix, first));
         it != map.end() && it->first.starts_with(prefix); ++it) {
      copy.insert(copy.end(), *it);
    }
  }
  for (const auto& [key, value] : copy) {
    if (!visit(key, value)) break;
  }
  return {};
}

ShardStatus MemoryShard::status() const {
  const std::lock_guard lock(mutex_);
  return {.state = "serving",
          .fsync = fsync_,
          .written_bytes = written_bytes_,
          .reads = reads_,
          .syncs = rounds_,
          .queued_bytes = queued_bytes_};
}

Status MemoryShard::close() {
  const std::lock_guard only_once(close_mutex_);
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_one();
  if (writer_.joinable()) writer_.join();
  return {};
}

}  // namespace

std::unique_ptr<StorageShard> open_memory_shard(const ShardOptions& options) {
  return std::make_unique<MemoryShard>(options);
}

}  // namespace andyx::storage
