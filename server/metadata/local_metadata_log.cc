// MetadataLog over LocalMetadataStore: one thread that takes the calls in order and waits for the
// disk.
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "server/metadata/local_metadata_store.h"
#include "server/metadata/metadata_log.h"

namespace andyx::server {
namespace {

// Far more than a controller has open at a time.
constexpr std::size_t kMaxQueuedCalls = 1'024;

class LocalMetadataLog final : public MetadataLog {
 public:
  explicit LocalMetadataLog(LocalMetadataStore store)
      : store_(std::move(store)), thread_([this] { run(); }) {}

  ~LocalMetadataLog() override {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
      wake_.notify_one();
    }
    thread_.join();
  }

  void campaign(NodeId, std::uint32_t, LogDone<Result<ControllerEpoch>> done) override {
    call(std::move(done), [this] { return store_.campaign(); });
  }

  void append(Position expected, ControllerEpoch epoch, std::vector<EntryBytes> entries,
              LogDone<AppendResult> done) override {
    enqueue([this, expected, epoch, entries = std::move(entries),
             done = std::move(done)](const Error* refused) mutable {
      if (refused != nullptr) return done({AppendOutcome::kNotApplied, 0, *refused});
      const AppendResult result = store_.append(expected, epoch, entries);
      done(result);
      if (result.outcome == AppendOutcome::kOk && hint_) hint_(result.tail);
    });
  }

  void read(Position from, std::size_t max_bytes,
            LogDone<Result<std::vector<LogEntry>>> done) override {
    call(std::move(done), [this, from, max_bytes] { return store_.read(from, max_bytes); });
  }

  void tail(LogDone<Result<Position>> done) override {
    call(std::move(done), [this] { return store_.tail(); });
  }

  void put_snapshot(ImageSnapshotBytes snapshot, LogDone<Status> done) override {
    call(std::move(done),
         [this, snapshot = std::move(snapshot)] { return store_.put_snapshot(snapshot); });
  }

  void get_snapshot(LogDone<Result<std::optional<ImageSnapshotBytes>>> done) override {
    call(std::move(done), [this] { return store_.get_snapshot(); });
  }

  void trim(Position before, LogDone<Status> done) override {
    call(std::move(done), [this, before] { return store_.trim(before); });
  }

  void watch(std::function<void(Position)> hint) override { hint_ = std::move(hint); }

  // Whoever has it may: there is nobody else, or the epoch decides.
  void on_leader(std::function<void(LogLeader)> changed) override { changed({.here = true}); }

 private:
  // Runs on thread_; with an error when the call is refused instead.
  using Call = std::move_only_function<void(const Error* refused)>;

  template <typename T, typename Work>
  void call(LogDone<T> done, Work work) {
    enqueue([done = std::move(done), work = std::move(work)](const Error* refused) mutable {
      done(refused != nullptr ? T(std::unexpected(*refused)) : work());
    });
  }

  void enqueue(Call call) {
    {
      const std::lock_guard lock(mutex_);
      if (calls_.size() < kMaxQueuedCalls) {
        calls_.push_back(std::move(call));
        wake_.notify_one();
        return;
      }
    }
    const Error overloaded{ErrorCode::kOverloaded, "too many calls wait for the metadata log"};
    call(&overloaded);
  }

  void run() {
    const Error closing{ErrorCode::kShuttingDown, "the metadata log is closed"};
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return closing_ || !calls_.empty(); });
      if (calls_.empty()) return;
      Call call = std::move(calls_.front());
      calls_.pop_front();
      const bool refuse = closing_;
      lock.unlock();
      call(refuse ? &closing : nullptr);
      lock.lock();
    }
  }

  LocalMetadataStore store_;  // thread_ only
  std::function<void(Position)> hint_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Call> calls_;
  bool closing_ = false;
  std::thread thread_;  // last: starts when all else is there
};

}  // namespace

Result<std::unique_ptr<MetadataLog>> open_local_metadata_log(storage::StorageShard& shard) {
  auto store = LocalMetadataStore::open(shard);
  if (!store) return std::unexpected(store.error());
  return std::make_unique<LocalMetadataLog>(std::move(*store));
}

}  // namespace andyx::server
