#include "server/metadata/memory_metadata_log.h"

#include <utility>

#include "protocol/base/limits.h"

namespace andyx::server {
namespace {

using Fault = MemoryMetadataStore::Fault;

template <typename Work>
auto with_lock(MemoryMetadataStore& store, Work work) {
  const std::lock_guard lock(store.mutex);
  return work(store);
}

class MemoryMetadataLog final : public MetadataLog {
 public:
  explicit MemoryMetadataLog(std::shared_ptr<MemoryMetadataStore> store)
      : store_(std::move(store)) {}

  void campaign(NodeId, std::uint32_t, LogDone<Result<ControllerEpoch>> done) override {
    done(with_lock(*store_,
                   [](MemoryMetadataStore& s) -> Result<ControllerEpoch> { return ++s.epoch; }));
  }

  void append(Position expected, ControllerEpoch epoch, std::vector<EntryBytes> entries,
              LogDone<AppendResult> done) override {
    const AppendResult result = with_lock(*store_, [&](MemoryMetadataStore& s) {
      return append_locked(s, expected, epoch, std::move(entries));
    });
    done(result);
    if (result.outcome == AppendOutcome::kOk && hint_) hint_(result.tail);
  }

  void read(Position from, std::size_t max_bytes,
            LogDone<Result<std::vector<LogEntry>>> done) override {
    done(with_lock(*store_, [&](MemoryMetadataStore& s) -> Result<std::vector<LogEntry>> {
      if (from < s.start || from > s.end()) {
        return fail(ErrorCode::kOffsetOutOfRange, "no entry at " + std::to_string(from));
      }
      std::vector<LogEntry> out;
      std::size_t bytes = 0;
      for (Position at = from; at < s.end() && (out.empty() || bytes < max_bytes); ++at) {
        out.push_back({at, s.entries[at - s.start]});
        bytes += out.back().bytes.size();
      }
      return out;
    }));
  }

  void tail(LogDone<Result<Position>> done) override {
    done(with_lock(*store_, [](MemoryMetadataStore& s) -> Result<Position> { return s.end(); }));
  }

  void put_snapshot(ImageSnapshotBytes snapshot, LogDone<Status> done) override {
    done(with_lock(*store_, [&](MemoryMetadataStore& s) -> Status {
      if (snapshot.position > s.end()) {
        return fail(ErrorCode::kBadArgument, "a snapshot behind the tail");
      }
      if (!s.snapshot || s.snapshot->position < snapshot.position) s.snapshot = std::move(snapshot);
      return {};
    }));
  }

  void get_snapshot(LogDone<Result<std::optional<ImageSnapshotBytes>>> done) override {
    done(
        with_lock(*store_, [](MemoryMetadataStore& s) -> Result<std::optional<ImageSnapshotBytes>> {
          return s.snapshot;
        }));
  }

  void trim(Position before, LogDone<Status> done) override {
    done(with_lock(*store_, [&](MemoryMetadataStore& s) -> Status {
      if (before > (s.snapshot ? s.snapshot->position : 0)) {
        return fail(ErrorCode::kBadArgument, "no snapshot covers " + std::to_string(before));
      }
      for (; s.start < before; ++s.start) s.entries.pop_front();
      return {};
    }));
  }

  void watch(std::function<void(Position)> hint) override { hint_ = std::move(hint); }

  // Whoever has it may: there is nobody else, or the epoch decides.
  void on_leader(std::function<void(LogLeader)> changed) override { changed({.here = true}); }

 private:
  static AppendResult append_locked(MemoryMetadataStore& s, Position expected,
                                    ControllerEpoch epoch, std::vector<EntryBytes> entries) {
    if (epoch != s.epoch) {
      return {AppendOutcome::kFenced, s.end(), {ErrorCode::kNotMain, "the epoch has changed"}};
    }
    if (expected != s.end()) {
      return {AppendOutcome::kMismatch, s.end(), {ErrorCode::kOutOfSequence, "not the tail"}};
    }
    if (entries.empty() || entries.size() > limits::kMaxMetadataAppendEntries) {
      return {AppendOutcome::kNotApplied, s.end(), {ErrorCode::kBadArgument, "number of entries"}};
    }
    const Fault fault = std::exchange(s.next_append, Fault::kNone);
    if (fault == Fault::kNotApplied) {
      return {AppendOutcome::kNotApplied, s.end(), {ErrorCode::kDiskFull, "the disk is full"}};
    }
    if (fault != Fault::kIndeterminateLost) {
      for (EntryBytes& entry : entries) s.entries.push_back(std::move(entry));
      ++s.appends;
    }
    if (fault == Fault::kNone) return {AppendOutcome::kOk, s.end(), {}};
    return {AppendOutcome::kIndeterminate, 0, {ErrorCode::kTimedOut, "no answer"}};
  }

  std::shared_ptr<MemoryMetadataStore> store_;
  std::function<void(Position)> hint_;
};

}  // namespace

std::unique_ptr<MetadataLog> open_memory_metadata_log(std::shared_ptr<MemoryMetadataStore> store) {
  return std::make_unique<MemoryMetadataLog>(std::move(store));
}

}  // namespace andyx::server
