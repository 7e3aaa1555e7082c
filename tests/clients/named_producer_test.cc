// Producers with a name, and producers of a topic that grows.
#include <atomic>

#include "protocol/batch/key_hash.h"
#include "tests/clients/client_setup.h"

namespace andyx::client {
namespace {

using protocol::Body;
using test::FakeServer;

ProducerOptions single(std::uint64_t session = 0) {
  return {.topic = "t",
          .name = "p",
          .instance = ProducerInstance::kSingle,
          .session = session,
          .linger_ms = 0,
          .batch_bytes = 1};
}

template <typename Condition>
bool eventually(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

// Answers the `nth` Produce from now on with an error.
void refuse_produce(FakeServer& server, int nth, ErrorCode code) {
  server.intercept(
      [nth, code, seen = 0](FakeServer::Session& session, const protocol::Frame& frame) mutable {
        if (frame.body_type() != Body::Produce || ++seen != nth) return false;
        session.error(frame.correlation_id(), code);
        return true;
      });
}

std::vector<std::string> all_of(FakeServer& server) {
  return server.on([&] { return server.partitions[0].payloads; });
}

std::vector<batch::Header> stored_headers(FakeServer& server) {
  return server.on([&] {
    std::vector<batch::Header> headers;
    for (const auto& bytes : server.partitions[0].batches)
      headers.push_back(batch::read_header(bytes.span()).value());
    return headers;
  });
}

}  // namespace

TEST_CASE("a name is opened with its topic, and closed before close() returns") {
  FakeServer server;
  auto client = client_of(server);
  auto producer = client.producer(single(77)).value();
  REQUIRE(producer.send_and_wait({.payload = "x"}).has_value());
  const auto opens = server.on([&] { return server.opens; });
  REQUIRE(opens.size() == 1);
  CHECK(opens[0].name == "p");
  CHECK(opens[0].topic == test::kTopic);
  CHECK(opens[0].instance == protocol::ProducerInstance::single);
  CHECK(opens[0].session == 77);
  CHECK(opens[0].producer_id == 0);
  CHECK(stored_headers(server)[0].producer_id == 900);
  CHECK(stored_headers(server)[0].producer_epoch == 256);
  REQUIRE(producer.close());
  CHECK(server.on([&] { return server.producer_closes; }) == 1);
  CHECK(producer.send({.payload = "x"}).error().code == ErrorCode::kShuttingDown);
}

TEST_CASE("a busy name is an error of opening; a name needs idempotence") {
  FakeServer server;
  auto client = client_of(server);
  server.intercept([](FakeServer::Session& session, const protocol::Frame& frame) {
    if (frame.body_type() != Body::ProducerOpen) return false;
    session.error(frame.correlation_id(), ErrorCode::kProducerBusy);
    return true;
  });
  CHECK(client.producer(single()).error().code == ErrorCode::kProducerBusy);
  auto options = single();
  options.idempotent = false;
  CHECK(client.producer(options).error().code == ErrorCode::kBadArgument);
}

TEST_CASE("after a lost connection the same session has its place again before anything is sent") {
  FakeServer server;
  auto client = client_of(server);
  auto producer = client.producer(single()).value();
  REQUIRE(producer.send_and_wait({.payload = "before"}).has_value());
  bool reopened = false, too_early = false;
  server.intercept(
      [&, lost = false](FakeServer::Session& session, const protocol::Frame& frame) mutable {
        if (frame.body_type() == Body::ProducerOpen) reopened = true;
        if (frame.body_type() != Body::Produce) return false;
        if (!std::exchange(lost, true)) {
          session.connection->close(0, Error{});
          return true;
        }
        too_early |= !reopened;
        return false;
      });
  REQUIRE(producer.send_and_wait({.payload = "after"}).has_value());
  CHECK(server.on([&] { return reopened && !too_early; }));
  const auto opens = server.on([&] { return server.opens; });
  REQUIRE(opens.size() == 2);
  CHECK(opens[0].session != 0);
  CHECK(opens[1].session == opens[0].session);
  CHECK(opens[1].producer_id == 900);
  CHECK(opens[1].producer_epoch == 256);
  const auto headers = stored_headers(server);
  REQUIRE(headers.size() == 2);
  CHECK(headers[1].sequence == 1);
}

TEST_CASE("fenced by a batch or at reconnecting: everything fails for good, with that error") {
  for (const Body where : {Body::Produce, Body::ProducerOpen}) {
    CAPTURE(protocol::EnumNameBody(where));
    FakeServer server(2);
    auto client = client_of(server);
    auto producer = client.producer(single()).value();
    server.intercept([where](FakeServer::Session& session, const protocol::Frame& frame) {
      if (frame.body_type() != where) return frame.body_type() == Body::Produce;
      session.error(frame.correlation_id(), ErrorCode::kProducerFenced);
      return true;
    });
    REQUIRE(producer.send({.payload = "x"}));
    if (where == Body::ProducerOpen) server.drop_connections();
    CHECK(producer.flush().error().code == ErrorCode::kProducerFenced);
    CHECK(producer.send({.payload = "y"}).error().code == ErrorCode::kProducerFenced);
    CHECK(producer.send_and_wait({.payload = "z"}).error().code == ErrorCode::kProducerFenced);
    CHECK(producer.close().error().code == ErrorCode::kProducerFenced);
  }
}

TEST_CASE("a refused batch that was not stored leaves its sequence to the next, under one epoch") {
  FakeServer server;
  auto client = client_of(server);
  auto producer = client.producer(single()).value();
  refuse_produce(server, 2, ErrorCode::kMessageTooLarge);
  for (const char* text : {"a", "b", "c", "d"}) REQUIRE(producer.send({.payload = text}));
  CHECK(producer.flush().error().code == ErrorCode::kMessageTooLarge);
  const auto headers = stored_headers(server);
  REQUIRE(headers.size() == 3);
  for (std::size_t i = 0; i < headers.size(); ++i) {
    CHECK(headers[i].producer_id == 900);
    CHECK(headers[i].producer_epoch == 256);
    CHECK(headers[i].sequence == i);
  }
  CHECK(server.on([&] { return server.producers_opened; }) == 1);
}

TEST_CASE("a batch given up that may be stored raises the epoch of its partition") {
  FakeServer server;
  auto client = client_of(server);
  auto producer = client.producer(single()).value();
  REQUIRE(producer.send_and_wait({.payload = "a"}).has_value());
  refuse_produce(server, 1, ErrorCode::kCorrupt);
  const auto given_up = producer.send_and_wait({.payload = "b"});
  REQUIRE_FALSE(given_up.has_value());
  CHECK(given_up.error().stored == Storedness::kMaybeStored);
  REQUIRE(producer.send_and_wait({.payload = "c"}).has_value());
  const auto headers = stored_headers(server);
  REQUIRE(headers.size() == 2);
  CHECK(headers[1].producer_id == 900);
  CHECK(headers[1].producer_epoch == 257);
  CHECK(headers[1].sequence == 0);
  CHECK(server.on([&] { return server.producers_opened; }) == 1);
}

TEST_CASE("a single producer pings three times in its session's time") {
  FakeServer server;
  server.on([&] { server.session_timeout_ms = 60; });
  auto client = client_of(server);
  auto producer = client.producer(single()).value();
  CHECK(eventually([&] { return server.on([&] { return server.pings; }) >= 3; }));
}

TEST_CASE("partitions added to a topic are used while messages are sent, rarely asked for") {
  FakeServer server(2);
  auto client = client_of(server);
  auto producer = client.producer({.topic = "t", .linger_ms = 0}).value();
  REQUIRE(producer.send_and_wait({.payload = "x"}).has_value());
  const auto asked = server.on([&] {
    server.partitions.resize(5);
    return server.metadata_requests;
  });
  const auto began = std::chrono::steady_clock::now();
  REQUIRE(eventually([&] {
    REQUIRE(producer.send_and_wait({.payload = "x"}).has_value());
    return producer.partitions() == 5;
  }));
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - began)
          .count();
  CHECK(server.on([&] { return server.metadata_requests; }) - asked <=
        static_cast<std::uint64_t>(seconds) + 2);
  for (const char* key : {"a", "order-1", "order-2", "x", "y"}) {
    const auto stored = producer.send_and_wait({.key = key, .payload = key});
    REQUIRE(stored.has_value());
    CHECK(stored->partition == batch::partition_of_key(key, 5));
  }
  for (int i = 0; i < 5; ++i) REQUIRE(producer.send_and_wait({.payload = "r"}).has_value());
  CHECK(server.on([&] {
    return std::ranges::none_of(server.partitions,
                                [](const auto& p) { return p.payloads.empty(); });
  }));
}

TEST_CASE("messages that the server has are delivered with its offset, the others are stored") {
  for (const bool named : {false, true}) {
    CAPTURE(named);
    FakeServer server;
    server.on([&] { server.dedup = true; });
    auto client = client_of(server);
    auto options = named ? single() : ProducerOptions{.topic = "t"};
    options.linger_ms = 1'000;
    options.batch_bytes = 64'000;
    auto producer = client.producer(options).value();
    // Batches of one turn each: ids of its messages, "" for none.
    const auto send = [&](const std::vector<std::string>& ids) {
      std::vector<std::future<SendOutcome>> outcomes;
      for (const auto& id : ids) {
        OutMessage message{.payload = id};
        if (!id.empty()) message.message_id = id;
        outcomes.push_back(producer.send_future(message));
      }
      REQUIRE(producer.flush());
      std::vector<std::pair<Offset, bool>> told;
      for (auto& outcome : outcomes) {
        const auto result = outcome.get();
        REQUIRE(result.has_value());
        told.emplace_back(result->offset, result->duplicate);
      }
      return told;
    };
    using Told = std::vector<std::pair<Offset, bool>>;
    CHECK(send({"a", "b"}) == Told{{0, false}, {1, false}});
    CHECK(send({"c", "b", "", "d"}) == Told{{2, false}, {1, true}, {3, false}, {4, false}});
    CHECK(send({"b", "a"}) == Told{{1, true}, {0, true}});  // nothing is left
    CHECK(send({"e", "f", "e"}) == Told{{5, false}, {6, false}, {5, false}});
    CHECK(all_of(server) == std::vector<std::string>{"a", "b", "c", "", "d", "e", "f"});
    CHECK(producer.stats().messages_acked == 11);
    CHECK(producer.stats().buffered_bytes == 0);
    if (named) CHECK(server.on([&] { return server.producers_opened; }) == 1);
  }
}

TEST_CASE("the time to deliver at goes into the batch") {
  FakeServer server;
  auto client = client_of(server);
  auto producer = client.producer({.topic = "t"}).value();
  REQUIRE(producer.send({.payload = "now"}));
  REQUIRE(producer.send({.payload = "later", .deliver_at_us = 4'000'000'000'000'000}));
  REQUIRE(producer.flush());
  server.on([&] {
    const auto bytes = server.partitions[0].batches.at(0);
    const auto header = batch::read_header(bytes.span()).value();
    REQUIRE(header.count == 2);
    CHECK(batch::deliver_at_us(bytes.span(), 0) == 0);
    CHECK(batch::deliver_at_us(bytes.span(), 1) == 4'000'000'000'000'000);
  });
}

}  // namespace andyx::client
