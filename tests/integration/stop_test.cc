// Stopping and starting: SIGTERM under load loses nothing and ends soon with status 0; a directory
// that was killed is served again. Times are reported, not judged (a hang is).
#include <doctest/doctest.h>
#include <signal.h>

#include <deque>
#include <iostream>
#include <random>
#include <string>

#include "protocol/base/limits.h"
#include "tests/integration/support/batch_forge.h"
#include "tests/integration/support/load.h"
#include "tests/integration/support/raw_connection.h"
#include "tests/integration/support/seed.h"
#include "tests/integration/support/server_process.h"
#include "tests/integration/support/topic_reader.h"

namespace andyx::test {
namespace {

Millis::rep millis_since(Clock::time_point start) {
  return std::chrono::duration_cast<Millis>(Clock::now() - start).count();
}

RawConnection open(const ServerProcess& server) {
  RawConnection connection(server.port());
  connection.hello();
  return connection;
}

void read_back(ServerProcess& server, Book& book, TopicId topic, std::uint32_t partitions) {
  RawConnection connection = open(server);
  for (std::uint32_t partition = 0; partition < partitions; ++partition) {
    const Offset from = book.messages.stored_end(partition);
    read_partition(connection, {topic, partition}, from, [&](const batch::Record& record) {
      const std::scoped_lock lock(book.mutex);
      book.messages.stored(partition, record.offset, record.payload, record.key);
    });
  }
}

TEST_CASE("SIGTERM under load: exit 0, nothing acknowledged is lost, the load goes on afterwards") {
  constexpr std::uint32_t kPartitions = 4;
  const std::uint64_t seed = printed_seed();
  ServerProcess server;
  server.start();
  const TopicId topic = open(server).create_topic("stopped", kPartitions);
  Book book;
  std::deque<ProducerLoad> producers;
  for (std::uint32_t id = 0; id < 4; ++id) {
    producers.emplace_back(book, server.address(), "stopped", id,
                           ProducerStyle{.keyed = id % 2 == 0,
                                         .linger_ms = id,
                                         .max_payload_bytes = 1'000,
                                         .max_in_flight_messages = 500},
                           seed + id);
  }
  ConsumerLoad consumer(book, server.address(), "stopped", {.subscription = "s"}, seed);
  for (int round = 0; round < 3; ++round) {
    std::uint64_t before = 0;
    for (const ProducerLoad& producer : producers) before += producer.acknowledged();
    REQUIRE(wait_until([&] {
      std::uint64_t now = 0;
      for (const ProducerLoad& producer : producers) now += producer.acknowledged();
      return now > before + 5'000;
    }));
    const auto start = Clock::now();
    REQUIRE(server.terminate().value_or(-1) == 0);
    std::cout << "stopped under load after " << millis_since(start) << " ms" << std::endl;
    std::size_t mark = 0;
    {
      const std::scoped_lock lock(book.mutex);
      ++book.run;
      mark = book.messages.mark();
    }
    server.start();
    CHECK_MESSAGE(server.log().rfind("clean_stop=yes") > server.log().rfind("clean_stop=no"),
                  "the clean stop is not recognized");
    read_back(server, book, topic, kPartitions);
    const std::scoped_lock lock(book.mutex);
    book.messages.require_stored(mark);
    REQUIRE_MESSAGE(book.messages.violations().count() == 0, book.messages.violations().text());
    REQUIRE_MESSAGE(book.failures.count() == 0, book.failures.text());
  }
  for (ProducerLoad& producer : producers) producer.stop();
  read_back(server, book, topic, kPartitions);
  CHECK(wait_until(
      [&] {
        const std::scoped_lock lock(book.mutex);
        for (std::uint32_t partition = 0; partition < kPartitions; ++partition) {
          if (consumer.ledger().confirmed_count(partition) < book.messages.stored_end(partition)) {
            return false;
          }
        }
        return true;
      },
      Millis(60'000)));
  consumer.stop();
  book.messages.require_stored(book.messages.mark());
  CHECK_MESSAGE(book.messages.violations().count() == 0, book.messages.violations().text());
  CHECK_MESSAGE(book.failures.count() == 0, book.failures.text());
  const Violations& violations = consumer.ledger().violations();
  CHECK_MESSAGE(violations.count() == 0, violations.text());
}

TEST_CASE("clients that wait for nothing in particular do not hold up a stop") {
  ServerProcess server;
  server.start();
  RawConnection waiting = open(server);
  const TopicId topic = waiting.create_topic("empty");
  waiting.send(make_frame<protocol::Read>(77, [&](Builder& builder) {
    return protocol::CreateRead(builder, topic, 0, 0, 0, 1'000, 60'000);
  }));
  waiting.ping();  // the read is in the server's hands
  RawConnection silent(server.port());
  const RawConnection idle = open(server);
  int signal = SIGTERM;
  SUBCASE("SIGTERM") { signal = SIGTERM; }
  SUBCASE("SIGINT") { signal = SIGINT; }
  const auto start = Clock::now();
  server.process().send_signal(signal);
  CHECK(server.process().wait(Millis(10'000)).value_or(-1) == 0);
  std::cout << "stopped with idle clients after " << millis_since(start) << " ms" << std::endl;
}

TEST_CASE("SIGTERM as soon as the server is ready is a clean stop too") {
  ServerProcess server;
  for (int round = 0; round < 10; ++round) {
    server.start();
    REQUIRE(server.terminate().value_or(-1) == 0);
  }
}

TEST_CASE("a kill is not taken for a clean stop") {
  ServerProcess server;
  server.start();
  open(server).create_topic("t");
  server.kill_now();
  server.start();
  CHECK(server.log().find("clean_stop=yes") == std::string::npos);
}

TEST_CASE("a large directory is served again after a kill") {
  const std::uint64_t megabytes = environment_number("ANDYX_TEST_LONG", 0) != 0 ? 2'048 : 128;
  constexpr std::uint32_t kPartitions = 4, kInFlight = 16;
  ServerProcess server({.flags = {"--generation-bytes", "67108864"}});
  server.start();
  RawConnection connection = open(server);
  const TopicId topic = connection.create_topic("large", kPartitions);
  const Bytes batch = good_batch(1'000, 1'000);
  const std::uint64_t batches = megabytes * limits::kMiB / batch.size();
  std::uint64_t sent = 0;
  for (std::uint64_t answered = 0; answered < batches; ++answered) {
    for (; sent < batches && sent < answered + kInFlight; ++sent) {
      REQUIRE(connection.send(make_frame<protocol::Produce>(1'000 + sent, [&](Builder& builder) {
        const auto bytes = builder.CreateVector(batch);
        return protocol::CreateProduce(builder, topic,
                                       static_cast<std::uint32_t>(sent % kPartitions), 0,
                                       protocol::Acks::main, bytes);
      })));
    }
    const std::optional<Received> answer = connection.receive();
    REQUIRE(answer.has_value());
    REQUIRE(answer->as<protocol::ProduceReply>() != nullptr);
  }
  server.kill_now();
  const auto start = Clock::now();
  server.start();
  std::cout << megabytes << " MB served again " << millis_since(start) << " ms after kill -9"
            << std::endl;
  RawConnection again = open(server);
  std::uint64_t messages = 0;
  for (std::uint32_t partition = 0; partition < kPartitions; ++partition) {
    const Offset end =
        read_partition(again, {topic, partition}, 0, [&](const batch::Record&) { ++messages; });
    CHECK(end == batches / kPartitions * 1'000 + (partition < batches % kPartitions ? 1'000 : 0));
  }
  CHECK(messages == batches * 1'000);
}

}  // namespace
}  // namespace andyx::test
