// How a data directory's metadata begins: anew, from an earlier version, or in a cluster.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "server/app/metadata_start.h"
#include "server/log_ids.h"
#include "storage/rocksdb_shard.h"
#include "tests/raft/host/group.h"
#include "tests/server/metadata_log_conformance.h"
#include "tests/server/raft_logs.h"
#include "tests/server/running_controller.h"

namespace andyx::server::test {
namespace {

struct Fixture {
  std::string directory;
  Config config;
  NodeSpec node{1, {1, 1}, 1, "127.0.0.1", 6540};
  std::unique_ptr<storage::StorageShard> shard = storage::open_memory_shard({});

  Fixture() {
    directory = std::filesystem::temp_directory_path() / "andyx-start-XXXXXX";
    REQUIRE(mkdtemp(directory.data()) != nullptr);
    config.data_dir = directory;
    config.peer_listen = {"127.0.0.1", 0};
  }
  ~Fixture() { std::filesystem::remove_all(directory); }

  Result<StartedMetadata> start(const JoinCluster& join = nullptr) {
    return start_metadata_log(config, node, *shard, nullptr, join);
  }
  ErrorCode code_of_start() {
    const auto started = start();
    return started ? ErrorCode::kOk : started.error().code;
  }
};

TEST_CASE_FIXTURE(Fixture, "a new node begins a cluster, and keeps its id") {
  Uuid cluster;
  for (int run = 0; run < 3; ++run) {
    const auto started = start();
    REQUIRE_MESSAGE(started.has_value(), started.error().message);
    CHECK(started->founder);
    CHECK_FALSE(started->cluster_id.is_zero());
    if (run == 0) cluster = started->cluster_id;
    CHECK(started->cluster_id == cluster);
    raft::wait_until("it leads", [&] { return RaftLogs::leads(*started->log); });
    BlockingLog log(*started->log);
    CHECK(*log.campaign() == static_cast<ControllerEpoch>(run + 1));
    if (run == 1) REQUIRE(confirm_metadata_log(*shard));
  }
}

TEST_CASE_FIXTURE(Fixture, "what an earlier version kept in the shard goes on in Raft") {
  for (const bool with_snapshot : {false, true}) {
    CAPTURE(with_snapshot);
    std::filesystem::remove_all(directory);
    shard = storage::open_memory_shard({});
    std::shared_ptr<const Image> before;
    {
      RunningController controller(*shard, 1);
      const int topics = with_snapshot ? 70 : 10;  // a snapshot is taken after 50 entries
      for (int i = 0; i < topics; ++i) REQUIRE(controller.create("t" + std::to_string(i)));
      before = controller->image();
    }
    CHECK(shard->log_state(kMetadataLog)->start_offset == (with_snapshot ? 50 : 0));
    // Twice before it is confirmed: as after a crash in between.
    for (int run = 0; run < 3; ++run) {
      CAPTURE(run);
      auto started = start();
      REQUIRE_MESSAGE(started.has_value(), started.error().message);
      CHECK(started->cluster_id == before->cluster_id);
      CHECK(started->founder);
      RunningController controller(std::move(started->log), 2 + static_cast<std::uint64_t>(run));
      REQUIRE_MESSAGE(controller.started.has_value(), controller.started.error().message);
      const auto image = controller->image();
      CHECK(image->cluster_id == before->cluster_id);
      CHECK(image->topics.size() == before->topics.size());
      CHECK(image->topics.content_hash() != 0);
      CHECK(image->position == before->position + 1 + static_cast<Position>(run));
      CHECK(controller->epoch() > 1);
      if (run == 1) REQUIRE(confirm_metadata_log(*shard));
    }
    CHECK_FALSE(shard->log_state(kMetadataLog));
    CHECK_FALSE(*shard->get(storage::Table::kMeta, "metadata/tail"));
  }
}

TEST_CASE_FIXTURE(Fixture, "a damaged log of an earlier version is not taken over") {
  {
    RunningController controller(*shard, 1);
    REQUIRE(controller.create("t"));
  }
  REQUIRE(shard->truncate(kMetadataLog, shard->log_state(kMetadataLog)->end_offset - 1));
  CHECK(code_of_start() == ErrorCode::kDataLoss);
}

TEST_CASE_FIXTURE(Fixture, "a node whose Raft store is gone does not begin another cluster") {
  {
    const auto started = start();
    REQUIRE(started);
    REQUIRE(confirm_metadata_log(*shard));
  }
  CHECK(code_of_start() == ErrorCode::kOk);
  std::filesystem::remove_all(directory + "/raft");
  const auto started = start();
  REQUIRE_FALSE(started);
  CHECK(started.error().code == ErrorCode::kDataLoss);
  CHECK(started.error().message.find(directory + "/raft") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "the store of another node, or of another disk, is refused") {
  REQUIRE(start());
  node.node_id = 2;
  CHECK(code_of_start() == ErrorCode::kBadArgument);
  node.node_id = 1;
  node.disk_id = {2, 2};
  CHECK(code_of_start() == ErrorCode::kBadArgument);
}

TEST_CASE_FIXTURE(Fixture, "a node that joins never begins a group, not even without the flag") {
  config.join = {{"127.0.0.1", 1}};
  CHECK(code_of_start() == ErrorCode::kBadArgument);  // no way to join
  const auto refused = start([](const Config&, const NodeSpec&) -> Result<Joined> {
    return fail(ErrorCode::kNodeConflict, "another node has this id");
  });
  CHECK(refused.error().code == ErrorCode::kNodeConflict);
  for (const bool again : {false, true}) {
    const auto started = start([&](const Config&, const NodeSpec& who) -> Result<Joined> {
      CHECK_FALSE(again);  // it knows its cluster
      CHECK(who.node_id == 1);
      return Joined{.cluster_id = {8, 8}, .version = 0, .others = {}, .metadata_group = 5};
    });
    REQUIRE(started);
    CHECK(started->cluster_id == Uuid{8, 8});
    CHECK(started->group == 5);
    CHECK_FALSE(started->founder);
    std::promise<raft::NodeStatus> status;
    started->log->status([&](raft::NodeStatus one) { status.set_value(std::move(one)); });
    CHECK(status.get_future().get().conf.voters.empty());
    config.join.clear();
  }
}

TEST_CASE_FIXTURE(Fixture, "a node with a cluster of its own does not join another") {
  {
    RunningController controller(*shard, 1);
  }
  config.join = {{"127.0.0.1", 1}};
  const auto started =
      start([](const Config&, const NodeSpec&) -> Result<Joined> { return Joined{{8, 8}}; });
  REQUIRE_FALSE(started);
  CHECK(started.error().code == ErrorCode::kBadArgument);
}

}  // namespace
}  // namespace andyx::server::test
