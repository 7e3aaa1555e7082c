// A cluster of real processes under load and faults, and the judge over all that happened.
// README.md says how to run it for longer, and how to read what it leaves behind.
#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <iostream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/fault/cluster/cluster.h"
#include "tests/fault/history/checker.h"
#include "tests/fault/history/gaps.h"
#include "tests/fault/nemesis/nemesis.h"
#include "tests/fault/settings.h"
#include "tests/fault/trial.h"
#include "tests/integration/support/failure_watch.h"
#include "tests/integration/support/seed.h"

namespace andyx::test::fault {
namespace {

constexpr std::uint32_t kMostCopies = 3;
constexpr std::uint32_t kAsyncCopies = 2;  // of three nodes one is free for copies that move
constexpr Millis kReadyWithin{60'000};

// The copies of the first topic are in sync; those of the second, where there can be any, observe.
std::vector<TestTopic> topics_for(std::uint32_t nodes) {
  std::vector<TestTopic> topics = {
      {.name = "faults", .partitions = 3, .factor = std::min(nodes, kMostCopies)}};
  if (nodes >= kAsyncCopies) {
    topics.push_back({.name = "behind", .partitions = 2, .factor = kAsyncCopies, .async = true});
  }
  return topics;
}

class Run {
 public:
  Run(Settings settings, std::uint64_t seed)
      : settings_(std::move(settings)),
        seed_(seed),
        directory_(settings_.keep.empty() ? own_directory_.emplace().path() : settings_.keep),
        cluster_({.nodes = settings_.nodes,
                  .directory = directory_,
                  .disk_shim = settings_.disk_shim,
                  .small_disk = any_needs_small_disk(settings_.kinds),
                  // Small generations, so that a short run sees several of them.
                  .flags = {"--generation-bytes", "4194304", "--min-free-bytes", "67108864"}}) {
    for (TestTopic& topic : topics_for(settings_.nodes)) {
      trials_.emplace_back(cluster_, std::move(topic));
    }
  }

  // Histories and logs stay where something failed, or where they were asked for.
  ~Run() {
    for (Trial& trial : trials_) trial.stop();
    if (!any_failure() && settings_.keep.empty()) return;
    for (Trial& trial : trials_) {
      const std::string path = directory_ + "/history-" + trial.topic().name + ".txt";
      CHECK(trial.history().write(path));
      std::cout << "seed " << seed_ << "; the history of " << trial.topic().name << " is in "
                << path << ", the nodes' logs are beside it" << std::endl;
    }
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  void form() {
    for (Cluster::Place place = 1; place <= cluster_.size(); ++place) {
      cluster_.start(place);
      wait_until([&] { return cluster_.ready(place) || !cluster_.running(place); }, kReadyWithin);
      REQUIRE_MESSAGE(cluster_.ready(place), "node ", place, " is not ready; its log ends with\n",
                      cluster_.log_end(place));
    }
    for (Trial& trial : trials_) trial.form();
  }

  void suffer() {
    std::uint64_t seed = seed_;
    for (Trial& trial : trials_) trial.begin(seed++);
    NemesisOptions nemesis_options{
        .faults = settings_.faults,
        .at_most = std::chrono::minutes(settings_.minutes),
        .kinds = possible_kinds(settings_.kinds, settings_.nodes, !settings_.disk_shim.empty(),
                                cluster_.small_disk(cluster_.size()) != nullptr)};
    if (!cluster_.why_no_small_disk().empty()) {
      std::cout << "no full disks here, mount says: " << cluster_.why_no_small_disk() << std::endl;
    }
    REQUIRE_FALSE(nemesis_options.kinds.empty());
    Nemesis nemesis(cluster_, trials_, std::move(nemesis_options), seed_);
    REQUIRE_MESSAGE(nemesis.recover(), "before the first fault: ", nemesis.trouble());
    const std::uint32_t faults = nemesis.run();
    CHECK_MESSAGE(nemesis.trouble().empty(), nemesis.trouble());
    CHECK_MESSAGE(faults >= settings_.faults, "time was up after ", faults, " faults");
  }

  void wind_up() {
    for (Trial& trial : trials_) trial.wind_up();
  }

  void judge() {
    for (Trial& trial : trials_) {
      const auto [findings, judged] = check(trial.history());
      std::cout << trial.topic().name << ": " << judged.sent << " messages sent, "
                << judged.committed << " committed, " << judged.not_stored << " not stored, "
                << judged.maybe_stored << " unknown, " << judged.stored << " there at the end; "
                << judged.reads << " records read, " << judged.deliveries << " delivered, "
                << judged.confirmed << " answers confirmed" << std::endl;
      CHECK(judged.committed > 0);
      CHECK(judged.confirmed > 0);
      CHECK_MESSAGE(findings.count() == 0, trial.topic().name, ": ", findings.text());
    }
    // An async topic stands still as long as its mains are away: its gaps say nothing.
    std::cout << gap_table(measure_gaps(trials_.front().history()),
                           trials_.front().topic().partitions)
              << std::flush;
  }

 private:
  const Settings settings_;
  const std::uint64_t seed_;
  std::optional<TempDir> own_directory_;
  const std::string directory_;
  Cluster cluster_;
  std::deque<Trial> trials_;
};

TEST_CASE("whatever fails, what was promised holds") {
  Run run(settings_from_environment(), printed_seed());
  run.form();
  run.suffer();
  run.wind_up();
  run.judge();
}

}  // namespace
}  // namespace andyx::test::fault
