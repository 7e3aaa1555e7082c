// A whole server in this process on a file system that loses power: after every cut of a recorded
// workload what was acknowledged is there, once, in order, and confirmed answers stand.
// ANDYX_TEST_LONG=1 cuts at every operation, else at random ones; ANDYX_SEED repeats the choice,
// ANDYX_CUT cuts at this one operation.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <future>
#include <iostream>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>

#include "protocol/batch/batch_builder.h"
#include "server/app/log.h"
#include "tests/integration/support/delivery_ledger.h"
#include "tests/integration/support/local_server.h"
#include "tests/integration/support/raw_consumer.h"
#include "tests/integration/support/seed.h"
#include "tests/integration/support/temp_dir.h"
#include "tests/integration/support/topic_reader.h"
#include "tests/storage/support/fault_fs.h"

namespace andyx::test {
namespace {

using storage::test::FaultFileSystem;

constexpr std::uint32_t kPartitions = 2;
constexpr std::uint32_t kSteps = 40;
constexpr std::size_t kPayloadBytes = 30'000;  // two generations in all
constexpr std::uint64_t kStartCuts = 15;
constexpr std::chrono::minutes kStartPatience{2};
constexpr const char* kTopicPath = "default/default/default/power";

// What the workload was told.
struct Promises {
  TopicId topic_id = 0;  // 0: not even the topic
  bool subscribed = false;
  DeliveryLedger ledger;
  std::map<std::uint32_t, std::set<Offset>> confirmed;  // by partition
};

Bytes id_batch(MessageId id) {
  batch::BatchBuilder builder;
  const std::string payload = payload_of(id, kPayloadBytes);
  REQUIRE(builder.add({.key = std::nullopt, .payload = payload, .headers = {}}).has_value());
  const SharedBytes built = builder.build({});
  return {built.data(), built.data() + built.size()};
}

// Creates, subscribes, produces and answers until it is done or the first refusal.
void run_workload(RawConnection& connection, Promises& promises) {
  const Received created = connection.request<protocol::TopicCreate>([](Builder& builder) {
    return protocol::CreateTopicCreateDirect(builder, kTopicPath, kPartitions);
  });
  if (created.as<protocol::TopicReply>() == nullptr) return;
  promises.topic_id = created.as<protocol::TopicReply>()->topics()->Get(0)->topic_id();
  RawConsumer consumer(connection, kTopicPath, "s");
  if (!consumer.attached()) return;
  promises.subscribed = true;
  for (std::uint32_t step = 0; step < kSteps; ++step) {
    const std::uint32_t partition = step % kPartitions;
    const MessageId id{.producer = 1, .sequence = step};
    const Received answer = connection.produce({promises.topic_id, partition}, id_batch(id));
    const auto* reply = answer.as<protocol::ProduceReply>();
    if (reply == nullptr) {
      require_error(answer, ErrorCode::kStorageFailed);
      return;
    }
    const Offset offset = reply->base_offset();
    promises.ledger.acknowledged(id, partition, offset);
    if (step % 5 == 0) continue;  // never answered: answers lie above the floor
    if (!consumer.wait_delivered(partition, offset)) return;
    if (!consumer.acknowledge(partition, offset)) return;
    promises.confirmed[partition].insert(offset);
  }
}

void require_promises(const std::string& data_dir, Promises& promises) {
  auto server = start_local_server(data_dir);
  REQUIRE_MESSAGE(server.has_value(), "after the cut: ", server.error().message);
  RawConnection connection = open_local(**server);
  if (promises.topic_id == 0) {
    connection.ping();
    return;
  }
  for (std::uint32_t partition = 0; partition < kPartitions; ++partition) {
    read_partition(connection, {promises.topic_id, partition}, 0, [&](const batch::Record& record) {
      promises.ledger.stored(partition, record.offset, record.payload, record.key);
    });
  }
  promises.ledger.require_stored(promises.ledger.mark());
  CHECK_MESSAGE(promises.ledger.violations().count() == 0, promises.ledger.violations().text());
  if (!promises.subscribed) return;
  std::uint64_t unanswered = 0;
  const std::vector<CursorState> cursors = describe_cursors(connection, kTopicPath, "s");
  for (std::uint32_t partition = 0; partition < kPartitions; ++partition) {
    const CursorState& cursor = cursors.at(partition);
    CHECK(cursor.floor + cursor.answered_above_floor >= promises.confirmed[partition].size());
    unanswered += cursor.lag_messages;
  }
  RawConsumer consumer(connection, kTopicPath, "s");
  REQUIRE(consumer.attached());
  REQUIRE(consumer.wait_count(unanswered));
  for (const auto& [partition, offsets] : consumer.delivered()) {
    for (const Offset offset : offsets) {
      CHECK_MESSAGE(!promises.confirmed[partition].contains(offset), "confirmed offset ", offset,
                    " of partition ", partition, " is delivered again");
    }
  }
  REQUIRE(connection.produce_text({promises.topic_id, 0}, "goes on") ==
          promises.ledger.stored_end(0));
}

// One run, cut at this operation of the file system. How many operations there were.
std::uint64_t cut_at(std::uint64_t operation, std::uint64_t seed) {
  const TempDir directory;
  auto files = std::make_shared<FaultFileSystem>(directory.file("graveyard"), seed);
  files->lose_power_at(operation);
  Promises promises;
  std::uint64_t operations = 0;
  {
    auto server = start_local_server(directory.file("data"), files);
    if (server) {
      RawConnection connection = open_local(**server);
      run_workload(connection, promises);
    }
    operations = files->operations();
    if (!files->power_lost()) files->lose_power_at(0);  // the end comes without a clean stop
  }
  files->lose_power();
  require_promises(directory.file("data"), promises);
  return operations;
}

// Starts, from an empty disk that fails from this operation on. Ends the whole test where that does
// not end: nobody can take a thread back.
std::optional<Error> failed_start(const std::shared_ptr<FaultFileSystem>& files,
                                  const std::string& data_dir) {
  std::promise<std::optional<Error>> promise;
  auto outcome = promise.get_future();
  std::thread starter([&] {
    auto server = start_local_server(data_dir, files);
    promise.set_value(server ? std::nullopt : std::optional(server.error()));
  });
  if (outcome.wait_for(kStartPatience) != std::future_status::ready) {
    std::cerr << "the start neither succeeds nor fails" << std::endl;
    std::abort();
  }
  starter.join();
  return outcome.get();
}

TEST_CASE("a disk that fails while a server starts makes the start fail, at whatever write") {
  server::log::setup("critical", "text");
  const std::uint64_t seed = printed_seed();
  std::uint64_t operations = 0;
  {
    const TempDir directory;
    auto files = std::make_shared<FaultFileSystem>(directory.file("graveyard"), seed);
    auto server = start_local_server(directory.file("data"), files);
    REQUIRE(server.has_value());
    operations = files->operations();
  }
  std::cout << "a start makes " << operations << " operations" << std::endl;
  // Evenly, so that each phase has its share: storage, Raft, the first entries of the metadata.
  const bool all = environment_number("ANDYX_TEST_LONG", 0) != 0;
  const std::uint64_t step = all ? 1 : std::max<std::uint64_t>(operations / kStartCuts, 1);
  std::uint64_t failures = 0;
  for (std::uint64_t cut = 1 + seed % step; cut <= operations; cut += step) {
    INFO("cut at operation ", cut);
    const TempDir directory;
    auto files = std::make_shared<FaultFileSystem>(directory.file("graveyard"), seed + cut);
    files->lose_power_at(cut);
    const auto error = failed_start(files, directory.file("data"));
    if (!error) continue;  // the last writes are not waited for
    ++failures;
    CHECK_MESSAGE((error->code == ErrorCode::kIo || error->code == ErrorCode::kStorageFailed),
                  error->name(), ": ", error->message);
  }
  CHECK(failures > 0);
}

TEST_CASE(
    "power lost at any write: what was acknowledged is there, and answers that were confirmed") {
  server::log::setup("critical", "text");  // the failures are meant
  const std::uint64_t seed = printed_seed();
  const std::uint64_t operations = cut_at(~std::uint64_t{0}, seed);
  std::cout << "the workload makes " << operations << " operations" << std::endl;
  REQUIRE(operations > kSteps);
  if (const std::uint64_t cut = environment_number("ANDYX_CUT", 0); cut != 0) {
    cut_at(cut, seed + cut);
    return;
  }
  if (environment_number("ANDYX_TEST_LONG", 0) != 0) {
    for (std::uint64_t operation = 1; operation < operations; ++operation) {
      INFO("cut at operation ", operation);
      cut_at(operation, seed + operation);
    }
    return;
  }
  std::mt19937_64 random(seed);
  for (int round = 0; round < 40; ++round) {
    const std::uint64_t operation = 1 + random() % operations;
    INFO("cut at operation ", operation);
    cut_at(operation, random());
  }
}

}  // namespace
}  // namespace andyx::test
