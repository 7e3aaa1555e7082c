// How fast a store makes a write durable, against appending the same bytes to a file with
// fdatasync on the same disk, in turns. Not a test: prints figures.
//   raft_store_bench [DIRECTORY] [SECONDS]
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include "raft/store/raft_store.h"

namespace {

using namespace andyx;
using namespace andyx::raft;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kPayloadBytes = 256;
constexpr std::size_t kTurn = 200;

double us_since(Clock::time_point started) {
  return std::chrono::duration<double, std::micro>(Clock::now() - started).count();
}

// Lets so many be under way.
class Window {
 public:
  void enter(std::size_t size) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return under_way_ < size; });
    ++under_way_;
  }
  void leave() {
    const std::lock_guard lock(mutex_);
    --under_way_;
    changed_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t under_way_ = 0;
};

class Bench {
 public:
  explicit Bench(const std::string& directory) : directory_(directory) {
    auto store = RaftStore::open({.path = directory + "/store",
                                  .identity = {.cluster_id = "bench", .peer = 1, .disk_id = "d"}});
    if (!store) {
      std::fprintf(stderr, "%s\n", store.error().message.c_str());
      std::exit(1);
    }
    store_ = std::move(*store);
    file_ = ::open((directory + "/raw").c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);
    if (file_ < 0) std::abort();
  }
  ~Bench() { ::close(file_); }

  double raw_us() {
    const std::string bytes(kPayloadBytes, 'x');
    const auto started = Clock::now();
    if (::write(file_, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()) ||
        ::fdatasync(file_) != 0) {
      std::abort();
    }
    return us_since(started);
  }
  double store_us() {
    const auto started = Clock::now();
    enqueue(1);
    window_.enter(1);  // it is done
    window_.leave();
    return us_since(started);
  }
  void enqueue(std::size_t window) {
    window_.enter(window);
    const Entry entry{.term = 1, .index = ++index_, .data = payload_};
    store_->write({.entries = {entry}}, [this] { window_.leave(); });
    if (index_ % 100'000 == 0) {  // as a host does, so that the log stays small
      store_->save_snapshot(
          std::make_shared<Snapshot>(Snapshot{.meta = {.index = index_ - 1, .term = 1}}), {});
      store_->compact(index_ - 1);
    }
  }
  void drain() {
    window_.enter(1);
    window_.leave();
  }

 private:
  static SharedBytes make_payload() {
    const std::vector<std::uint8_t> bytes(kPayloadBytes, 'x');
    return SharedBytes::copy_of(bytes);
  }

  const std::string directory_;
  const SharedBytes payload_ = make_payload();
  Window window_;  // outlives the store, which calls it
  int file_ = -1;
  Index index_ = 0;
  std::unique_ptr<RaftStore> store_;
};

// One entry to three stores of the same disk, as a leader with two followers has it, until two have
// it; the third one is waited for outside of the time.
std::vector<double> quorum_us(const std::string& directory, double seconds) {
  std::vector<std::unique_ptr<RaftStore>> stores;
  for (PeerId peer = 1; peer <= 3; ++peer) {
    auto store =
        RaftStore::open({.path = directory + "/voter-" + std::to_string(peer),
                         .identity = {.cluster_id = "bench", .peer = peer, .disk_id = "d"}});
    if (!store) std::abort();
    stores.push_back(std::move(*store));
  }
  const std::vector<std::uint8_t> bytes(kPayloadBytes, 'x');
  const SharedBytes payload = SharedBytes::copy_of(bytes);
  std::mutex mutex;
  std::condition_variable changed;
  int done = 0;
  std::vector<double> times;
  const auto begun = Clock::now();
  for (Index index = 1; us_since(begun) < seconds * 1e6; ++index) {
    const auto started = Clock::now();
    for (const auto& store : stores) {
      store->write({.entries = {{.term = 1, .index = index, .data = payload}}}, [&] {
        const std::lock_guard lock(mutex);
        ++done;
        changed.notify_one();
      });
    }
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return done >= 2; });
    times.push_back(us_since(started));
    changed.wait(lock, [&] { return done == 3; });
    done = 0;
  }
  return times;
}

double percentile(std::vector<double> values, std::size_t percent) {
  std::ranges::sort(values);
  return values[(values.size() - 1) * percent / 100];
}

void run(const std::string& directory, double seconds) {
  Bench bench(directory);
  std::vector<double> raw, store;
  for (const auto started = Clock::now(); us_since(started) < seconds * 1e6;) {
    for (std::size_t i = 0; i < kTurn; ++i) raw.push_back(bench.raw_us());
    for (std::size_t i = 0; i < kTurn; ++i) store.push_back(bench.store_us());
  }
  std::printf("append and fdatasync, 256 B     p50 %7.0f us   p99 %7.0f us\n", percentile(raw, 50),
              percentile(raw, 99));
  std::printf("store, one entry of 256 B       p50 %7.0f us   p99 %7.0f us   p50 ratio %.2f\n",
              percentile(store, 50), percentile(store, 99),
              percentile(store, 50) / percentile(raw, 50));
  const std::vector<double> quorum = quorum_us(directory, seconds);
  std::printf("two of three stores             p50 %7.0f us   p99 %7.0f us   p50 ratio %.2f\n",
              percentile(quorum, 50), percentile(quorum, 99),
              percentile(quorum, 50) / percentile(raw, 50));
  for (const std::size_t window : {16u, 256u, 4096u}) {
    std::size_t written = 0;
    const auto started = Clock::now();
    for (; us_since(started) < seconds * 1e6 / 2; ++written) bench.enqueue(window);
    bench.drain();
    std::printf("store, %4zu under way           %8.0f entries/s\n", window,
                static_cast<double>(written) / us_since(started) * 1e6);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string base = argc > 1 ? argv[1] : "/tmp";
  const std::string directory = base + "/raft-store-bench-" + std::to_string(::getpid());
  std::filesystem::create_directories(directory);
  run(directory, argc > 2 ? std::strtod(argv[2], nullptr) : 4);
  std::filesystem::remove_all(directory);
}
