#include "server/cluster/metadata_pulls.h"

#include <algorithm>
#include <string>
#include <utility>

#include "protocol/base/limits.h"

namespace andyx::server {
namespace {

constexpr std::uint64_t kKeepSnapshotMs = 30'000;  // after its last part was read
const Error kStops{ErrorCode::kShuttingDown, "this node stops"};

}  // namespace

std::shared_ptr<MetadataPulls> MetadataPulls::create(net::Loop& loop, MetadataLog& log) {
  return std::shared_ptr<MetadataPulls>(new MetadataPulls(loop, log));
}

MetadataPulls::MetadataPulls(net::Loop& loop, MetadataLog& log)
    : loop_(loop), log_(&log), timer_(loop.timer()) {}

void MetadataPulls::close() {
  log_ = nullptr;
  timer_.reset();
  served_ = {};
  for (auto& pull : std::exchange(parked_, {})) pull.done(std::unexpected(kStops));
}

// ---- Entries ----

void MetadataPulls::pull(Position from, std::size_t max_bytes, std::uint32_t max_wait_ms,
                         Done<Entries> done) {
  if (log_ == nullptr) return done(std::unexpected(kStops));
  Parked pull{from, std::clamp<std::size_t>(max_bytes, 1, limits::kMaxMetadataAppendBytes),
              loop_.now_ms() + std::min(max_wait_ms, limits::kMaxMetadataPullWaitMs),
              std::move(done)};
  if (from < tail_) return read(std::move(pull));
  if (max_wait_ms == 0) return pull.done(Entries{.entries = {}, .tail = tail_});
  if (parked_.size() >= limits::kMaxParkedMetadataPulls) {
    return pull.done(fail(ErrorCode::kOverloaded,
                          std::to_string(parked_.size()) + " nodes wait for metadata already"));
  }
  parked_.push_back(std::move(pull));
  arm();
}

void MetadataPulls::tail_moved(Position tail) {
  tail_ = std::max(tail_, tail);
  for (auto it = parked_.begin(); it != parked_.end();) {
    if (it->from >= tail_) {
      ++it;
      continue;
    }
    read(std::move(*it));
    it = parked_.erase(it);
  }
}

void MetadataPulls::read(Parked pull) {
  const Position from = pull.from;
  const std::size_t max_bytes = pull.max_bytes;
  // Outside of the task, so that the pull is answered also where the loop takes none any more.
  auto held = std::make_shared<Parked>(std::move(pull));
  log_->read(from, max_bytes,
             [self = shared_from_this(), held](Result<std::vector<LogEntry>> read) mutable {
               auto& loop = self->loop_;
               auto entries = std::make_shared<Result<std::vector<LogEntry>>>(std::move(read));
               if (!loop.post([self, held, entries] {
                     self->read_done(std::move(*held), std::move(*entries));
                   })) {
                 held->done(std::unexpected(kStops));
               }
             });
}

void MetadataPulls::read_done(Parked pull, Result<std::vector<LogEntry>> entries) {
  if (log_ == nullptr) return pull.done(std::unexpected(kStops));
  if (entries) {
    if (!entries->empty()) tail_ = std::max(tail_, entries->back().position + 1);
    return pull.done(Entries{.entries = std::move(*entries), .tail = tail_});
  }
  if (entries.error().code != ErrorCode::kOffsetOutOfRange)
    return pull.done(std::unexpected(entries.error()));
  load([self = shared_from_this(), pull = std::move(pull),
        error = entries.error()](Result<Snapshot> snapshot) mutable {
    if (!snapshot) return pull.done(std::unexpected(snapshot.error()));
    if (snapshot->bytes == nullptr || snapshot->version <= pull.from)
      return pull.done(std::unexpected(std::move(error)));
    pull.done(Entries{.entries = {}, .tail = self->tail_, .snapshot_version = snapshot->version});
  });
}

// ---- Snapshots ----

void MetadataPulls::load(Done<Snapshot> done) {
  auto held = std::make_shared<Done<Snapshot>>(std::move(done));
  log_->get_snapshot(
      [self = shared_from_this(), held](Result<std::optional<ImageSnapshotBytes>> stored) mutable {
        auto snapshot = std::make_shared<Result<Snapshot>>(Snapshot{});
        if (!stored) {
          *snapshot = std::unexpected(stored.error());
        } else if (*stored) {
          (*snapshot)->version = (*stored)->position;
          (*snapshot)->bytes = std::make_shared<const EntryBytes>(std::move((*stored)->bytes));
        }
        auto& loop = self->loop_;
        if (!loop.post([self, held, snapshot] {
              if (self->log_ == nullptr) return (*held)(std::unexpected(kStops));
              (*held)(std::move(*snapshot));
            })) {
          (*held)(std::unexpected(kStops));
        }
      });
}

void MetadataPulls::part(Position version, std::size_t offset, std::size_t max_bytes,
                         Done<Part> done) {
  if (log_ == nullptr) return done(std::unexpected(kStops));
  max_bytes = std::clamp<std::size_t>(max_bytes, 1, limits::kMaxMetadataPartBytes);
  if (version == 0) {
    return load([self = shared_from_this(), max_bytes,
                 done = std::move(done)](Result<Snapshot> snapshot) mutable {
      if (!snapshot) return done(std::unexpected(snapshot.error()));
      if (snapshot->bytes == nullptr || snapshot->bytes->empty()) return done(Part{});
      self->served_ = std::move(*snapshot);
      self->part(self->served_.version, 0, max_bytes, std::move(done));
    });
  }
  if (served_.bytes == nullptr || served_.version != version || offset >= served_.bytes->size()) {
    return done(fail(ErrorCode::kOffsetOutOfRange,
                     "byte " + std::to_string(offset) + " of the snapshot of version " +
                         std::to_string(version) + " is not here: begin with the newest"));
  }
  served_ms_ = loop_.now_ms();
  arm();
  const std::size_t size = std::min(max_bytes, served_.bytes->size() - offset);
  done(Part{version, served_.bytes, offset, size});
}

// ---- Time ----

void MetadataPulls::arm() {
  std::uint64_t when_ms = served_.bytes ? served_ms_ + kKeepSnapshotMs : ~std::uint64_t{0};
  for (const auto& pull : parked_) when_ms = std::min(when_ms, pull.until_ms);
  if (when_ms == ~std::uint64_t{0}) return timer_->stop();
  const auto now_ms = loop_.now_ms();
  timer_->start(when_ms > now_ms ? when_ms - now_ms : 0, 0, [this] { expire(); });
}

void MetadataPulls::expire() {
  const auto now_ms = loop_.now_ms();
  if (served_.bytes && served_ms_ + kKeepSnapshotMs <= now_ms) served_ = {};
  std::vector<Done<Entries>> due;
  for (auto it = parked_.begin(); it != parked_.end();) {
    if (it->until_ms > now_ms) {
      ++it;
      continue;
    }
    due.push_back(std::move(it->done));
    it = parked_.erase(it);
  }
  arm();
  for (auto& done : due) done(Entries{.entries = {}, .tail = tail_});
}

}  // namespace andyx::server
