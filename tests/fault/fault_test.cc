// A cluster of real processes under load and faults, and the judge over all that happened.
// README.md says how to run it for longer, and how to read what it leaves behind.
#include <doctest/doctest.h>

#include <algorithm>
#include <iostream>
#include <optional>
#include <string>

#include "tests/fault/cluster/ask.h"
#include "tests/fault/cluster/cluster.h"
#include "tests/fault/history/checker.h"
#include "tests/fault/history/gaps.h"
#include "tests/fault/history/history.h"
#include "tests/fault/nemesis/nemesis.h"
#include "tests/fault/settings.h"
#include "tests/fault/workload/workload.h"
#include "tests/integration/support/failure_watch.h"
#include "tests/integration/support/seed.h"

namespace andyx::test::fault {
namespace {

constexpr const char* kTopic = "faults";
constexpr const char* kTopicPath = "default/default/default/faults";
constexpr std::uint32_t kPartitions = 3;
constexpr std::uint32_t kMostCopies = 3;
constexpr Millis kFormWithin{60'000}, kElectWithin{10'000};
constexpr Millis kDeliverySilence{60'000}, kDeliverWithin{900'000};

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
                  .flags = {"--generation-bytes", "4194304", "--min-free-bytes", "67108864"}}),
        factor_(std::min(settings_.nodes, kMostCopies)),
        options_({.servers = cluster_.servers(),
                  .topic = kTopic,
                  .partitions = kPartitions,
                  .acks = factor_ > 1 ? client::Acks::kQuorum : client::Acks::kMain}),
        history_(cast_of(options_)) {}

  // History and logs stay where something failed, or where they were asked for.
  ~Run() {
    if (workload_) workload_->stop();
    if (!any_failure() && settings_.keep.empty()) return;
    const std::string path = directory_ + "/history.txt";
    CHECK(history_.write(path));
    std::cout << "seed " << seed_ << "; the history is in " << path
              << ", the nodes' logs are beside it" << std::endl;
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  void form() {
    for (Cluster::Place place = 1; place <= cluster_.size(); ++place) {
      cluster_.start(place);
      wait_until([&] { return cluster_.ready(place) || !cluster_.running(place); }, kFormWithin);
      REQUIRE_MESSAGE(cluster_.ready(place), "node ", place, " is not ready; its log ends with\n",
                      cluster_.log_end(place));
    }
    std::string said;
    REQUIRE_MESSAGE(wait_until([&] { return create_topic(said); }, kFormWithin), said);
    REQUIRE_MESSAGE(
        wait_until([&] { return cluster_.view(kTopicPath).complete(factor_); }, kFormWithin),
        cluster_.view(kTopicPath).text());
  }

  void suffer() {
    workload_.emplace(history_, options_, seed_);
    NemesisOptions nemesis_options{
        .faults = settings_.faults,
        .at_most = std::chrono::minutes(settings_.minutes),
        .kinds = possible_kinds(settings_.kinds, settings_.nodes, !settings_.disk_shim.empty(),
                                cluster_.small_disk(cluster_.size()) != nullptr),
        .factor = factor_,
        .topic = kTopic,
        .topic_path = kTopicPath};
    if (!cluster_.why_no_small_disk().empty()) {
      std::cout << "no full disks here, mount says: " << cluster_.why_no_small_disk() << std::endl;
    }
    REQUIRE_FALSE(nemesis_options.kinds.empty());
    Nemesis nemesis(cluster_, *workload_, history_, std::move(nemesis_options), seed_);
    REQUIRE_MESSAGE(nemesis.recover(), "before the first fault: ", nemesis.trouble());
    const std::uint32_t faults = nemesis.run();
    CHECK_MESSAGE(nemesis.trouble().empty(), nemesis.trouble());
    CHECK_MESSAGE(faults >= settings_.faults, "time was up after ", faults, " faults");
  }

  void wind_up() {
    workload_->stop_producers();
    std::uint32_t copies = 0;
    for (Cluster::Place place = 1; place <= cluster_.size(); ++place) {
      copies += make_main_of_all(place);
      CHECK_MESSAGE(wait_until([&] { return workload_->read_to_the_end(place - 1); }), "node ",
                    cluster_.node_at(place), " does not let everything be read");
    }
    std::cout << "read at the end as main: " << copies << " of " << factor_ * kPartitions
              << " copies" << std::endl;
    const std::uint32_t read_ms = history_.now_ms();
    CHECK_MESSAGE(all_is_delivered(), workload_->missing_deliveries());
    std::cout << "all was delivered " << history_.now_ms() - read_ms << " ms later" << std::endl;
    workload_->stop();
  }

  void judge() {
    const auto [findings, judged] = check(history_);
    std::cout << judged.sent << " messages sent, " << judged.committed << " committed, "
              << judged.not_stored << " not stored, " << judged.maybe_stored << " unknown, "
              << judged.stored << " there at the end; " << judged.reads << " records read, "
              << judged.deliveries << " delivered, " << judged.confirmed << " answers confirmed\n"
              << gap_table(measure_gaps(history_), kPartitions) << std::flush;
    CHECK(judged.committed > 0);
    CHECK(judged.confirmed > 0);
    CHECK_MESSAGE(findings.count() == 0, findings.text());
  }

 private:
  bool create_topic(std::string& said) {
    const Bytes frame = make_frame<protocol::TopicCreate>(kQuestion, [this](Builder& builder) {
      return protocol::CreateTopicCreateDirect(builder, kTopicPath, kPartitions, factor_);
    });
    const auto answer = ask(cluster_.listen_address(1), frame, Millis(5'000));
    if (!answer) said = "creating the topic: " + answer.error().message;
    return answer.has_value() || answer.error().code == ErrorCode::kTopicExists;
  }

  // One message at a time is a slow way to catch up on a loaded machine: it takes as long as it
  // takes, while it goes on.
  bool all_is_delivered() const {
    const auto end = Clock::now() + kDeliverWithin;
    for (std::uint64_t left = workload_->undelivered(); left > 0;) {
      const bool goes_on =
          wait_until([&] { return workload_->undelivered() < left; }, kDeliverySilence);
      if (!goes_on || Clock::now() >= end) return workload_->all_delivered();
      left = workload_->undelivered();
    }
    return true;
  }

  // So that its own copies are read. How many partitions it is main of then; the others are read
  // from another copy.
  std::uint32_t make_main_of_all(Cluster::Place place) {
    const NodeId node = cluster_.node_at(place);
    if (factor_ == 1) return mains_of(node);
    for (std::uint32_t partition = 0; partition < kPartitions; ++partition) {
      const Bytes frame = make_frame<protocol::PartitionElect>(kQuestion, [&](Builder& builder) {
        return protocol::CreatePartitionElectDirect(builder, kTopicPath, partition, node);
      });
      for (Cluster::Place other = 1; other <= cluster_.size(); ++other) {
        if (ask(cluster_.listen_address(other), frame, Millis(5'000))) break;
      }
    }
    wait_until([&] { return mains_of(node) == kPartitions; }, kElectWithin);
    return mains_of(node);
  }

  std::uint32_t mains_of(NodeId node) const {
    const ClusterView view = cluster_.view(kTopicPath);
    return static_cast<std::uint32_t>(
        std::ranges::count(view.partitions, node, &PartitionView::main));
  }

  const Settings settings_;
  const std::uint64_t seed_;
  std::optional<TempDir> own_directory_;
  const std::string directory_;
  Cluster cluster_;
  const std::uint32_t factor_;
  const WorkloadOptions options_;
  History history_;
  std::optional<Workload> workload_;
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
