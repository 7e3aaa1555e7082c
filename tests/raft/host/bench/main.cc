// Figures of three voters over loopback, each with a store of its own that syncs to disk:
//
//   raft_host_bench DIR [--proposals N] [--singles N] [--elections N] [--idle SECONDS]
//
// DIR is made and must not exist. Not run by CI; the goals stand in ARCHITECTURE.md, Raft.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "raft/host/raft_host.h"

extern char** environ;

namespace andyx::raft {
namespace {

constexpr std::size_t kProposalBytes = 256;
constexpr std::size_t kPipelined = 4'096;

[[noreturn]] void die(const std::string& why) {
  std::fprintf(stderr, "raft_host_bench: %s\n", why.c_str());
  std::_Exit(1);
}

double us_of(std::uint64_t ns) { return static_cast<double>(ns) / 1e3; }

struct Times {
  std::vector<std::uint64_t> ns;
  double us_at(double share) {
    std::ranges::sort(ns);
    return us_of(ns[static_cast<std::size_t>(share * static_cast<double>(ns.size() - 1))]);
  }
};

class CountingMachine final : public StateMachine {
 public:
  Status apply(const Entry&) override {
    ++applied_;
    return {};
  }
  SharedBytes take_snapshot() override { return {}; }
  Status restore(const Snapshot&) override { return {}; }

 private:
  std::atomic<std::uint64_t> applied_ = 0;
};

using Ports = std::array<std::uint16_t, 3>;

Ports claim_ports() {
  Ports ports{};
  for (auto& port : ports) {
    const auto claimed = net::claim_address({.host = "127.0.0.1", .port = 0});
    if (!claimed) die(claimed.error().message);
    port = claimed->address().port;
  }
  return ports;
}

HostOptions options_of(const std::string& dir, PeerId id, const Ports& ports) {
  HostOptions options;
  options.store.path = dir + "/peer-" + std::to_string(id);
  options.store.identity = {
      .cluster_id = "bench", .peer = id, .disk_id = "disk-" + std::to_string(id)};
  options.bootstrap_voters = {1, 2, 3};
  for (PeerId peer = 1; peer <= 3; ++peer) {
    options.peers.push_back(
        {.id = peer, .address = {.host = "127.0.0.1", .port = ports[peer - 1]}});
  }
  options.listen = options.peers[id - 1].address;
  return options;
}

std::unique_ptr<RaftHost> start(const HostOptions& options, StateMachine& machine) {
  auto host = RaftHost::start(options, machine);
  if (!host) die(host.error().message);
  return std::move(*host);
}

// ---- Three hosts in this process ----

struct Trio {
  std::array<CountingMachine, 3> machines;
  std::array<std::unique_ptr<RaftHost>, 3> hosts;
  std::atomic<std::uint64_t> term = 0;
  std::atomic<PeerId> leader = kNone;

  explicit Trio(const std::string& dir) {
    const Ports ports = claim_ports();
    for (PeerId id = 1; id <= 3; ++id) {
      hosts[id - 1] = start(options_of(dir, id, ports), machines[id - 1]);
      hosts[id - 1]->on_leader_change([this, id](SoftState soft, Term now) {
        if (soft.role != Role::kLeader) return;
        term = now;
        leader = id;
      });
    }
    while (leader == kNone) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  RaftHost& leading() { return *hosts[leader - 1]; }
};

SharedBytes payload() {
  auto bytes = SharedBytes::allocate(kProposalBytes);
  std::memset(bytes.mutable_data(), 'p', kProposalBytes);
  return bytes;
}

void measure_throughput(Trio& trio, std::size_t count) {
  std::mutex mutex;
  std::condition_variable room;
  std::size_t open = 0, applied = 0, failed = 0;
  const auto begin = net::monotonic_ns();
  for (std::size_t i = 0; i < count; ++i) {
    {
      std::unique_lock lock(mutex);
      room.wait(lock, [&] { return open < kPipelined; });
      ++open;
    }
    trio.leading().propose(payload(), [&](ProposalResult result) {
      std::lock_guard lock(mutex);
      --open;
      ++(result.outcome == ProposalOutcome::kApplied ? applied : failed);
      room.notify_one();
    });
  }
  std::unique_lock lock(mutex);
  room.wait(lock, [&] { return open == 0; });
  const double seconds = us_of(net::monotonic_ns() - begin) / 1e6;
  std::printf("proposals of %zu bytes, %zu in flight: %.0f/s (%zu applied, %zu not, %.1f s)\n",
              kProposalBytes, kPipelined, static_cast<double>(applied) / seconds, applied, failed,
              seconds);
}

// How long one proposal takes; nothing when it was not applied.
std::optional<std::uint64_t> propose_one(Trio& trio) {
  std::mutex mutex;
  std::condition_variable answered;
  bool done = false, applied = false;
  const auto begin = net::monotonic_ns();
  trio.leading().propose(payload(), [&](ProposalResult result) {
    std::lock_guard lock(mutex);
    done = true;
    applied = result.outcome == ProposalOutcome::kApplied;
    answered.notify_one();
  });
  std::unique_lock lock(mutex);
  answered.wait(lock, [&] { return done; });
  if (!applied) return std::nullopt;
  return net::monotonic_ns() - begin;
}

// A file to which as many bytes are appended as a proposal has, and synced.
class SyncedFile {
 public:
  explicit SyncedFile(const std::string& path)
      : path_(path), fd_(::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644)) {
    if (fd_ < 0) die("cannot make " + path);
  }
  SyncedFile(const SyncedFile&) = delete;
  SyncedFile& operator=(const SyncedFile&) = delete;
  ~SyncedFile() {
    ::close(fd_);
    ::unlink(path_.c_str());
  }
  std::uint64_t append() {
    const auto bytes = payload();
    const auto begin = net::monotonic_ns();
    if (::write(fd_, bytes.data(), bytes.size()) < 0 || ::fdatasync(fd_) != 0) die("cannot sync");
    return net::monotonic_ns() - begin;
  }

 private:
  const std::string path_;
  const int fd_;
};

// By turns, so that both meet the same disk.
void measure_singles(Trio& trio, const std::string& dir, std::size_t count) {
  SyncedFile file(dir + "/fdatasync");
  Times proposals, syncs;
  for (std::size_t i = 0; i < count; ++i) {
    if (const auto ns = propose_one(trio)) proposals.ns.push_back(*ns);
    syncs.ns.push_back(file.append());
  }
  if (proposals.ns.empty()) die("no proposal was applied");
  const double median = proposals.us_at(0.5), sync = syncs.us_at(0.5);
  std::printf("one proposal at a time: p50 %.0f us, p99 %.0f us (%zu)\n", median,
              proposals.us_at(0.99), proposals.ns.size());
  std::printf("an append and fdatasync in between: p50 %.0f us, p99 %.0f us; ratio %.2f\n", sync,
              syncs.us_at(0.99), median / sync);
}

void measure_idle(Trio& trio, std::size_t seconds) {
  const auto before = trio.term.load();
  std::this_thread::sleep_for(std::chrono::seconds(seconds));
  std::printf("idle for %zu s: %lu changes of term\n", seconds,
              static_cast<unsigned long>(trio.term.load() - before));
}

// ---- Three processes, of which the leader is killed ----

// Says on its standard output when it leads: the monotonic clock is the same for all.
int run_child(const std::string& dir, PeerId id, const Ports& ports) {
  CountingMachine machine;
  const auto host = start(options_of(dir, id, ports), machine);
  host->on_leader_change([id](SoftState soft, Term) {
    const auto now = net::monotonic_ns();
    std::printf("%d %lu %lu\n", soft.role == Role::kLeader ? 1 : 0, static_cast<unsigned long>(id),
                static_cast<unsigned long>(now));
    std::fflush(stdout);
  });
  while (true) ::pause();
}

class Children {
 public:
  explicit Children(std::string dir) : dir_(std::move(dir)), ports_(claim_ports()) {
    if (::pipe2(pipe_, O_CLOEXEC) != 0) die("no pipe");
    lines_ = ::fdopen(pipe_[0], "r");
  }
  ~Children() {
    for (PeerId id = 1; id <= 3; ++id) kill(id);
    std::fclose(lines_);
    ::close(pipe_[1]);
  }

  void spawn(PeerId id) {
    std::vector<std::string> words = {"raft_host_bench", "--child", std::to_string(id), dir_};
    for (const auto port : ports_) words.push_back(std::to_string(port));
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipe_[1], STDOUT_FILENO);
    if (::posix_spawn(&pids_[id - 1], "/proc/self/exe", &actions, nullptr, arguments.data(),
                      environ) != 0) {
      die("cannot start a process");
    }
    posix_spawn_file_actions_destroy(&actions);
  }
  void kill(PeerId id) {
    if (pids_[id - 1] == 0) return;
    ::kill(pids_[id - 1], SIGKILL);
    ::waitpid(pids_[id - 1], nullptr, 0);
    pids_[id - 1] = 0;
  }
  struct Leader {
    PeerId id = kNone;
    std::uint64_t since_ns = 0;
  };
  // Waits for one that leads since `after_ns` or later.
  Leader wait_for_leader(std::uint64_t after_ns) {
    int leads = 0;
    unsigned long id = 0, since = 0;
    while (std::fscanf(lines_, "%d %lu %lu", &leads, &id, &since) == 3) {
      if (leads == 1 && since >= after_ns && pids_[id - 1] != 0) return {id, since};
    }
    die("the peers are gone");
  }

 private:
  const std::string dir_;
  const Ports ports_;
  int pipe_[2] = {-1, -1};
  FILE* lines_ = nullptr;
  std::array<pid_t, 3> pids_{};
};

void measure_elections(const std::string& dir, std::size_t count) {
  std::filesystem::create_directories(dir);
  Children children(dir);
  for (PeerId id = 1; id <= 3; ++id) children.spawn(id);
  auto leader = children.wait_for_leader(0);
  Times times;
  for (std::size_t i = 0; i < count; ++i) {
    // Time to settle: the one that was killed last is back and follows.
    std::this_thread::sleep_for(std::chrono::milliseconds(1'500));
    const auto killed_ns = net::monotonic_ns();
    children.kill(leader.id);
    const auto next = children.wait_for_leader(killed_ns);
    times.ns.push_back(next.since_ns - killed_ns);
    children.spawn(leader.id);
    leader = next;
  }
  std::printf(
      "a new leader after the old one was killed: p50 %.0f ms, p90 %.0f ms, max %.0f ms "
      "(%zu)\n",
      times.us_at(0.5) / 1e3, times.us_at(0.9) / 1e3, times.us_at(1.0) / 1e3, times.ns.size());
}

int run(const std::vector<std::string>& words) {
  if (words.size() == 6 && words[0] == "--child") {
    Ports ports{};
    for (std::size_t i = 0; i < 3; ++i) {
      ports[i] = static_cast<std::uint16_t>(std::stoul(words[3 + i]));
    }
    return run_child(words[2], std::stoull(words[1]), ports);
  }
  if (words.empty() || words.size() % 2 != 1) {
    die("DIR [--proposals N] [--singles N] [--elections N] [--idle SECONDS]");
  }
  std::size_t proposals = 200'000, singles = 2'000, elections = 20, idle = 0;
  for (std::size_t i = 1; i < words.size(); i += 2) {
    const auto number = static_cast<std::size_t>(std::stoull(words[i + 1]));
    if (words[i] == "--proposals") proposals = number;
    if (words[i] == "--singles") singles = number;
    if (words[i] == "--elections") elections = number;
    if (words[i] == "--idle") idle = number;
  }
  const std::string& dir = words[0];
  if (std::filesystem::exists(dir)) die(dir + " exists");
  std::filesystem::create_directories(dir);
  if (proposals + singles + idle > 0) {
    std::filesystem::create_directories(dir + "/trio");
    Trio trio(dir + "/trio");
    if (proposals > 0) measure_throughput(trio, proposals);
    if (singles > 0) measure_singles(trio, dir, singles);
    if (idle > 0) measure_idle(trio, idle);
  }
  if (elections > 0) measure_elections(dir + "/elections", elections);
  std::filesystem::remove_all(dir);
  return 0;
}

}  // namespace
}  // namespace andyx::raft

int main(int argc, char** argv) {
  return andyx::raft::run(std::vector<std::string>(argv + 1, argv + argc));
}
