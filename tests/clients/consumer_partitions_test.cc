// A consumer whose partitions come and go.
#include <atomic>

#include "tests/clients/client_setup.h"

namespace andyx::client {
namespace {

using protocol::Body;
using test::FakeServer;

struct Setup : ConsumerSetup {
  explicit Setup(std::uint32_t partitions) : ConsumerSetup(partitions, 40) {}
  Consumer subscribe(ConsumerOptions options = {}) {
    return ConsumerSetup::subscribe(std::move(options)).value();
  }
};

}  // namespace

TEST_CASE("what a consumer asks for travels with Subscribe and StreamOpen") {
  Setup setup(1);
  auto consumer = setup.subscribe({.type = SubscriptionType::kShared,
                                   .key_ordered = true,
                                   .priority = -7,
                                   .take_over = true,
                                   .ack_timeout_ms = 1'500,
                                   .max_deliveries = 3});
  setup.server.on([&] {
    CHECK(setup.server.priority == -7);
    CHECK(setup.server.take_over);
    CHECK(setup.server.key_ordered);
    CHECK(setup.server.streams.at(0).ack_timeout_ms == 1'500);
    CHECK(setup.server.streams.at(0).max_deliveries == 3);
  });
  // Whoever came after a lost connection is not chased away.
  setup.server.drop_connections();
  while (consumer.stats().reconnects == 0) std::this_thread::yield();
  setup.server.on([&] { CHECK_FALSE(setup.server.take_over); });
}

TEST_CASE("unacknowledging with a delay and extending are answers of their own") {
  Setup setup(1);
  auto consumer = setup.subscribe();
  setup.server.deliver(0, 0, 4);
  auto batch = next(consumer);
  Message message;
  REQUIRE(batch.next(message));
  consumer.unacknowledge(message, 250);
  REQUIRE(batch.next(message));
  consumer.extend(message);
  REQUIRE(consumer.flush_answers());
  setup.server.on([&] {
    REQUIRE(setup.server.answers.size() == 2);
    CHECK(setup.server.answers[0].kind == protocol::AnswerKind::unacknowledge);
    CHECK(setup.server.answers[0].delay_ms == 250);
    CHECK(setup.server.answers[1].kind == protocol::AnswerKind::extend);
    CHECK(setup.server.answers[1].delay_ms == 0);
  });
}

TEST_CASE("a consumer that stands by gets its partitions later, and opens just these") {
  Setup setup(3);
  setup.server.on([&] { setup.server.first_assignment = {{1, 50}}; });
  auto consumer = setup.subscribe({.type = SubscriptionType::kFailover});
  setup.server.assign({{1, 50}, {2, 60}});
  setup.wait_for([&] { return setup.server.streams.size() == 2; });
  setup.server.on([&] {
    CHECK(setup.server.streams.at(1).epoch == 50);
    CHECK(setup.server.streams.at(2).epoch == 60);
    CHECK(setup.server.closed_streams.empty());  // partition 1 has not been touched
    CHECK(setup.server.sessions.size() == 1);
  });
  setup.server.deliver(2, 0, 0);
  CHECK(next(consumer).partition() == 2);
  std::lock_guard lock(setup.mutex);
  CHECK(setup.assigned == std::vector<std::vector<std::uint32_t>>{{1}, {1, 2}});
}

TEST_CASE("a lost partition: what was handed out is answered on its stream, then it is closed") {
  Setup setup(2);
  auto consumer = setup.subscribe({.type = SubscriptionType::kFailover});
  setup.server.deliver(0, 0, 2);
  auto batch = next(consumer);
  setup.server.deliver(0, 3, 4);  // received, and not handed out
  while (consumer.stats().messages_received < 5) std::this_thread::yield();
  setup.server.assign({{1, setup.server.on([&] { return setup.server.epochs.at(1); })}});
  while (consumer.stats().buffered_bytes > 0) std::this_thread::yield();
  CHECK(consumer.poll(0)->empty());  // somebody else gets that
  setup.server.on([&] { CHECK(setup.server.closed_streams.empty()); });
  Message message;
  while (batch.next(message)) {
    setup.server.on([&] { CHECK(setup.server.closed_streams.empty()); });
    consumer.acknowledge(message);
  }
  setup.wait_for([&] { return !setup.server.closed_streams.empty(); });
  setup.server.on([&] {
    CHECK(setup.server.closed_streams == std::vector<std::uint32_t>{0});
    std::uint64_t answered = 0;
    for (const auto& answer : setup.server.answers) {
      for (const auto& [first, last] : answer.ranges) answered += last - first + 1;
    }
    CHECK(answered == 3);
    CHECK(setup.server.streams.contains(1));
  });
}

TEST_CASE("a lost partition that holds nothing is closed at once, and may come back") {
  Setup setup(2);
  auto consumer = setup.subscribe({.type = SubscriptionType::kFailover});
  setup.server.assign({});
  setup.wait_for([&] { return setup.server.closed_streams.size() == 2; });
  setup.server.assign({{0, 70}});
  setup.wait_for([&] { return setup.server.streams.contains(0); });
  setup.server.deliver(0, 0, 0);
  CHECK(next(consumer).count() == 1);
}

TEST_CASE("answers that come after the server took the stream away do not hold flush_answers") {
  Setup setup(2);
  auto consumer = setup.subscribe({.type = SubscriptionType::kFailover});
  setup.server.deliver(0, 0, 2);
  auto batch = next(consumer);
  setup.server.assign({{1, setup.server.on([&] { return setup.server.epochs.at(1); })}});
  setup.server.end_stream(0, ErrorCode::kStaleAttach);  // its time was up
  consumer.acknowledge(batch);
  CHECK(consumer.flush_answers().has_value());
}

TEST_CASE("another epoch of a partition opens it again") {
  Setup setup(1);
  auto consumer = setup.subscribe({.type = SubscriptionType::kFailover});
  setup.server.assign({{0, 99}});
  setup.wait_for(
      [&] { return setup.server.streams.contains(0) && setup.server.streams.at(0).epoch == 99; });
  setup.server.on([&] { CHECK(setup.server.sessions.size() == 1); });
}

TEST_CASE("after a reset the stream is opened again by itself, in the same place") {
  Setup setup(2);
  auto consumer = setup.subscribe({.type = SubscriptionType::kShared});
  setup.server.deliver(0, 0, 4);
  while (consumer.stats().messages_received < 5) std::this_thread::yield();
  setup.server.end_stream(0, ErrorCode::kStaleAttach);
  setup.wait_for([&] { return setup.server.streams.size() == 2; });
  CHECK(consumer.poll(0)->empty());  // they speak of the past
  setup.server.deliver(0, 10, 14);
  CHECK(next(consumer).ranges()[0].first == 10);
  setup.server.on([&] { CHECK(setup.server.sessions.size() == 1); });
  CHECK(consumer.stats().reconnects == 0);
}

TEST_CASE("a consumer whose epochs are refused again and again attaches anew") {
  Setup setup(1);
  auto consumer = setup.subscribe();
  setup.server.on([&] { setup.server.epochs[0] = 12'345; });
  setup.server.end_stream(0, ErrorCode::kStaleAttach);
  while (consumer.stats().reconnects == 0) std::this_thread::yield();
  setup.server.on([&] {
    REQUIRE(setup.server.sessions.size() == 2);
    CHECK(setup.server.sessions[0] == setup.server.sessions[1]);
  });
}

TEST_CASE("partitions that were added to the topic are looked up and opened") {
  Setup setup(1);
  auto consumer = setup.subscribe({.type = SubscriptionType::kShared});
  setup.server.on([&] { setup.server.partitions.resize(3); });
  setup.server.assign({{0, 1}, {1, 1}, {2, 1}});
  setup.wait_for([&] { return setup.server.streams.size() == 3; });
}

TEST_CASE("an attached consumer shows three times in a session that it lives") {
  Setup setup(1);
  setup.server.on([&] { setup.server.session_timeout_ms = 30; });
  auto consumer = setup.subscribe();
  setup.wait_for([&] { return setup.server.pings >= 6; });
}

}  // namespace andyx::client
