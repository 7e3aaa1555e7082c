#include <doctest/doctest.h>

#include <future>

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

TEST_CASE("a controller takes the wishes of a cluster") {
  const auto shard = storage::open_memory_shard({});
  RunningController controller(*shard);
  REQUIRE(controller.started);
  const auto ask_for = [&](Wish wish) {
    return await<Status>([&](auto done) { controller->propose(std::move(wish), done); });
  };
  const auto create = [&](std::uint32_t factor) {
    return await<TopicResult>([&](auto done) {
      controller->create_topic(TopicProposal{.name = topic_name("t" + std::to_string(factor)),
                                             .partitions = 1,
                                             .replication_factor = factor},
                               done);
    });
  };
  CHECK(code_of(create(2)) == ErrorCode::kBadArgument);
  NodeSpec second{2, {1, 2}, 1, "127.0.0.1", 6541, 6641, kBrokerRole};
  REQUIRE(await<Status>([&](auto done) { controller->register_node(second, done); }));
  CHECK(controller->image()->find_node(2)->peer_port == 6641);
  CHECK(controller->image()->find_node(2)->roles == kBrokerRole);
  const auto topic = create(2);
  REQUIRE(topic);
  const TopicId id = (*topic)->id;
  const auto record = [&] { return *controller->image()->find_partition(id, 0); };

  REQUIRE(await<Status>(
      [&](auto done) { controller->change_in_sync(id, 0, {1, 1, 1, {{1, 1}}}, done); }));
  CHECK(record().in_sync == std::vector<NodeId>{1});
  CHECK(code_of(await<Status>([&](auto done) {
          controller->change_in_sync(id, 0, {1, 1, 1, {{1, 1}, {2, 1}}}, done);
        })) == ErrorCode::kNotMain);
  REQUIRE(await<Status>([&](auto done) { controller->ask_for_new_epoch(id, 0, 1, done); }));
  CHECK(record().main_epoch == 2);
  CHECK(code_of(await<Status>([&](auto done) { controller->ask_for_new_epoch(id, 0, 1, done); })) ==
        ErrorCode::kNotMain);
  const auto altered = await<TopicResult>(
      [&](auto done) { controller->alter_topic(TopicAlteration{topic_name("t2"), 0, 1}, done); });
  REQUIRE(altered);
  CHECK((*altered)->replication_factor == 1);
  CHECK(ask_for(PauseBalancingCommand{true}));
  CHECK(controller->image()->balancing_paused);
  CHECK(code_of(ask_for(RemoveNodeCommand{2})) == ErrorCode::kNotEmpty);
  CHECK(code_of(ask_for(DrainNodeCommand{3, true})) == ErrorCode::kUnknownNode);
}

}  // namespace
}  // namespace andyx::server::test
