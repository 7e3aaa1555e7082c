#include <doctest/doctest.h>

#include <future>
#include <optional>

#include "server/metadata/effective.h"
#include "tests/server/running_controller.h"

namespace andyx::server::test {
namespace {

using TopicResult = Result<std::shared_ptr<const Topic>>;

// Runs `ask(done)` and waits for what `done` is called with.
template <typename T, typename Ask>
T await(Ask ask) {
  std::promise<T> answer;
  ask([&](T value) { answer.set_value(std::move(value)); });
  return answer.get_future().get();
}

template <typename T>
ErrorCode code_of(const std::expected<T, Error>& result) {
  return result ? ErrorCode::kOk : result.error().code;
}

LevelPath path(const std::string& text) { return *LevelPath::parse(text); }

struct Fixture {
  std::unique_ptr<storage::StorageShard> shard = storage::open_memory_shard({});
  std::optional<RunningController> controller;
  Fixture() {
    controller.emplace(*shard, 1);
    REQUIRE(controller->started);
  }

  Status create(const std::string& at) {
    return await<Status>([&](auto done) { (*controller)->create_scope(path(at), {}, done); });
  }
  Status remove(const std::string& at) {
    return await<Status>([&](auto done) { (*controller)->delete_scope(path(at), done); });
  }
  Status set(const std::string& at, const std::string& key, const std::string& value) {
    return await<Status>(
        [&](auto done) { (*controller)->set_settings(path(at), {{key, value}}, done); });
  }
  Status retain(const std::string& at, std::optional<RetentionPolicy> policy) {
    return await<Status>([&](auto done) { (*controller)->set_retention(path(at), policy, done); });
  }
  Status activate(const std::string& at, bool active) {
    return await<Status>(
        [&](auto done) { (*controller)->activate_tenant(path(at), active, done); });
  }
  TopicResult produced_to(const std::string& topic) {
    return await<TopicResult>([&](auto done) {
      (*controller)->auto_create_topic(*TopicName::parse(topic), 2, std::move(done));
    });
  }
  TopicResult ensured(const std::string& topic, std::uint32_t partitions) {
    return await<TopicResult>([&](auto done) {
      (*controller)->ensure_topic(*TopicName::parse(topic), partitions, std::move(done));
    });
  }
  TopicResult altered(const std::string& topic, std::uint32_t partitions) {
    return await<TopicResult>([&](auto done) {
      (*controller)->alter_topic(*TopicName::parse(topic), partitions, std::move(done));
    });
  }
};

TEST_CASE_FIXTURE(Fixture, "a topic that is produced to is made as its levels say") {
  auto topic = produced_to("t/p/c/x");
  REQUIRE(topic);
  CHECK((*topic)->partitions().size() == 2);  // as the node says
  REQUIRE(set("t", "default-partitions", "5"));
  CHECK((*produced_to("t/p/c/x"))->partitions().size() == 2);  // it is there
  CHECK((*produced_to("t/p/c/y"))->partitions().size() == 5);
  REQUIRE(set("t/p/c", "default-partitions", "3"));
  CHECK((*produced_to("t/p/c/z"))->partitions().size() == 3);
  REQUIRE(set("t/p/c", "topic-auto-create", "false"));
  CHECK(code_of(produced_to("t/p/c/u")) == ErrorCode::kCreationNotAllowed);
  CHECK(produced_to("t/p/c/x"));
  // What the server itself needs, as a dead-letter topic, it makes as asked.
  CHECK((*ensured("t/p/c/x.dead", 2))->partitions().size() == 2);
}

TEST_CASE_FIXTURE(Fixture, "a topic gets more partitions, never fewer, and the same is no change") {
  REQUIRE(ensured("t/p/c/x", 2));
  const auto grown = altered("t/p/c/x", 4);
  REQUIRE(grown);
  CHECK((*grown)->partitions().size() == 4);
  const Position before = (*controller)->image()->position;
  CHECK(altered("t/p/c/x", 4));
  CHECK((*controller)->image()->position == before);
  CHECK(code_of(altered("t/p/c/x", 3)) == ErrorCode::kBadArgument);
  CHECK(code_of(altered("t/p/c/x", 0)) == ErrorCode::kBadArgument);
  CHECK(code_of(altered("t/p/c/x", ~0u)) == ErrorCode::kBadArgument);
  CHECK(code_of(altered("t/p/c/none", 3)) == ErrorCode::kUnknownTopic);
  CHECK((*controller)->image()->position == before);  // what is refused is not written
}

TEST_CASE_FIXTURE(Fixture, "scopes, settings, retention and activation survive a restart") {
  REQUIRE(create("t"));
  CHECK(code_of(create("t")) == ErrorCode::kScopeExists);
  CHECK(code_of(create("u/p")) == ErrorCode::kUnknownScope);
  REQUIRE(ensured("t/p/c/x", 2));
  CHECK(code_of(remove("t/p")) == ErrorCode::kNotEmpty);
  REQUIRE(set("t/p", "dedup-window-ms", "9"));
  CHECK(code_of(set("t/p", "dedup-window-ms", "nine")) == ErrorCode::kBadArgument);
  REQUIRE(retain("t/p/c/x", RetentionPolicy{1, 2, 3}));
  CHECK(code_of(retain("t", RetentionPolicy{2, 1, 3})) == ErrorCode::kBadArgument);
  REQUIRE(activate("t", false));
  CHECK(code_of(ensured("t/p/c/y", 1)) == ErrorCode::kTenantInactive);
  // Over RunningController's snapshot_entries: what is read again comes from a snapshot too.
  for (int i = 0; i < 60; ++i) REQUIRE(create("more-" + std::to_string(i)));
  const auto before = (*controller)->image();

  controller.reset();
  controller.emplace(*shard, 1);
  const auto after = (*controller)->image();
  CHECK(after->scopes.content_hash() == before->scopes.content_hash());
  CHECK(after->topics.content_hash() == before->topics.content_hash());
  const auto topic = after->find_topic(TopicName{"t", "p", "c", "x"});
  REQUIRE(topic);
  CHECK(topic->effective == before->find_topic(topic->id)->effective);
  CHECK(topic->effective.dedup_window_ms == 9);
  CHECK(topic->effective.retention == RetentionPolicy{1, 2, 3});
  CHECK_FALSE(topic->effective.tenant_active);
}

}  // namespace
}  // namespace andyx::server::test
