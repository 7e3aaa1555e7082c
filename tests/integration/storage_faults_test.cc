// What clients see when the disk is slow, fails or is full: a whole server in this process on a
// file system that tests command.
#include <doctest/doctest.h>
#include <rocksdb/io_status.h>

#include <memory>
#include <string>

#include "protocol/batch/batch_builder.h"
#include "server/app/log.h"
#include "server/partition/due_row.h"
#include "storage/rocksdb_shard.h"
#include "tests/integration/support/local_server.h"
#include "tests/integration/support/raw_consumer.h"
#include "tests/integration/support/temp_dir.h"
#include "tests/integration/support/topic_reader.h"
#include "tests/storage/support/fault_fs.h"
#include "tests/storage/support/test_batches.h"

namespace andyx::test {
namespace {

using storage::test::FaultFileSystem;
using storage::test::FileKind;

struct Fixture {
  TempDir directory;
  std::shared_ptr<FaultFileSystem> files =
      std::make_shared<FaultFileSystem>(directory.file("graveyard"));
  std::unique_ptr<server::Server> server;

  Fixture() {
    server::log::setup("critical", "text");  // the failures are meant
    auto started = start_local_server(directory.file("data"), files);
    REQUIRE_MESSAGE(started.has_value(), started.error().message);
    server = std::move(*started);
  }
  ~Fixture() { files->release(); }

  // Ends the server and starts it again on a file system without faults.
  void restart() {
    server.reset();
    auto started = start_local_server(directory.file("data"));
    REQUIRE_MESSAGE(started.has_value(), started.error().message);
    server = std::move(*started);
  }
};

Bytes produce_frame(std::uint64_t id, TopicId topic, protocol::Acks acks) {
  return make_frame<protocol::Produce>(id, [&](Builder& builder) {
    const Bytes batch = text_batch("message");
    const auto bytes = builder.CreateVector(batch);
    return protocol::CreateProduce(builder, topic, 0, 0, acks, bytes);
  });
}

std::string storage_state(RawConnection& connection) {
  const Received answer = connection.request<protocol::NodeStatus>(
      [](Builder& builder) { return protocol::CreateNodeStatus(builder); });
  const auto* status = answer.as<protocol::NodeStatusReply>();
  REQUIRE(status != nullptr);
  REQUIRE(status->storage() != nullptr);
  return status->storage()->Get(0)->state()->str();
}

TEST_CASE_FIXTURE(Fixture,
                  "acks main waits for the sync, acks none does not, and nobody else waits") {
  RawConnection connection = open_local(*server);
  const TopicId topic = connection.create_topic("t");
  REQUIRE(connection.produce_text({topic, 0}, "before") == 0);
  files->hang_syncs(FileKind::kWal);
  REQUIRE(connection.send(produce_frame(5'001, topic, protocol::Acks::main)));
  files->wait_until_hanging();

  RawConnection other = open_local(*server);
  const Received at_once = other.exchange(produce_frame(5'002, topic, protocol::Acks::none), 5'002);
  CHECK(at_once.as<protocol::ProduceReply>() != nullptr);
  CHECK(other.committed_offset({topic, 0}) == 1);  // not durable: not there for anybody
  CHECK(read_partition(other, {topic, 0}, 0, [](const batch::Record&) {}) == 1);
  // Everything else on the connection is answered; the produce is not.
  connection.ping();
  CHECK(!connection.receive(Millis(1)).has_value());

  files->release();
  const std::optional<Received> answer = connection.receive();
  REQUIRE(answer.has_value());
  REQUIRE(answer->frame->correlation_id() == 5'001);
  REQUIRE(answer->as<protocol::ProduceReply>() != nullptr);
  CHECK(answer->as<protocol::ProduceReply>()->base_offset() == 1);
  CHECK(wait_until([&] { return other.committed_offset({topic, 0}) == 3; }));
}

TEST_CASE_FIXTURE(Fixture,
                  "a failed sync stops the shard: maybe stored, said so, nothing served after") {
  RawConnection connection = open_local(*server);
  const TopicId topic = connection.create_topic("t");
  REQUIRE(connection.produce_text({topic, 0}, "before") == 0);
  SUBCASE("sync") { files->fail_syncs(FileKind::kWal, true); }
  SUBCASE("write") { files->fail_writes(FileKind::kWal, rocksdb::IOStatus::IOError("injected")); }
  const Received failed = connection.produce({topic, 0}, text_batch("lost?"));
  require_error(failed, ErrorCode::kStorageFailed);
  CHECK(failed.as<protocol::ErrorReply>()->stored() == protocol::Storedness::maybe_stored);
  files->fail_syncs(FileKind::kWal, false);
  files->fail_writes(FileKind::kWal, std::nullopt);
  // A sync that fails once is not tried again: only a restart knows what the disk holds.
  require_error(connection.produce({topic, 0}, text_batch("after")), ErrorCode::kStorageFailed);
  CHECK(storage_state(connection).starts_with("failed"));

  restart();
  RawConnection again = open_local(*server);
  CHECK(again.committed_offset({topic, 0}) >= 1);
  const Offset end = read_partition(again, {topic, 0}, 0, [](const batch::Record&) {});
  CHECK(again.produce_text({topic, 0}, "goes on") == end);
  CHECK(storage_state(again) == "serving");
}

TEST_CASE_FIXTURE(Fixture, "a full disk: produce may be tried again, reads and answers go on") {
  RawConnection connection = open_local(*server);
  const TopicId topic = connection.create_topic("t");
  for (Offset offset = 0; offset < 3; ++offset) {
    REQUIRE(connection.produce_text({topic, 0}, "kept") == offset);
  }
  RawConnection consuming = open_local(*server);
  RawConsumer consumer(consuming, "default/default/default/t", "s");
  REQUIRE(consumer.attached());
  REQUIRE(consumer.wait_delivered(0, 2));

  files->set_free_bytes(kMinFreeBytes * 3 / 4);
  Offset stored = 3;
  REQUIRE(wait_until([&] {
    const Received answer = connection.produce({topic, 0}, text_batch("more"));
    if (answer.as<protocol::ProduceReply>() != nullptr) {
      ++stored;
      return false;
    }
    require_error(answer, ErrorCode::kDiskFull);
    return true;
  }));
  CHECK(consumer.acknowledge(0, 1));
  CHECK(consumer.acknowledge(0, 0));
  CHECK(read_partition(connection, {topic, 0}, 0, [](const batch::Record&) {}) == stored);
  CHECK(storage_state(connection) != "serving");

  files->set_free_bytes(std::nullopt);
  REQUIRE(wait_until([&] {
    return connection.produce({topic, 0}, text_batch("again")).as<protocol::ProduceReply>() !=
           nullptr;
  }));
  CHECK(connection.committed_offset({topic, 0}) == stored + 1);

  restart();
  RawConnection after = open_local(*server);
  CHECK(after.committed_offset({topic, 0}) == stored + 1);
  CHECK(describe_cursors(after, "default/default/default/t", "s").at(0).floor == 2);
}

TEST_CASE("a subscribe is answered, wherever in it the disk fails") {
  server::log::setup("critical", "text");
  // Metadata first, then the start in each partition: the cuts around both, each several times,
  // because the loops race.
  for (std::uint64_t round = 0; round < 18; ++round) {
    const std::uint64_t after = 2 + round % 6;
    INFO("the disk fails after ", after, " operations");
    const TempDir directory;
    auto files = std::make_shared<FaultFileSystem>(directory.file("graveyard"));
    auto server = start_local_server(directory.file("data"), files);
    REQUIRE(server.has_value());
    RawConnection connection = open_local(**server);
    connection.create_topic("t", 8);
    files->lose_power_at(files->operations() + after);
    const Received answer = connection.request<protocol::Subscribe>([](Builder& builder) {
      const protocol::Start earliest(protocol::StartKind::earliest, 0);
      return protocol::CreateSubscribeDirect(
          builder, "default/default/default/t", "s", protocol::SubscriptionType::unique,
          protocol::SubscriptionMode::nonresilient, &earliest, true, "raw", 4'711);
    });
    if (answer.as<protocol::SubscribeReply>() == nullptr) {
      require_error(answer, ErrorCode::kStorageFailed);
    }
  }
}

// As a log that was cut leaves it; that such a row is harmful is shown by due_restart_test.cc.
TEST_CASE("a start with --accept-data-loss drops the times of delayed messages that are lost") {
  server::log::setup("critical", "text");
  const TempDir directory;
  const TimeUs hour_us = 3'600'000'000;
  const server::DueKey kept{net::wall_time_us() + hour_us, 0}, lost{kept.at_us, 5};
  {
    auto server = start_local_server(directory.path());
    REQUIRE(server.has_value());
    RawConnection connection = open_local(**server);
    const TopicId topic = connection.create_topic("t");
    batch::BatchBuilder builder;
    REQUIRE(builder.add({.payload = "later", .deliver_at_us = kept.at_us}));
    const SharedBytes bytes = builder.build({});
    const Received answer = connection.produce({topic, 0}, bytes.span());
    REQUIRE(answer.as<protocol::ProduceReply>() != nullptr);
  }
  const auto rows = [&](std::optional<server::DueKey> added) {
    auto shard = storage::open_rocksdb_shard({.directory = directory.path()});
    REQUIRE(shard);
    std::vector<std::string> keys;
    const std::string all = server::due_prefix(0).substr(0, 1);
    CHECK((*shard)->scan(storage::Table::kCursor, all,
                         [&](std::string_view key, auto) { return keys.emplace_back(key), true; }));
    if (added) {
      const auto id = server::partition_of_state_key(keys.at(0));
      storage::WriteGroup group;
      group.puts.push_back(
          {storage::Table::kCursor, server::due_row_key(id, *added), std::string()});
      CHECK(storage::test::write(**shard, std::move(group)) == ErrorCode::kOk);
    }
    std::vector<server::DueKey> found;
    for (const auto& key : keys) found.push_back(*server::decode_due_row_key(key));
    return found;
  };
  CHECK(rows(lost) == std::vector{kept});
  REQUIRE(start_local_server(directory.path()).has_value());
  CHECK(rows(std::nullopt) == std::vector{kept, lost});
  REQUIRE(start_local_server(directory.path(), nullptr, true).has_value());
  CHECK(rows(std::nullopt) == std::vector{kept});
}

}  // namespace
}  // namespace andyx::test
