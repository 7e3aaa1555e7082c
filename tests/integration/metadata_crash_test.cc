// `andyx-server metadata restore` and `force-recover`, killed before any of their calls to the file
// system (support/crash_shim.cc): given again they do what they were to do, and nothing is lost.
// ANDYX_CRASH_POINTS says how many calls are tried beside the last renames; 0: every one.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/integration/support/cli.h"
#include "tests/integration/support/crash_plan.h"
#include "tests/integration/support/seed.h"

namespace andyx::test {
namespace {

namespace fs = std::filesystem;

constexpr int kKilled = 128 + 9;
constexpr std::uint64_t kSampledPoints = 6;
constexpr std::size_t kLastRenames = 4;  // with those that put the new store in its place

std::string shim() {
  const char* path = std::getenv("ANDYX_CRASH_SHIM");
  REQUIRE_MESSAGE(path != nullptr, "ANDYX_CRASH_SHIM is not set: run the suite through meson test");
  return path;
}

// What happens to one process that has `environment`.
class Crash {
 public:
  explicit Crash(std::uint32_t dies_before) {
    write_file(path_, std::string(sizeof(CrashPlan), '\0'));
    const int fd = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
    REQUIRE(fd >= 0);
    void* mapped = mmap(nullptr, sizeof(CrashPlan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ::close(fd);
    REQUIRE(mapped != MAP_FAILED);
    plan_ = static_cast<CrashPlan*>(mapped);
    plan_->dies_before = dies_before;
  }
  ~Crash() { munmap(plan_, sizeof(CrashPlan)); }
  Crash(const Crash&) = delete;
  Crash& operator=(const Crash&) = delete;

  CommandResult run(const std::vector<std::string>& words) const {
    return run_command(
        {.argv = words, .environment = {"LD_PRELOAD=" + shim(), "CRASH_SHIM_FILE=" + path_}});
  }
  const CrashPlan& plan() const { return *plan_; }

 private:
  TempDir directory_{TempDir::AfterFailure::kRemove};
  std::string path_ = directory_.file("plan");
  CrashPlan* plan_ = nullptr;
};

using Command = std::function<std::vector<std::string>(const std::string& data_dir)>;

std::vector<std::string> metadata_command(std::vector<std::string> words,
                                          const std::string& data_dir) {
  words.insert(words.begin(), {server_binary(), "metadata"});
  words.insert(words.end(), {"--data-dir", data_dir, "--node-id", "1"});
  return words;
}

// A copy of a data directory; of none where that does not exist.
class Copy {
 public:
  explicit Copy(const std::string& of) {
    if (fs::exists(of)) fs::copy(of, path(), fs::copy_options::recursive);
  }
  std::string path() const { return directory_.file("data"); }

 private:
  TempDir directory_{TempDir::AfterFailure::kRemove};
};

// Before which calls the command dies: its last renames, and some of the others.
std::vector<std::uint32_t> points_of(const Command& command, const std::string& from) {
  const Copy copy(from);
  const Crash none(0);
  const CommandResult whole = none.run(command(copy.path()));
  REQUIRE_MESSAGE(whole.exit_code == 0, whole.err);
  const CrashPlan& plan = none.plan();
  REQUIRE(plan.calls <= CrashPlan::kMostCalls);
  std::vector<std::uint32_t> renames, others;
  for (std::uint32_t i = 1; i <= plan.calls; ++i) {
    (plan.kinds[i - 1] == FileCall::kRename ? renames : others).push_back(i);
  }
  REQUIRE(renames.size() >= kLastRenames);
  others.insert(others.end(), renames.begin(), renames.end() - kLastRenames);
  renames.erase(renames.begin(), renames.end() - kLastRenames);
  std::mt19937_64 random(printed_seed());
  std::ranges::shuffle(others, random);
  const std::uint64_t wanted = environment_number("ANDYX_CRASH_POINTS", kSampledPoints);
  if (wanted != 0 && wanted < others.size()) others.resize(wanted);
  others.insert(others.end(), renames.begin(), renames.end());
  std::ranges::sort(others);
  std::cout << plan.calls << " calls to the file system, the crash is before " << others.size()
            << " of them" << std::endl;
  return others;
}

// Of groups that have not come to be, or are not in their place.
std::size_t unfinished_stores(const std::string& data_dir) {
  return static_cast<std::size_t>(
      std::ranges::count_if(fs::directory_iterator(data_dir), [](const fs::directory_entry& entry) {
        const std::string name = entry.path().filename();
        constexpr std::string_view kPrefix = "raft.";
        return name.starts_with(kPrefix) &&
               name.find_first_not_of("0123456789", kPrefix.size()) == std::string::npos;
      }));
}

using Check = std::function<void(const Cli& cli)>;

void start_and_check(const std::string& data_dir, const Check& check) {
  ServerProcess server({.flags = {"--node-id", "1"}, .environment = {}, .data_dir = data_dir});
  server.start();
  const Cli cli(server);
  check(cli);
  cli.ok({"topic", "create", "afterwards", "--replication-factor", "1"});
  cli.ok({"produce", "afterwards"}, "new\n");
  CHECK(cli.ok({"read", "afterwards"}) == "new\n");
}

// `starts_anyway`: a node that was left as the crash left it serves, too.
void crash_everywhere(const Command& command, const std::string& from, bool starts_anyway,
                      const Check& check) {
  std::size_t killed = 0;
  const auto points = points_of(command, from);
  for (const std::uint32_t point : points) {
    CAPTURE(point);
    const Copy copy(from);
    const Crash crash(point);
    const CommandResult broken = crash.run(command(copy.path()));
    // Threads of the storage make a few calls more or less.
    CHECK_MESSAGE((broken.exit_code == kKilled || broken.exit_code == 0), broken.err);
    if (broken.exit_code == kKilled) ++killed;
    if (starts_anyway) {
      const Copy left(copy.path());
      start_and_check(left.path(), check);
    }
    const CommandResult again = run_command({.argv = command(copy.path())});
    CHECK_MESSAGE(again.exit_code == 0, "given again: ", again.err);
    CHECK(unfinished_stores(copy.path()) == 0);
    start_and_check(copy.path(), check);
  }
  CHECK(killed * 2 > points.size());
}

struct Source {
  TempDir directory;
  std::string file = directory.file("backup");
  ServerProcess server;
  Cli cli{server};

  Source() {
    server.start();
    cli.ok({"topic", "create", "t", "--partitions", "2"});
    cli.ok({"subscription", "create", "t", "s", "--from", "earliest"});
    cli.ok({"produce", "t"}, "one\ntwo\n");
    cli.ok({"metadata", "backup", file});
  }
  Command restore() const {
    return [this](const std::string& dir) { return metadata_command({"restore", file}, dir); };
  }
};

std::vector<std::string> messages(const Cli& cli) {
  auto lines = split_lines(cli.ok({"read", "t"}));
  std::ranges::sort(lines);
  return lines;
}

void check_subscription(const Cli& cli) {
  CHECK(cli.json({"subscription", "list", "t"}).at("subscriptions").size() == 1);
}

TEST_CASE_FIXTURE(Source, "a restore in place that is killed anywhere can be given again") {
  server.kill_now();
  crash_everywhere(restore(), server.data_dir(), true, [](const Cli& there) {
    CHECK(messages(there) == std::vector<std::string>{"one", "two"});
    check_subscription(there);
  });
}

TEST_CASE_FIXTURE(Source,
                  "a restore in a new directory that is killed anywhere can be given again") {
  crash_everywhere(restore(), directory.file("nothing"), false, [](const Cli& there) {
    CHECK(messages(there).empty());
    check_subscription(there);
    there.ok({"produce", "t"}, "three\n");
    CHECK(messages(there) == std::vector<std::string>{"three"});
  });
}

TEST_CASE("a forced recovery that is killed anywhere can be given again") {
  std::vector<std::unique_ptr<ServerProcess>> nodes;
  for (int id = 1; id <= 3; ++id) {
    std::vector<std::string> flags{"--node-id", std::to_string(id)};
    if (id > 1) flags.insert(flags.end(), {"--join", nodes.front()->address()});
    nodes.push_back(std::make_unique<ServerProcess>(
        ServerOptions{.flags = std::move(flags), .environment = {}, .data_dir = {}}));
    nodes.back()->start();
  }
  const Cli cli(*nodes.front());
  cli.ok({"topic", "create", "t", "--partitions", "2", "--replication-factor", "3"});
  cli.ok({"subscription", "create", "t", "s", "--from", "earliest"});
  cli.ok({"produce", "t"}, "one\ntwo\n");
  REQUIRE(wait_until([&] {
    const Json partitions = cli.json({"topic", "describe", "t"}).at("partitions");
    return std::ranges::all_of(partitions,
                               [](const Json& p) { return p.at("in_sync").size() == 3; }) &&
           cli.json({"cluster", "status"}).at("voters") == Json{1, 2, 3};
  }));
  for (const auto& node : nodes) node->kill_now();
  const Command recover = [](const std::string& dir) {
    return metadata_command({"force-recover", "--accept-data-loss"}, dir);
  };
  crash_everywhere(recover, nodes.front()->data_dir(), false, [](const Cli& alone) {
    CHECK(alone.json({"cluster", "status"}).at("voters") == Json{1});
    CHECK(wait_until([&] {
      const CommandResult read = alone.run({"read", "t"});
      return read.exit_code == kDone && split_lines(read.out).size() == 2;
    }));
    CHECK(messages(alone) == std::vector<std::string>{"one", "two"});
    check_subscription(alone);
  });
}

}  // namespace
}  // namespace andyx::test
