// Each rule of the checker against a history that breaks it and nothing else, and against one that
// only looks as if.
#include "tests/fault/history/checker.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "tests/integration/support/temp_dir.h"

namespace andyx::test::fault {
namespace {

constexpr ReaderId kOne = 0, kTwo = 1, kLast = 2, kLastToo = 3;
constexpr SubscriptionIndex kOrdered = 0, kShared = 1;

Record record_of(MessageId id, Offset offset, std::uint32_t partition = 0) {
  return {.partition = partition,
          .offset = offset,
          .id = id,
          .content = content_of(message_text(id, 20), "")};
}

// Builds a history by hand.
struct Scene {
  History history{Cast{.partitions = 2,
                       .subscriptions = {{"ordered", Order::kPartition}, {"shared", Order::kNone}},
                       .readers = {{"one"}, {"two"}, {"last", true}, {"last too", true}}}};

  void send(MessageId id) { history.add(Sent{.id = id, .content = record_of(id, 0).content}); }
  void send_committed(MessageId id, Offset offset, std::uint32_t partition = 0) {
    send(id);
    history.add(Answered{.id = id, .partition = partition, .offset = offset});
  }
  void send_failed(MessageId id, Outcome outcome) {
    send(id);
    history.add(Answered{.id = id, .outcome = outcome});
  }
  void read(ReaderId reader, const std::vector<Record>& records, Offset committed,
            std::uint32_t partition = 0, Offset start = 0) {
    const Offset from = records.empty() ? committed : records.front().offset;
    history.add(ReadFrom{reader, partition, from});
    for (const Record& record : records) history.add(ReadRecord{reader, record});
    history.add(ReadEnd{reader, partition, start, committed});
  }
  void deliver(SubscriptionIndex subscription, const Record& record, ConsumerId consumer) {
    history.add(Delivered{subscription, consumer, record});
  }
  // Everything in its order to both subscriptions, and to those who read at the end.
  void end(const std::vector<Record>& log, std::uint32_t partition = 0) {
    for (const Record& record : log) {
      deliver(kOrdered, record, 0);
      deliver(kShared, record, 1);
    }
    read_at_the_end(log, partition);
  }
  void read_at_the_end(const std::vector<Record>& log, std::uint32_t partition = 0) {
    read(kLast, log, log.size(), partition);
    read(kLastToo, log, log.size(), partition);
  }

  void expect(Rule rule, std::size_t times = 1) {
    const Findings found = check(history).findings;
    INFO(found.text());
    CHECK(found.count(rule) == times);
    CHECK(found.count() == times);
  }
  void expect_nothing() {
    const Findings found = check(history).findings;
    CHECK_MESSAGE(found.count() == 0, found.text());
  }
};

MessageId id_of(std::uint32_t sequence, std::uint32_t producer = 0) {
  return {.producer = producer, .sequence = sequence};
}

TEST_CASE("a history that keeps every promise is found good, and counted") {
  Scene scene;
  scene.send_committed(id_of(0), 0);
  scene.send_committed(id_of(1), 1);
  scene.send_committed(id_of(2), 0, 1);
  scene.read(kOne, {record_of(id_of(0), 0)}, 1);
  scene.read(kTwo, {record_of(id_of(0), 0), record_of(id_of(1), 1)}, 2);
  scene.end({record_of(id_of(0), 0), record_of(id_of(1), 1)});
  scene.end({record_of(id_of(2), 0, 1)}, 1);
  scene.history.add(Confirmed{kOrdered, 0, 0, 1});
  scene.expect_nothing();
  const Judged judged = check(scene.history).judged;
  CHECK(judged.sent == 3);
  CHECK(judged.committed == 3);
  CHECK(judged.stored == 3);
  CHECK(judged.reads == 9);
  CHECK(judged.deliveries == 6);
  CHECK(judged.confirmed == 2);
}

TEST_CASE("an acknowledged message that is not there at the end is lost") {
  Scene scene;
  scene.send_committed(id_of(0), 0);
  scene.send_committed(id_of(1), 1);
  scene.end({record_of(id_of(0), 0)});
  scene.expect(Rule::kAcknowledgedLost);
}

TEST_CASE("an acknowledged message is lost where one of the final readers does not find it") {
  Scene scene;
  scene.send_committed(id_of(0), 0);
  scene.send_committed(id_of(1), 1);
  scene.deliver(kOrdered, record_of(id_of(0), 0), 0);
  scene.deliver(kShared, record_of(id_of(0), 0), 1);
  scene.read(kLast, {record_of(id_of(0), 0), record_of(id_of(1), 1)}, 2);
  scene.read(kLastToo, {record_of(id_of(0), 0)}, 1);
  const Findings found = check(scene.history).findings;
  CHECK(found.count(Rule::kAcknowledgedLost) == 1);
  CHECK(found.count(Rule::kRecordVanished) == 1);
  CHECK(found.count(Rule::kCommittedWentBack) == 1);
}

TEST_CASE("a message at another offset than it was acknowledged with is lost there") {
  Scene scene;
  scene.send_committed(id_of(0), 1);
  scene.send_committed(id_of(0, 1), 0);
  scene.end({record_of(id_of(0), 0), record_of(id_of(0, 1), 1)});
  scene.expect(Rule::kAcknowledgedLost, 2);
}

TEST_CASE("an acknowledgement without an offset asks for the message anywhere") {
  Scene scene;
  scene.send_committed(id_of(0), kNoOffset);
  scene.send_committed(id_of(1), kNoOffset);
  scene.end({record_of(id_of(0), 0)});
  scene.expect(Rule::kAcknowledgedLost);
}

TEST_CASE("retention may take what was acknowledged") {
  Scene scene;
  scene.send_committed(id_of(0), 0);
  scene.send_committed(id_of(1), 1);
  scene.deliver(kOrdered, record_of(id_of(0), 0), 0);
  scene.deliver(kOrdered, record_of(id_of(1), 1), 0);
  scene.deliver(kShared, record_of(id_of(1), 1), 1);
  scene.read(kOne, {record_of(id_of(0), 0)}, 2);
  scene.read(kLast, {record_of(id_of(1), 1)}, 2, 0, 1);
  scene.read(kLastToo, {record_of(id_of(1), 1)}, 2, 0, 1);
  scene.expect_nothing();
}

TEST_CASE("a record that changes for one reader is caught") {
  Scene scene;
  scene.send(id_of(0));
  scene.send(id_of(0, 1));
  scene.read(kOne, {record_of(id_of(0), 0)}, 1);
  scene.read(kOne, {record_of(id_of(0, 1), 0)}, 1);
  scene.deliver(kOrdered, record_of(id_of(0), 0), 0);
  scene.deliver(kShared, record_of(id_of(0), 0), 1);
  scene.read_at_the_end({record_of(id_of(0), 0)});
  scene.expect(Rule::kRecordChanged);
}

TEST_CASE("readers, and subscriptions, that disagree are caught") {
  Scene scene;
  scene.send(id_of(0));
  scene.send(id_of(0, 1));
  scene.read(kOne, {record_of(id_of(0), 0)}, 1);
  scene.read(kTwo, {record_of(id_of(0, 1), 0)}, 1);
  scene.deliver(kOrdered, record_of(id_of(0), 0), 0);
  scene.deliver(kShared, record_of(id_of(0, 1), 0), 1);
  scene.read_at_the_end({record_of(id_of(0), 0)});
  scene.expect(Rule::kReadersDisagree, 2);
}

TEST_CASE("a record that was read once and is gone at the end is caught") {
  Scene scene;
  scene.send_failed(id_of(0), Outcome::kMaybeStored);
  scene.send_failed(id_of(1), Outcome::kMaybeStored);
  scene.deliver(kOrdered, record_of(id_of(0), 0), 0);
  scene.deliver(kShared, record_of(id_of(0), 0), 1);
  scene.read(kOne, {record_of(id_of(0), 0), record_of(id_of(1), 1)}, 0);
  scene.read_at_the_end({record_of(id_of(0), 0)});
  scene.expect(Rule::kRecordVanished);
}

TEST_CASE("a reading that leaves out an offset is caught") {
  Scene scene;
  for (std::uint32_t i = 0; i < 3; ++i) scene.send_committed(id_of(i), i);
  scene.read(kOne, {record_of(id_of(0), 0), record_of(id_of(2), 2)}, 3);
  scene.end({record_of(id_of(0), 0), record_of(id_of(1), 1), record_of(id_of(2), 2)});
  scene.expect(Rule::kRecordVanished);
}

TEST_CASE("a committed offset that goes back is caught for each reader, not between them") {
  Scene scene;
  scene.read(kOne, {}, 5, 0, 5);
  scene.read(kTwo, {}, 4, 0, 4);  // it asked a node that is behind
  scene.read(kLast, {}, 5, 0, 5);
  scene.read(kLastToo, {}, 5, 0, 5);
  scene.expect_nothing();
  scene.read(kOne, {}, 4, 0, 4);
  scene.expect(Rule::kCommittedWentBack);
}

TEST_CASE("a partition that ends before what was committed is caught") {
  Scene scene;
  scene.read(kOne, {}, 5);
  scene.read_at_the_end({});
  scene.expect(Rule::kCommittedWentBack);
}

TEST_CASE("messages of a producer out of their order are caught, those given up are not") {
  Scene scene;
  scene.send_committed(id_of(0), 2);
  scene.send_committed(id_of(1), 1);
  scene.send_failed(id_of(2), Outcome::kMaybeStored);
  scene.send_committed(id_of(0, 1), 3);  // another producer
  scene.end({record_of(id_of(2), 0), record_of(id_of(1), 1), record_of(id_of(0), 2),
             record_of(id_of(0, 1), 3)});
  scene.expect(Rule::kOrderBroken);
}

TEST_CASE("a message that is stored twice is caught, also in another partition") {
  Scene scene;
  scene.send_committed(id_of(0), 0);
  scene.end({record_of(id_of(0), 0), record_of(id_of(0), 1)});
  scene.end({record_of(id_of(0), 0, 1)}, 1);
  scene.expect(Rule::kStoredTwice, 2);
}

TEST_CASE("a message that was answered not_stored and is there is caught") {
  Scene scene;
  scene.send_failed(id_of(0), Outcome::kMaybeStored);
  scene.send_failed(id_of(1), Outcome::kNotStored);
  scene.end({record_of(id_of(0), 0), record_of(id_of(1), 1)});
  scene.expect(Rule::kNotStoredAppears);
}

TEST_CASE("bytes that nobody sent are caught: other ids, other content, no id at all") {
  Scene scene;
  scene.send(id_of(0));
  Record changed = record_of(id_of(0), 0);
  ++changed.content;
  scene.end({changed, record_of(id_of(7), 1), record_of(kNobody, 2)});
  scene.expect(Rule::kForeignBytes, 3);
}

TEST_CASE("a message that a subscription never got is caught") {
  Scene scene;
  scene.send_committed(id_of(0), 0);
  scene.deliver(kOrdered, record_of(id_of(0), 0), 0);
  scene.read_at_the_end({record_of(id_of(0), 0)});
  scene.expect(Rule::kNotDelivered);
}

TEST_CASE("first deliveries that leave one out are caught where order is promised") {
  Scene scene;
  scene.send_committed(id_of(0), 0);
  scene.send_committed(id_of(1), 1);
  for (const Offset offset : {1, 0}) {
    const Record record = record_of(id_of(static_cast<std::uint32_t>(offset)), offset);
    scene.deliver(kOrdered, record, 0);
    scene.deliver(kShared, record, 1);
  }
  scene.read_at_the_end({record_of(id_of(0), 0), record_of(id_of(1), 1)});
  scene.expect(Rule::kDeliveryOrder, 2);  // 1 before 0, and 0 after 1
}

TEST_CASE("a delivery after its answer was confirmed is caught") {
  Scene scene;
  scene.send_committed(id_of(0), 0);
  scene.end({record_of(id_of(0), 0)});
  scene.history.add(Confirmed{kShared, 0, 0, 0});
  const std::uint64_t poll_begun = scene.history.size();
  scene.history.add(PollEmpty{1, poll_begun});
  scene.deliver(kShared, record_of(id_of(0), 0), 1);
  scene.expect(Rule::kConfirmedAgain);
}

TEST_CASE("a delivery that may have waited in the client since before the confirmation is not") {
  Scene scene;
  scene.send_committed(id_of(0), 0);
  scene.end({record_of(id_of(0), 0)});
  const std::uint64_t poll_begun = scene.history.size();
  scene.history.add(Confirmed{kShared, 0, 0, 0});
  scene.history.add(PollEmpty{1, poll_begun});
  scene.history.add(PollEmpty{2, scene.history.size()});  // another consumer
  scene.deliver(kShared, record_of(id_of(0), 0), 1);
  scene.deliver(kOrdered, record_of(id_of(0), 0), 2);  // not confirmed there
  scene.expect_nothing();
}

TEST_CASE("a recovery that takes too long is caught") {
  Scene scene;
  scene.history.add(Recovery{.in_time = true, .text = "412 ms"});
  scene.history.add(Recovery{.in_time = false, .text = "partition 1 has 2 of 3 in sync"});
  scene.expect(Rule::kNotRecovered);
}

RecordSeen record_seen(std::uint32_t version, NodeId main, std::vector<NodeId> observers) {
  return {.partition = 0, .version = version, .main = main, .observers = std::move(observers)};
}

TEST_CASE("an observer that leads without being a whole copy first is caught") {
  Scene scene;
  scene.history.add(record_seen(5, 1, {2}));
  scene.history.add(record_seen(6, 0, {2}));  // the main is lost
  scene.history.add(record_seen(9, 2, {}));
  scene.expect(Rule::kObserverLeads);
}

TEST_CASE("one that was removed, added, in sync and then elected may lead, and one by force") {
  Scene scene;
  scene.history.add(record_seen(5, 1, {2, 3}));
  scene.history.add(record_seen(9, 2, {3}));
  scene.history.add(record_seen(10, 2, {3}));
  scene.history.add(record_seen(11, 0, {3}));
  scene.history.add(record_seen(12, 2, {3}));  // the main comes back
  scene.history.add(Forced{.partition = 0, .node = 3});
  scene.history.add(record_seen(13, 3, {}));
  scene.history.add(record_seen(14, 3, {2}));
  scene.expect_nothing();
  scene.history.add(Forced{.partition = 1, .node = 2});  // another partition
  scene.history.add(record_seen(15, 2, {}));
  scene.expect(Rule::kObserverLeads);
}

TEST_CASE("an observer that lacks what was acknowledged before the healing is caught") {
  Scene scene;
  scene.send_committed(id_of(0), 0);
  scene.send_committed(id_of(1), 1);
  scene.history.add(ObserverSeen{.partition = 0, .node = 2, .durable = 0});  // not yet healed
  scene.history.add(Healed{});
  scene.send_committed(id_of(2), 2);
  scene.history.add(ObserverSeen{.partition = 0, .node = 2, .durable = 2});
  scene.end({record_of(id_of(0), 0), record_of(id_of(1), 1), record_of(id_of(2), 2)});
  scene.expect_nothing();
  scene.history.add(ObserverSeen{.partition = 0, .node = 3, .durable = 1});
  scene.expect(Rule::kObserverBehind);
}

TEST_CASE("an observer whose log is another one is caught where it is read as main") {
  Scene scene;
  scene.send_committed(id_of(0), 0);
  scene.send_failed(id_of(1), Outcome::kMaybeStored);
  scene.deliver(kOrdered, record_of(id_of(0), 0), 0);
  scene.deliver(kShared, record_of(id_of(0), 0), 1);
  scene.read(kLast, {record_of(id_of(0), 0)}, 1);
  scene.history.add(Forced{.partition = 0, .node = 2});
  scene.read(kLastToo, {record_of(id_of(1), 0)}, 1);
  scene.expect(Rule::kReadersDisagree);
}

TEST_CASE("a history is written as one event a line") {
  Scene scene;
  scene.send_committed(id_of(3), 0);
  scene.read(kOne, {record_of(id_of(3), 0)}, 1);
  scene.history.add(FaultBegun{1, "kill main", 12});
  const TempDir directory;
  REQUIRE(scene.history.write(directory.file("history")));
  const std::string text = read_file(directory.file("history"));
  CHECK(std::ranges::count(text, '\n') == 6);
  CHECK(text.find("answered 0/3 committed partition 0 offset 0\n") != std::string::npos);
  CHECK(text.find("FAULT 1 kill main begun at 12 ms\n") != std::string::npos);
  CHECK_FALSE(scene.history.write(directory.file("no/such/directory")));
}

TEST_CASE("the payload of a message tells its id, and is like no other") {
  const MessageId id{.producer = 3, .sequence = 77};
  const std::string text = message_text(id, 40);
  CHECK(text.size() == 40);
  CHECK(id_in(text) == id);
  CHECK(text.substr(5) != message_text({.producer = 3, .sequence = 78}, 40).substr(5));
  CHECK(content_of("a", "b") != content_of("b", "a"));
  CHECK(content_of("a", "") != content_of("b", ""));
}

}  // namespace
}  // namespace andyx::test::fault
