#include "server/cluster/remote_metadata_log.h"

#include <algorithm>
#include <string>
#include <utility>

#include "protocol/base/limits.h"

namespace andyx::server {
namespace {

constexpr int kSnapshotAttempts = 5;  // when it was replaced while it was read, or its node went

Error stops() { return {ErrorCode::kShuttingDown, "this node stops"}; }
Error read_only() {
  return {ErrorCode::kNotController,
          "this node runs no metadata role: it follows the log and cannot write it"};
}

template <typename Table>
frame::Body body_of(protocol::Body type, flatbuffers::Offset<Table> table) {
  return {static_cast<std::uint8_t>(type), table.Union()};
}

}  // namespace

// The log on the control loop.
class RemoteMetadataLog::Puller final : public std::enable_shared_from_this<Puller> {
 public:
  using Entries = std::vector<LogEntry>;
  using Snapshot = std::optional<ImageSnapshotBytes>;

  Puller(net::Loop& loop, std::shared_ptr<MetadataPeers> peers, RemoteMetadataLogOptions options)
      : options_(options), peers_(std::move(peers)), timer_(loop.timer()) {}

  void close() {
    closed_ = true;
    timer_.reset();
    hint_ = nullptr;
    leader_changed_ = nullptr;
  }
  void watch(std::function<void(Position)> hint) { hint_ = std::move(hint); }
  void on_leader(std::function<void(LogLeader)> changed) { leader_changed_ = std::move(changed); }
  void leader_is(NodeId node) {
    if (std::exchange(leader_, node) != node && leader_changed_)
      leader_changed_({.here = false, .node = node});
  }
  void read(Position from, std::size_t max_bytes, LogDone<Result<Entries>> done);
  void tail(LogDone<Result<Position>> done);
  void get_snapshot(LogDone<Result<Snapshot>> done) {
    read_snapshot(kSnapshotAttempts, std::move(done));
  }
  void tail_is(Position tail);

 private:
  void pull(Position from, std::size_t max_bytes, std::uint32_t wait_ms,
            LogDone<Result<Entries>> done);
  Result<Entries> entries_of(const protocol::MetadataPullReply& reply, Position from);
  void poll(Position from);
  void polled(Position from, Result<Entries> entries);
  void read_snapshot(int attempts, LogDone<Result<Snapshot>> done);
  void read_part(std::shared_ptr<ImageSnapshotBytes> sofar, int attempts,
                 LogDone<Result<Snapshot>> done);
  Result<bool> take_part(ImageSnapshotBytes& sofar, const protocol::MetadataSnapshotPart& part);

  const RemoteMetadataLogOptions options_;
  std::shared_ptr<MetadataPeers> peers_;
  std::function<void(Position)> hint_;
  std::function<void(LogLeader)> leader_changed_;
  NodeId leader_ = 0;
  std::unique_ptr<net::Loop::Timer> timer_;  // until the next poll, after one that failed
  Position tail_ = 0;                        // the highest one told of
  std::optional<Position> polling_;          // from where a long poll is under way
  Entries ahead_;                            // what the last one brought, for the next read
  bool closed_ = false;
};

// ---- Entries ----

void RemoteMetadataLog::Puller::pull(Position from, std::size_t max_bytes, std::uint32_t wait_ms,
                                     LogDone<Result<Entries>> done) {
  const auto fill = [from, max_bytes, wait_ms](flatbuffers::FlatBufferBuilder& builder) {
    return body_of(protocol::Body::MetadataPull,
                   protocol::CreateMetadataPull(builder, from,
                                                static_cast<std::uint32_t>(std::min(
                                                    max_bytes, limits::kMaxMetadataAppendBytes)),
                                                wait_ms));
  };
  peers_->ask(
      fill, protocol::Body::MetadataPullReply, wait_ms + options_.call_timeout_ms,
      [self = shared_from_this(), from, done = std::move(done)](Result<NodeFrame> answer) mutable {
        if (!answer) return done(std::unexpected(answer.error()));
        done(self->entries_of(*answer->frame->body_as_MetadataPullReply(), from));
      });
}

Result<RemoteMetadataLog::Puller::Entries> RemoteMetadataLog::Puller::entries_of(
    const protocol::MetadataPullReply& reply, Position from) {
  Entries entries;
  const auto* wire = reply.entries();
  const std::size_t count = wire == nullptr ? 0 : wire->size();
  if (count == 0 && reply.snapshot_version() > from) {
    return fail(ErrorCode::kOffsetOutOfRange, "position " + std::to_string(from) +
                                                  " was forgotten: the snapshot is of " +
                                                  std::to_string(reply.snapshot_version()));
  }
  if (count > 0 && reply.from() != from) {
    return fail(ErrorCode::kBadFrame, "entries from " + std::to_string(reply.from()) +
                                          " came where " + std::to_string(from) + " was asked for");
  }
  for (std::size_t i = 0; i < count; ++i) {
    const auto* bytes = wire->Get(static_cast<flatbuffers::uoffset_t>(i))->bytes();
    entries.push_back({from + i, EntryBytes(bytes->begin(), bytes->end())});
  }
  tail_ = std::max({tail_, reply.tail(), from + count});
  return entries;
}

void RemoteMetadataLog::Puller::read(Position from, std::size_t max_bytes,
                                     LogDone<Result<Entries>> done) {
  if (closed_) return done(std::unexpected(stops()));
  if (!ahead_.empty() && ahead_.front().position == from) {
    std::size_t bytes = 0, count = 0;
    while (count < ahead_.size() && (count == 0 || bytes < max_bytes))
      bytes += ahead_[count++].bytes.size();
    const auto end = ahead_.begin() + static_cast<std::ptrdiff_t>(count);
    Entries entries(std::make_move_iterator(ahead_.begin()), std::make_move_iterator(end));
    ahead_.erase(ahead_.begin(), end);
    return done(std::move(entries));
  }
  if (polling_ == from) return done(Entries{});  // a node waits for it already
  pull(from, max_bytes, 0,
       [self = shared_from_this(), from, done = std::move(done)](Result<Entries> entries) mutable {
         const bool at_tail = entries && entries->empty();
         if (at_tail) self->poll(from);
         done(std::move(entries));
       });
}

void RemoteMetadataLog::Puller::poll(Position from) {
  if (closed_ || polling_ == from) return;
  polling_ = from;
  ahead_.clear();
  timer_->stop();
  pull(from, limits::kMaxMetadataAppendBytes, options_.poll_ms,
       [self = shared_from_this(), from](Result<Entries> entries) {
         self->polled(from, std::move(entries));
       });
}

void RemoteMetadataLog::Puller::polled(Position from, Result<Entries> entries) {
  if (closed_ || polling_ != from) return;  // another one has begun since
  if (!entries && entries.error().code != ErrorCode::kOffsetOutOfRange) {
    timer_->start(options_.retry_ms, 0, [this, from] {
      polling_.reset();
      poll(from);
    });
    return;
  }
  polling_.reset();
  if (entries && entries->empty()) return poll(from);
  if (entries) ahead_ = std::move(*entries);
  if (hint_) hint_(tail_);
}

void RemoteMetadataLog::Puller::tail(LogDone<Result<Position>> done) {
  if (closed_) return done(std::unexpected(stops()));
  pull(tail_, 1, 0,
       [self = shared_from_this(), done = std::move(done)](Result<Entries> entries) mutable {
         if (!entries && entries.error().code != ErrorCode::kOffsetOutOfRange)
           return done(std::unexpected(entries.error()));
         done(self->tail_);
       });
}

void RemoteMetadataLog::Puller::tail_is(Position tail) {
  if (closed_ || tail <= tail_) return;
  tail_ = tail;
  if (hint_) hint_(tail_);
}

// ---- The snapshot ----

void RemoteMetadataLog::Puller::read_snapshot(int attempts, LogDone<Result<Snapshot>> done) {
  if (closed_) return done(std::unexpected(stops()));
  read_part(std::make_shared<ImageSnapshotBytes>(), attempts - 1, std::move(done));
}

void RemoteMetadataLog::Puller::read_part(std::shared_ptr<ImageSnapshotBytes> sofar, int attempts,
                                          LogDone<Result<Snapshot>> done) {
  const auto fill = [sofar](flatbuffers::FlatBufferBuilder& builder) {
    return body_of(protocol::Body::MetadataSnapshotPull,
                   protocol::CreateMetadataSnapshotPull(
                       builder, sofar->position, sofar->bytes.size(),
                       static_cast<std::uint32_t>(limits::kMaxMetadataPartBytes)));
  };
  auto part_came = [self = shared_from_this(), sofar, attempts,
                    done = std::move(done)](Result<NodeFrame> answer) mutable {
    if (self->closed_) return done(std::unexpected(stops()));
    Result<bool> whole = false;
    if (answer) {
      whole = self->take_part(*sofar, *answer->frame->body_as_MetadataSnapshotPart());
    } else {
      whole = std::unexpected(answer.error());
    }
    if (!whole) {
      if (attempts > 0) return self->read_snapshot(attempts, std::move(done));
      return done(std::unexpected(whole.error()));
    }
    if (!*whole) return self->read_part(std::move(sofar), attempts, std::move(done));
    if (sofar->bytes.empty()) return done(Snapshot{});
    self->tail_ = std::max(self->tail_, sofar->position);
    done(Snapshot{std::move(*sofar)});
  };
  peers_->ask(fill, protocol::Body::MetadataSnapshotPart, options_.call_timeout_ms,
              std::move(part_came));
}

// True: that was the last one.
Result<bool> RemoteMetadataLog::Puller::take_part(ImageSnapshotBytes& sofar,
                                                  const protocol::MetadataSnapshotPart& part) {
  const bool first = sofar.bytes.empty();
  if (first && part.version() == 0) return true;  // there is none
  const std::size_t size = part.bytes() == nullptr ? 0 : part.bytes()->size();
  const bool fits = (first || part.version() == sofar.position) &&
                    part.offset() == sofar.bytes.size() && size > 0 &&
                    size <= limits::kMaxMetadataPartBytes &&
                    part.total_bytes() <= limits::kMaxImageBytes &&
                    sofar.bytes.size() + size <= part.total_bytes();
  if (!fits) {
    return fail(ErrorCode::kBadFrame,
                std::to_string(size) + " bytes from " + std::to_string(part.offset()) + " of " +
                    std::to_string(part.total_bytes()) + " of the snapshot " +
                    std::to_string(part.version()) + " do not go on from byte " +
                    std::to_string(sofar.bytes.size()) + " of " + std::to_string(sofar.position));
  }
  sofar.position = part.version();
  sofar.bytes.insert(sofar.bytes.end(), part.bytes()->begin(), part.bytes()->end());
  return sofar.bytes.size() == part.total_bytes();
}

// ---- From any thread ----

RemoteMetadataLog::RemoteMetadataLog(net::Loop& loop, std::shared_ptr<MetadataPeers> peers,
                                     RemoteMetadataLogOptions options)
    : loop_(loop), puller_(std::make_shared<Puller>(loop, std::move(peers), options)) {}

RemoteMetadataLog::~RemoteMetadataLog() { puller_->close(); }

template <typename T, typename Work>
void RemoteMetadataLog::on_loop(LogDone<Result<T>> done, Work work) {
  // Outside of the task: it is answered also where the loop takes none any more.
  auto held = std::make_shared<LogDone<Result<T>>>(std::move(done));
  if (!loop_.post([puller = puller_, held, work = std::move(work)]() mutable {
        work(*puller, std::move(*held));
      })) {
    (*held)(std::unexpected(stops()));
  }
}

void RemoteMetadataLog::read(Position from, std::size_t max_bytes,
                             LogDone<Result<std::vector<LogEntry>>> done) {
  on_loop<std::vector<LogEntry>>(std::move(done), [from, max_bytes](Puller& puller, auto answer) {
    puller.read(from, max_bytes, std::move(answer));
  });
}

void RemoteMetadataLog::tail(LogDone<Result<Position>> done) {
  on_loop<Position>(std::move(done),
                    [](Puller& puller, auto answer) { puller.tail(std::move(answer)); });
}

void RemoteMetadataLog::get_snapshot(LogDone<Result<std::optional<ImageSnapshotBytes>>> done) {
  on_loop<std::optional<ImageSnapshotBytes>>(
      std::move(done), [](Puller& puller, auto answer) { puller.get_snapshot(std::move(answer)); });
}

void RemoteMetadataLog::tail_is(Position tail) {
  loop_.post([puller = puller_, tail] { puller->tail_is(tail); });
}

void RemoteMetadataLog::leader_is(NodeId node) {
  loop_.post([puller = puller_, node] { puller->leader_is(node); });
}

void RemoteMetadataLog::on_leader(std::function<void(LogLeader)> changed) {
  loop_.post([puller = puller_, changed = std::move(changed)]() mutable {
    puller->on_leader(std::move(changed));
  });
}

void RemoteMetadataLog::watch(std::function<void(Position tail)> hint) {
  loop_.post(
      [puller = puller_, hint = std::move(hint)]() mutable { puller->watch(std::move(hint)); });
}

void RemoteMetadataLog::campaign(NodeId, std::uint32_t, LogDone<Result<ControllerEpoch>> done) {
  done(std::unexpected(read_only()));
}

void RemoteMetadataLog::append(Position, ControllerEpoch, std::vector<EntryBytes>,
                               LogDone<AppendResult> done) {
  done({.outcome = AppendOutcome::kNotApplied, .error = read_only()});
}

void RemoteMetadataLog::put_snapshot(ImageSnapshotBytes, LogDone<Status> done) { done({}); }
void RemoteMetadataLog::trim(Position, LogDone<Status> done) { done({}); }

}  // namespace andyx::server
