// Retention of a whole server, over the wire: what goes, what stays, and who goes on where. Waits
// for what has to happen; that nothing more happens is asked once something later has happened.
#include <doctest/doctest.h>

#include <filesystem>
#include <optional>
#include <string>

#include "tests/integration/support/local_server.h"
#include "tests/integration/support/raw_consumer.h"
#include "tests/integration/support/temp_dir.h"
#include "tests/integration/support/topic_reader.h"

namespace andyx::test {
namespace {

constexpr const char* kTopicPath = "default/default/default/kept";
constexpr std::int64_t kNone = -1;

std::uint64_t directory_bytes(const std::string& path) {
  std::uint64_t bytes = 0;
  std::error_code gone;  // files come and go meanwhile
  for (std::filesystem::recursive_directory_iterator it(path, gone), end; it != end;
       it.increment(gone)) {
    const auto size = it->is_regular_file(gone) ? it->file_size(gone) : 0;
    if (!gone) bytes += size;
  }
  return bytes;
}

struct Running {
  TempDir directory;
  std::unique_ptr<server::Server> server;
  std::optional<RawConnection> connection;
  TopicId topic_id = 0;

  Running() {
    start();
    topic_id = connection->create_topic("kept");
  }
  void start() {
    auto started = start_local_server(directory.path());
    REQUIRE_MESSAGE(started.has_value(), started.error().message);
    server = std::move(*started);
    connection.emplace(open_local(*server));
  }
  void restart() {
    connection.reset();
    REQUIRE(server->stop());
    server.reset();
    start();
  }
  void set(const char* path, std::int64_t soft_ms, std::int64_t hard_ms, std::int64_t size_bytes) {
    const Received answer = connection->request<protocol::RetentionSet>([&](Builder& builder) {
      const protocol::Retention retention(soft_ms, hard_ms, size_bytes);
      return protocol::CreateRetentionSetDirect(builder, path, &retention);
    });
    REQUIRE(answer.as<protocol::ScopeReply>() != nullptr);
  }
  void unset(const char* path) {
    const Received answer = connection->request<protocol::RetentionDelete>(
        [&](Builder& builder) { return protocol::CreateRetentionDeleteDirect(builder, path); });
    REQUIRE(answer.as<protocol::ScopeReply>() != nullptr);
  }
  void produce(int messages, std::size_t payload_bytes = 100) {
    for (int i = 0; i < messages; ++i)
      connection->produce_text({topic_id, 0}, std::string(payload_bytes, 'x'));
  }
  Received read(Offset offset) {
    return connection->request<protocol::Read>(
        [&](Builder& builder) { return protocol::CreateRead(builder, topic_id, 0, 0, offset); });
  }
  Offset start_offset() {
    const Received answer = read(connection->committed_offset({topic_id, 0}));
    REQUIRE(answer.as<protocol::ReadReply>() != nullptr);
    return answer.as<protocol::ReadReply>()->start_offset();
  }
  bool starts_at(Offset offset) {
    return wait_until([&] { return start_offset() == offset; });
  }
};

}  // namespace

TEST_CASE("hard retention deletes what nobody has answered, and consumers go on behind it") {
  Running running;
  RawConsumer consumer(*running.connection, kTopicPath, "s");
  REQUIRE(consumer.attached());
  running.produce(20);
  REQUIRE(consumer.wait_count(20));
  CHECK(running.start_offset() == 0);
  running.set(kTopicPath, kNone, 1, kNone);
  REQUIRE(running.starts_at(20));
  require_error(running.read(5), ErrorCode::kOffsetOutOfRange);
  running.unset(kTopicPath);
  running.produce(3);
  CHECK(consumer.wait_delivered(0, 22));
  CHECK(consumer.acknowledge(0, 21));
  const CursorState cursor = describe_cursors(*running.connection, kTopicPath, "s").front();
  CHECK(cursor.floor == 20);
  CHECK(cursor.lag_messages == 2);
  CHECK(running.start_offset() == 20);
}

TEST_CASE("soft retention follows the slowest subscription, over a restart as well") {
  Running running;
  {
    RawConsumer slow(*running.connection, kTopicPath, "slow");
    REQUIRE(slow.attached());
    running.produce(20);
    running.set("default", 1, kNone, kNone);  // of the tenant
    for (Offset offset = 0; offset < 7; ++offset) {
      REQUIRE(slow.wait_delivered(0, offset));
      REQUIRE(slow.acknowledge(0, offset));
    }
    CHECK(running.starts_at(7));
  }
  running.restart();
  CHECK(running.start_offset() == 7);
  RawConsumer slow(*running.connection, kTopicPath, "slow");
  REQUIRE(slow.attached());
  for (Offset offset = 7; offset < 20; ++offset) {
    REQUIRE(slow.wait_delivered(0, offset));
    CHECK(running.start_offset() <= offset);
    REQUIRE(slow.acknowledge(0, offset));
  }
  CHECK(running.starts_at(20));
}

TEST_CASE("size retention keeps the newest messages under the limit, and frees the disk") {
  constexpr std::size_t kPayloadBytes = 100'000;
  Running running;
  running.set(kTopicPath, kNone, kNone, 2'000'000);
  running.produce(200, kPayloadBytes);  // 20 generations
  REQUIRE(running.starts_at(200 - 19));
  std::size_t bytes = 0, messages = 0;
  read_partition(*running.connection, {running.topic_id, 0}, running.start_offset(),
                 [&](const batch::Record& record) {
                   bytes += record.payload.size();
                   ++messages;
                 });
  CHECK(bytes <= 2'000'000);
  CHECK(messages == 19);  // as many as fit with their headers
  CHECK(wait_until([&] { return directory_bytes(running.directory.path()) < 10'000'000; }));
}

}  // namespace andyx::test
