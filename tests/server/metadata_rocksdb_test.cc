#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "storage/rocksdb_shard.h"
#include "tests/server/metadata_log_conformance.h"
#include "tests/server/running_controller.h"

namespace andyx::server::test {
namespace {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = std::filesystem::temp_directory_path() / "andyx-metadata-XXXXXX";
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }

  std::unique_ptr<storage::StorageShard> open(std::uint64_t min_free_bytes = 1) const {
    storage::ShardOptions options;
    options.directory = path_ / "shard";
    options.min_free_bytes = min_free_bytes;
    auto shard = storage::open_rocksdb_shard(options);
    REQUIRE_MESSAGE(shard.has_value(), shard.error().message);
    return std::move(*shard);
  }

 private:
  std::filesystem::path path_;
};

TEST_CASE("the log in RocksDB keeps the contract") {
  const TemporaryDirectory directory;
  std::unique_ptr<storage::StorageShard> shard;
  check_metadata_log_conformance([&] {
    shard.reset();  // each time from the disk
    shard = directory.open();
    auto log = open_local_metadata_log(*shard);
    REQUIRE_MESSAGE(log.has_value(), log.error().message);
    return std::move(*log);
  });
}

TEST_CASE("a cluster survives restarts of its node on RocksDB, with snapshots between them") {
  const TemporaryDirectory directory;
  constexpr std::uint64_t kRuns = 4;
  constexpr int kTopics = 40;  // a run does not fill a snapshot (50 entries), two do
  Uuid cluster;
  for (std::uint64_t run = 1; run <= kRuns; ++run) {
    const auto shard = directory.open();
    RunningController controller(*shard, run);
    REQUIRE_MESSAGE(controller.started.has_value(), controller.started.error().message);
    const auto image = controller->image();
    if (run == 1) cluster = image->cluster_id;
    CHECK(image->cluster_id == cluster);
    CHECK(image->topics.size() == (run - 1) * kTopics);
    for (int i = 0; i < kTopics; ++i) {
      const std::string name = "t" + std::to_string(run) + "-" + std::to_string(i);
      REQUIRE(controller.create(name));
    }
  }
}

TEST_CASE("a node starts on a nearly full disk, and a topic can be deleted to make room") {
  const TemporaryDirectory directory;
  std::uint64_t free_bytes = 0;
  {
    const auto shard = directory.open();
    RunningController controller(*shard, 1);
    REQUIRE(controller.create("large"));
    free_bytes = shard->status().free_bytes;
  }
  // Full by the reserve that is asked for, of which more than half is still there.
  const auto shard = directory.open(free_bytes + free_bytes / 4);
  REQUIRE(shard->status().error == ErrorCode::kDiskFull);
  RunningController controller(*shard, 2);
  REQUIRE_MESSAGE(controller.started.has_value(), controller.started.error().message);
  std::promise<Status> deleted;
  controller->delete_topic(topic_name("large"), [&](Status s) { deleted.set_value(std::move(s)); });
  CHECK(deleted.get_future().get());
}

}  // namespace
}  // namespace andyx::server::test
