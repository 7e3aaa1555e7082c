#include <atomic>
#include <chrono>

#include "tests/clients/client_setup.h"

namespace andyx::client {
namespace {

using protocol::Body;
using test::FakeServer;

struct Setup : ConsumerSetup {
  explicit Setup(std::uint32_t partitions = 1) : ConsumerSetup(partitions, 20) {}
};

}  // namespace

TEST_CASE("what is pushed is polled, and its credit is given back") {
  Setup setup;
  auto consumer = setup.subscribe().value();
  CHECK(consumer.poll(0)->empty());
  setup.server.deliver(0, 0, 4);
  auto batch = next(consumer);
  CHECK(batch.count() == 5);
  Message message;
  int expected = 0;
  while (batch.next(message)) CHECK(message.payload == std::to_string(expected++));
  CHECK(expected == 5);
  consumer.acknowledge(batch);
  REQUIRE(consumer.close());
  setup.server.on([&] {
    CHECK(setup.server.credits_messages == 5);
    CHECK(setup.server.credits_bytes > 5 * 88);
    CHECK(setup.server.unsubscribes == 1);
  });
  CHECK(consumer.poll(0).error().code == ErrorCode::kShuttingDown);
}

TEST_CASE("credits are shared out over the partitions") {
  Setup setup(4);
  auto consumer = setup.subscribe({.credit_bytes = 400'000, .credit_messages = 1'000}).value();
  setup.server.on([&] {
    REQUIRE(setup.server.streams.size() == 4);
    for (const auto& [partition, stream] : setup.server.streams) {
      CHECK(stream.credit_bytes == 100'000);
      CHECK(stream.credit_messages == 250);
    }
  });
}

TEST_CASE("single answers travel together, and flush_answers waits until they are confirmed") {
  Setup setup;
  auto consumer = setup.subscribe().value();
  setup.server.deliver(0, 0, 19);
  auto batch = next(consumer);
  // Requests are held back, so that answers gather.
  std::vector<std::uint64_t> held;
  FakeServer::Session* session = nullptr;
  net::Slot<bool> first_held;
  setup.server.intercept([&](FakeServer::Session& from, const protocol::Frame& frame) {
    if (frame.body_type() != Body::Answer) return false;
    session = &from;
    held.push_back(frame.correlation_id());
    if (held.size() == 4) first_held.put(true);
    return true;
  });
  Message message;
  for (int i = 0; i < 4 && batch.next(message); ++i) {
    consumer.acknowledge(message);
    // Until it was sent, so that four requests are under way.
    while (setup.server.on([&] { return held.size(); }) <= static_cast<std::size_t>(i))
      std::this_thread::yield();
  }
  first_held.take();
  while (batch.next(message)) consumer.acknowledge(message);
  std::atomic<bool> confirmed{false};
  std::thread waiter([&] {
    CHECK(consumer.flush_answers().has_value());
    confirmed = true;
  });
  setup.server.on([&] {
    CHECK_FALSE(confirmed);
    CHECK(held.size() == 4);
  });
  setup.server.intercept(nullptr);
  setup.server.on([&] {
    for (const auto id : held) session->done(id);
  });
  waiter.join();
  setup.server.on([&] {
    REQUIRE(setup.server.answers.size() == 1);  // the 16 that had gathered
    CHECK(setup.server.answers[0].ranges == std::vector<std::pair<Offset, Offset>>{{4, 19}});
  });
  CHECK(consumer.stats().answers_confirmed == 20);
}

TEST_CASE("after a lost connection: the same session, answers again, stale messages dropped") {
  Setup setup;
  auto consumer = setup.subscribe().value();
  setup.server.deliver(0, 0, 4);
  auto batch = next(consumer);
  setup.server.deliver(0, 5, 9);
  while (consumer.stats().messages_received < 10) std::this_thread::yield();
  // The answer is lost with the connection.
  setup.server.intercept([&](FakeServer::Session& session, const protocol::Frame& frame) {
    if (frame.body_type() != Body::Answer || setup.server.attach_epoch > 1) return false;
    session.connection->close(0, Error{});
    return true;
  });
  consumer.acknowledge(batch);
  REQUIRE(consumer.flush_answers());
  setup.server.on([&] {
    REQUIRE(setup.server.sessions.size() == 2);
    CHECK(setup.server.sessions[0] == setup.server.sessions[1]);
    REQUIRE(setup.server.answers.size() == 1);
    CHECK(setup.server.answers[0].ranges == std::vector<std::pair<Offset, Offset>>{{0, 4}});
  });
  // 5 to 9 were not taken: they come again from the server, not from the queue.
  CHECK(consumer.poll(0)->empty());
  setup.server.deliver(0, 5, 9);
  CHECK(next(consumer).ranges()[0].first == 5);
  CHECK(consumer.stats().reconnects == 1);
}

TEST_CASE("the time to come back begins with the loss, however long a consumer was attached") {
  constexpr std::uint32_t kRequestMs = 500;
  Setup setup;
  FakeServer& server = setup.server;
  auto client =
      Client::connect({.servers = {server.address()}, .request_timeout_ms = kRequestMs}).value();
  auto consumer = client.subscribe({.topic = "t", .subscription = "s"}).value();
  // Longer than a request may take.
  const auto attached = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - attached < std::chrono::milliseconds(2 * kRequestMs))
    REQUIRE(consumer.poll(20).has_value());
  server.drop_connections();
  while (consumer.stats().reconnects == 0) REQUIRE(consumer.poll(20).has_value());
  server.deliver(0, 0, 0);
  CHECK(next(consumer).count() == 1);
}

TEST_CASE("a consumer that was taken over ends with the reason") {
  Setup setup;
  auto consumer = setup.subscribe().value();
  setup.server.detach(ErrorCode::kStaleAttach);
  const auto ended = consumer.poll(60'000);
  REQUIRE_FALSE(ended.has_value());
  CHECK(ended.error().code == ErrorCode::kStaleAttach);
}

TEST_CASE("a stream that the server ends for a passing reason is opened again") {
  Setup setup;
  auto consumer = setup.subscribe().value();
  setup.server.end_stream(0, ErrorCode::kNotMain);
  while (consumer.stats().reconnects == 0) std::this_thread::yield();
  setup.server.deliver(0, 0, 0);
  CHECK(next(consumer).count() == 1);
}

TEST_CASE("a busy subscription and an unknown topic are told at once") {
  Setup setup;
  CHECK(setup.client.subscribe({.topic = "other", .subscription = "s"}).error().code ==
        ErrorCode::kUnknownTopic);
  CHECK(setup.client.subscribe({.topic = "t", .subscription = ""}).error().code ==
        ErrorCode::kBadName);
  setup.server.intercept([](FakeServer::Session& session, const protocol::Frame& frame) {
    if (frame.body_type() != Body::Subscribe) return false;
    session.error(frame.correlation_id(), ErrorCode::kSubscriptionBusy);
    return true;
  });
  CHECK(setup.subscribe().error().code == ErrorCode::kSubscriptionBusy);
}

TEST_CASE("a handler gets the messages on its own thread and may answer and close from there") {
  Setup setup;
  net::Slot<std::uint64_t> handled;
  std::atomic<std::uint64_t> total{0};
  auto consumer = setup
                      .subscribe({.handler =
                                      [&](Consumer& self, MessageBatch& batch) {
                                        self.acknowledge(batch);
                                        CHECK(self.flush_answers().has_value());
                                        if ((total += batch.count()) == 10) {
                                          CHECK(self.close().has_value());
                                          handled.put(total);
                                        }
                                      }})
                      .value();
  setup.server.deliver(0, 0, 4);
  setup.server.deliver(0, 5, 9);
  CHECK(handled.take() == 10);
  CHECK(consumer.close().has_value());
}

TEST_CASE("a handler's consumer that cannot go on tells why") {
  Setup setup;
  net::Slot<ErrorCode> told;
  auto consumer = setup
                      .subscribe({.handler = [](Consumer&, MessageBatch&) {},
                                  .on_error = [&](const Error& error) { told.put(error.code); }})
                      .value();
  setup.server.intercept([](FakeServer::Session& session, const protocol::Frame& frame) {
    if (frame.body_type() != Body::Subscribe) return false;
    session.error(frame.correlation_id(), ErrorCode::kUnknownSubscription);
    return true;
  });
  setup.server.drop_connections();
  CHECK(told.take() == ErrorCode::kUnknownSubscription);
}

TEST_CASE("closing while the server is gone does not hang") {
  Setup setup;
  auto consumer = setup.subscribe({.answer_timeout_ms = 100}).value();
  setup.server.deliver(0, 0, 4);
  auto batch = next(consumer);
  setup.server.stop_listening();
  consumer.acknowledge(batch);
  CHECK(consumer.close().error().code == ErrorCode::kTimedOut);
}

TEST_CASE("closing the client ends a poll") {
  Setup setup;
  auto consumer = setup.subscribe().value();
  std::thread waiter(
      [&] { CHECK(consumer.poll(60'000).error().code == ErrorCode::kShuttingDown); });
  setup.client.close();
  waiter.join();
}

}  // namespace andyx::client
