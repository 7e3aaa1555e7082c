// Partitions with copies on several nodes: the shell around the cores of replication, over real
// loops, frames and disks: in memory, and on RocksDB.
#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>

#include "server/log_ids.h"
#include "subscription_generated.h"
#include "tests/server/replication/test_cluster.h"

namespace andyx::server::testing {
namespace {

struct OnMemory {
  static constexpr DiskKind kKind = DiskKind::kMemory;
};
#ifdef ANDYX_ROCKSDB_DISKS
struct OnRocksDb {
  static constexpr DiskKind kKind = DiskKind::kRocksDb;
};
#define ANDYX_DISKS OnMemory, OnRocksDb
#else  // not instrumented
#define ANDYX_DISKS OnMemory
#endif

const storage::LogId kLog = data_log(kPartition);

std::vector<std::string> messages(std::uint64_t from, std::uint64_t to) {
  std::vector<std::string> all;
  for (std::uint64_t sequence = from; sequence < to; ++sequence)
    all.push_back(TestCluster::payload(sequence));
  return all;
}

Copies three(std::uint32_t min_in_sync = 2) {
  return {.replicas = {1, 2, 3}, .in_sync = {1, 2, 3}, .observers = {}, .min_in_sync = min_in_sync};
}

void produce_all(TestCluster& cluster, NodeId main, std::uint64_t from, std::uint64_t to) {
  for (std::uint64_t sequence = from; sequence < to; ++sequence) {
    const Status stored = cluster.produce(main, sequence);
    if (!stored) FAIL("sequence ", sequence, ": ", stored.error().message);
  }
}

bool same_log(TestCluster& cluster, NodeId a, NodeId b, storage::LogId log = kLog) {
  return andyx::test::wait_until([&] { return cluster.log(a, log) == cluster.log(b, log); });
}

StreamTarget nowhere(CoreLoop& loop, std::uint32_t stream) {
  return {.home = &loop,
          .connection_id = 0,
          .stream = stream,
          .gate = std::make_shared<DeliveryGate>()};
}

// Attaches, is given all there is, and acknowledges offsets [first, last]. True when that is
// durable on the whole in-sync set.
bool acknowledge(TestCluster& cluster, NodeId main, Offset first, Offset last) {
  static std::uint32_t stream = 0;
  ++stream;
  if (!cluster.until(main, [](Partition& p) {
        auto* s = p.find_subscription(kSubscription);
        return s != nullptr && s->ready();
      }))
    return false;
  cluster.run(main, [&](CoreLoop& loop) {
    auto* s = loop.find_partition(kPartition)->find_subscription(kSubscription);
    s->open_stream(nowhere(loop, stream),
                   {.attach_epoch = stream, .credit_bytes = 1 << 20, .credit_messages = 1'000},
                   Reply(loop, 0, 0, 0));
  });
  const bool held = cluster.until(main, [&](Partition& p) {
    return p.find_subscription(kSubscription)->core().stats().in_flight > last - first;
  });
  cluster.run(main, [&](CoreLoop& loop) {
    const OffsetRange range{first, last};
    loop.find_partition(kPartition)
        ->find_subscription(kSubscription)
        ->answer({0, stream}, protocol::AnswerKind::acknowledge, std::span(&range, 1), 0,
                 Reply(loop, 0, 0, 0));
  });
  CHECK(held);
  return held && cluster.until(main, [](Partition& p) {
    const LocalCopy& copy = p.cursor_log().log().copy();
    return p.cursor_log().idle() && copy.committed == copy.end;
  });
}

Offset floor_at(TestCluster& cluster, NodeId main) {
  Offset floor = 0;
  cluster.run(main, [&](CoreLoop& loop) {
    floor = loop.find_partition(kPartition)->find_subscription(kSubscription)->core().floor();
  });
  return floor;
}

// As if others wrote on a node all the time, and more than it can pay for in a year had been read
// for replicas in advance.
class InDebt {
 public:
  InDebt(TestCluster& cluster, NodeId node) {
    cluster.run(node, [&](CoreLoop& loop) { pace_ = &loop.node().catch_up_pace; });
    std::promise<void> taken;
    writers_ = std::jthread([&taken, pace = pace_](const std::stop_token& stop) {
      bool owes = false;
      while (!stop.stop_requested()) {
        pace->wrote(1'000);
        if (!owes && pace->take(std::uint64_t{1} << 60)) {
          owes = true;
          taken.set_value();
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
    });
    taken.get_future().wait();
  }

 private:
  NodePace* pace_ = nullptr;
  std::jthread writers_;  // until the node is killed, at the latest
};

// While `away` is, node 2 becomes main, with 20 batches of 300 KB, none of them in memory.
void leave_behind(TestCluster& cluster, NodeId away) {
  REQUIRE(cluster.until_serving(1));
  cluster.kill(away);
  cluster.lose(away);
  for (std::uint64_t sequence = 0; sequence < 20; ++sequence)
    REQUIRE(cluster.produce(1, sequence, 300'000));
  cluster.elect(2);
  REQUIRE(cluster.until_serving(2));
}

bool whole(TestCluster& cluster) {
  return andyx::test::wait_until([&] { return cluster.record().in_sync.size() == 3; });
}

}  // namespace

TEST_CASE_TEMPLATE("what is answered at quorum is on every in-sync copy, and outlives the main",
                   Disk, ANDYX_DISKS) {
  TestCluster cluster(3, three(), Disk::kKind);
  REQUIRE(cluster.until_serving(1));
  produce_all(cluster, 1, 0, 50);
  for (const NodeId node : {1, 2, 3}) CHECK(cluster.log(node, kLog) == messages(0, 50));
  CHECK(cluster.copy(1).committed == 50);

  cluster.run(2, [](CoreLoop& loop) {
    CHECK(loop.find_partition(kPartition) == nullptr);
    CHECK(loop.find_copy(kPartition)->not_main().code == ErrorCode::kNotMain);
    CHECK(loop.find_copy(kPartition)->not_main().node == 1);
  });

  cluster.kill(1);
  cluster.lose(1);
  const NodeId main = cluster.main();
  REQUIRE(main == 2);
  REQUIRE(cluster.until_serving(main));
  CHECK(cluster.copy(main).committed == 50);
  CHECK(cluster.produce(main, 49));  // again: stored once
  CHECK(cluster.copy(main).end == 50);
  produce_all(cluster, main, 50, 60);
  CHECK(cluster.log(3, kLog) == messages(0, 60));

  // The old one comes back, and is taken into the set when it has caught up.
  cluster.start(1);
  CHECK(same_log(cluster, 1, main));
  CHECK(andyx::test::wait_until([&] { return cluster.record().in_sync.size() == 3; }));
  produce_all(cluster, main, 60, 62);
  CHECK(cluster.log(1, kLog) == messages(0, 62));
}

TEST_CASE_TEMPLATE("below min-in-sync a quorum write is refused before anything is stored", Disk,
                   ANDYX_DISKS) {
  TestCluster cluster(3, three(), Disk::kKind);
  REQUIRE(cluster.until_serving(1));
  produce_all(cluster, 1, 0, 3);
  for (const NodeId node : {2, 3}) {
    cluster.kill(node);
    cluster.lose(node);
  }
  REQUIRE(cluster.until(1, [](Partition& p) { return p.replication().in_sync.size() == 1; }));
  CHECK(cluster.produce(1, 3).error().code == ErrorCode::kNotInSync);
  CHECK(cluster.copy(1).end == 3);
  cluster.produce_lightly(1, 3);  // acks main is taken, and is not committed
  REQUIRE(cluster.until(1, [](Partition& p) { return p.core().durable_offset() == 4; }));
  CHECK(cluster.copy(1).committed == 3);
  // A duplicate of it may be stored: never "not stored".
  CHECK(cluster.produce(1, 3).error().code == ErrorCode::kTimedOut);
  cluster.start(2);
  REQUIRE(cluster.until(1, [](Partition& p) { return p.core().committed_offset() == 4; }));
  CHECK(cluster.produce(1, 4));
}

TEST_CASE_TEMPLATE("a tail that only a deposed main has is cut when it comes back", Disk,
                   ANDYX_DISKS) {
  TestCluster cluster(3, three(), Disk::kKind);
  REQUIRE(cluster.until_serving(1));
  cluster.subscribe(protocol::StartKind::earliest);
  produce_all(cluster, 1, 0, 10);
  cluster.cut(1, 2);
  cluster.cut(1, 3);
  for (std::uint64_t sequence = 10; sequence < 14; ++sequence) cluster.produce_lightly(1, sequence);
  REQUIRE(cluster.until(1, [](Partition& p) { return p.core().durable_offset() == 14; }));
  std::shared_future<Status> waiting;
  REQUIRE(cluster.begin_produce(1, 14, waiting));

  cluster.lose(1);  // it hears of that, too
  REQUIRE(cluster.until_serving(2));
  REQUIRE(waiting.wait_for(andyx::test::kGenerous) == std::future_status::ready);
  CHECK(waiting.get().error().code == ErrorCode::kTimedOut);
  // Others under the same sequences as those that go.
  for (std::uint64_t sequence = 10; sequence < 13; ++sequence)
    CHECK(cluster.produce(2, sequence, 150));
  CHECK(cluster.copy(1).end == 15);
  cluster.heal();
  CHECK(same_log(cluster, 1, 2));
  CHECK(cluster.log(1, kLog).size() == 13);
  // Its producers were rolled back: it takes over from there.
  cluster.find(1);
  REQUIRE(andyx::test::wait_until([&] { return cluster.record().in_sync.size() == 3; }));
  cluster.elect(1);
  REQUIRE(cluster.until_serving(1));
  CHECK(cluster.produce(1, 12, 150));
  CHECK(cluster.copy(1).end == 13);
  CHECK(cluster.produce(1, 13));
  CHECK(cluster.copy(1).end == 14);
}

TEST_CASE_TEMPLATE("a replica with nothing takes the log from where it begins, and its producers",
                   Disk, ANDYX_DISKS) {
  TestCluster cluster(3, three(), Disk::kKind);
  REQUIRE(cluster.until_serving(1));
  produce_all(cluster, 1, 0, 20);
  cluster.run(1, [](CoreLoop& loop) { loop.find_partition(kPartition)->advance_start(20); });
  cluster.kill(3);
  cluster.lose(3);
  cluster.wipe(3);
  cluster.start(3);
  REQUIRE(cluster.until(3, [](Partition& p) { return p.core().start_offset() == 20; }));
  REQUIRE(andyx::test::wait_until([&] { return cluster.record().in_sync.size() == 3; }));
  cluster.elect(3);
  REQUIRE(cluster.until_serving(3));
  CHECK(cluster.produce(3, 19));  // retention has removed it: known all the same
  CHECK(cluster.copy(3).end == 20);
  CHECK(cluster.produce(3, 20));
  CHECK(cluster.copy(3).end == 21);
}

TEST_CASE_TEMPLATE("a confirmed answer, and the start of a subscription, outlive the main", Disk,
                   ANDYX_DISKS) {
  TestCluster cluster(3, three(), Disk::kKind);
  REQUIRE(cluster.until_serving(1));
  produce_all(cluster, 1, 0, 5);
  cluster.subscribe(protocol::StartKind::latest);
  REQUIRE(cluster.until(1, [](Partition& p) {
    auto* s = p.find_subscription(kSubscription);
    return s != nullptr && s->ready();
  }));
  produce_all(cluster, 1, 5, 15);
  REQUIRE(acknowledge(cluster, 1, 5, 8));
  cluster.kill(1);
  cluster.lose(1);
  REQUIRE(cluster.until_serving(2));
  CHECK(floor_at(cluster, 2) == 9);
  REQUIRE(acknowledge(cluster, 2, 9, 14));
  cluster.elect(3);  // an orderly one
  REQUIRE(cluster.until_serving(3));
  CHECK(floor_at(cluster, 3) == 15);
  CHECK(cluster.until(2, [](Partition& p) { return !p.is_main() && p.subscriptions().empty(); }));
}

TEST_CASE_TEMPLATE("a new main serves only what is committed by the copies of its epoch", Disk,
                   ANDYX_DISKS) {
  TestCluster cluster(3, three(), Disk::kKind);
  REQUIRE(cluster.until_serving(1));
  produce_all(cluster, 1, 0, 3);
  cluster.disk(3).hold();  // it holds records, and they are not durable
  std::shared_future<Status> waiting;
  REQUIRE(cluster.begin_produce(1, 3, waiting));
  REQUIRE(cluster.until(2, [](Partition& p) { return p.core().durable_offset() == 4; }));
  cluster.kill(1);
  cluster.lose(1);
  REQUIRE(cluster.until(2, [](Partition& p) { return p.is_main(); }));
  cluster.run(2, [](CoreLoop& loop) {
    auto* p = loop.find_partition(kPartition);
    CHECK_FALSE(p->serving());
    CHECK(p->not_main().node == 2);
    p->resolve(protocol::StartKind::latest, 0,
               [](Result<Offset> found) { CHECK(found.error().code == ErrorCode::kNotMain); });
  });
  cluster.disk(3).release();
  REQUIRE(cluster.until_serving(2));
  CHECK(cluster.copy(2).committed == 4);
}

TEST_CASE_TEMPLATE("an observer pulls, and nobody waits for it", Disk, ANDYX_DISKS) {
  TestCluster cluster(2, {.replicas = {1, 2}, .in_sync = {1}, .observers = {2}}, Disk::kKind);
  REQUIRE(cluster.until_serving(1));
  produce_all(cluster, 1, 0, 5);
  CHECK(same_log(cluster, 1, 2));
  cluster.disk(2).hold();
  produce_all(cluster, 1, 5, 10);
  CHECK(cluster.copy(1).committed == 10);
  cluster.disk(2).release();
  CHECK(same_log(cluster, 1, 2));
  CHECK(cluster.proposals() == 0);
}

TEST_CASE_TEMPLATE("what storage refuses while earlier writes are under way is fetched again", Disk,
                   ANDYX_DISKS) {
  TestCluster cluster(2, {.replicas = {1, 2}, .in_sync = {1}, .observers = {2}}, Disk::kKind);
  REQUIRE(cluster.until_serving(1));
  produce_all(cluster, 1, 0, 5);
  REQUIRE(same_log(cluster, 1, 2));
  cluster.disk(2).hold();
  produce_all(cluster, 1, 5, 6);
  REQUIRE(andyx::test::wait_until([&] { return cluster.copy(2).end == 6; }));
  cluster.disk(2).fill(true);
  produce_all(cluster, 1, 6, 7);
  REQUIRE(andyx::test::wait_until([&] { return cluster.disk(2).refused() > 0; }));
  cluster.disk(2).fill(false);
  cluster.disk(2).release();  // the write before the refused one succeeds after it
  CHECK(same_log(cluster, 1, 2));
}

TEST_CASE_TEMPLATE("copies come to a partition that had one, go, and come again", Disk,
                   ANDYX_DISKS) {
  TestCluster cluster(2, {.replicas = {1}, .in_sync = {1}, .observers = {}}, Disk::kKind);
  REQUIRE(cluster.until_serving(1));
  cluster.subscribe(protocol::StartKind::earliest);
  produce_all(cluster, 1, 0, 10);
  REQUIRE(acknowledge(cluster, 1, 0, 3));
  for (int round = 0; round < 2; ++round) {
    cluster.change([](PartitionRecord& record) { record.replicas = {1, 2}; });
    REQUIRE(andyx::test::wait_until([&] { return cluster.record().in_sync.size() == 2; }));
    produce_all(cluster, 1, 10 + round, 11 + round);
    CHECK(cluster.log(2, kLog) == cluster.log(1, kLog));
    CHECK(same_log(cluster, 1, 2, internal_log(kPartition)));
    cluster.change([](PartitionRecord& record) {
      record.replicas = {1};
      record.in_sync = {1};
    });
    REQUIRE(andyx::test::wait_until([&] {
      bool gone = false;
      cluster.run(2, [&](CoreLoop& loop) { gone = loop.find_copy(kPartition) == nullptr; });
      return gone;
    }));
    CHECK(cluster.log(2, kLog).empty());
    CHECK(cluster.produce(1, 11 + round));
  }
  CHECK(floor_at(cluster, 1) == 4);
}

TEST_CASE_TEMPLATE("a main reads for a replica that nobody waits for only at the node's pace", Disk,
                   ANDYX_DISKS) {
  TestCluster cluster(3, three(), Disk::kKind);
  leave_behind(cluster, 3);
  std::optional<InDebt> debt(std::in_place, cluster, 2);
  cluster.start(3);
  // What cannot be read yet is no reason to doubt that the main hears.
  CHECK(cluster.until(3, [](Partition& p) {
    const ReplicaCore* replica = p.replicated_log(false).replica();
    return replica != nullptr && replica->matched() && !replica->in_doubt();
  }));
  for (std::uint64_t sequence = 20; sequence < 40; ++sequence)
    REQUIRE(cluster.produce(2, sequence));
  CHECK(cluster.copy(3).end == 0);
  debt.reset();
  CHECK(whole(cluster));  // nobody writes any more: there is no limit
  CHECK(cluster.copy(3).end == 40);
}

TEST_CASE_TEMPLATE("while too few copies are in sync a replica catches up at full speed", Disk,
                   ANDYX_DISKS) {
  TestCluster cluster(3, three(), Disk::kKind);
  leave_behind(cluster, 3);
  cluster.change([](PartitionRecord& partition) { partition.min_in_sync = 3; });
  REQUIRE(cluster.until(
      2, [](Partition& p) { return p.replicated_log(false).main()->record().min_in_sync == 3; }));
  const InDebt debt(cluster, 2);
  cluster.start(3);
  CHECK(whole(cluster));
  CHECK(cluster.produce(2, 20));
}

TEST_CASE_TEMPLATE("what a replica stores while it is out of the set counts as nobody's write",
                   Disk, ANDYX_DISKS) {
  TestCluster cluster(3, three(), Disk::kKind);
  leave_behind(cluster, 3);
  cluster.start(3);
  bool limited = false;
  CHECK(andyx::test::wait_until([&] {
    cluster.run(3,
                [&](CoreLoop& loop) { limited |= loop.node().catch_up_pace.limit().has_value(); });
    return cluster.record().in_sync.size() == 3;
  }));
  CHECK(cluster.copy(3).end == 20);
  CHECK_FALSE(limited);
}

TEST_CASE_TEMPLATE("a replica asks for what nobody waits for only at its own node's pace", Disk,
                   ANDYX_DISKS) {
  TestCluster cluster(3, three(), Disk::kKind);
  leave_behind(cluster, 3);
  cluster.cut(3, 2);
  cluster.start(3);
  std::optional<InDebt> debt(std::in_place, cluster, 3);
  cluster.heal();
  // How far behind it is it learns from the first answer.
  CHECK(cluster.until(3, [](Partition& p) { return p.replicated_log(false).copy().end > 0; }));
  for (std::uint64_t sequence = 20; sequence < 40; ++sequence)
    REQUIRE(cluster.produce(2, sequence));
  CHECK(cluster.copy(3).end < 20);
  debt.reset();
  CHECK(whole(cluster));
  CHECK(cluster.copy(3).end == 40);
}

TEST_CASE_TEMPLATE("replicas let go of delayed messages when their main has", Disk, ANDYX_DISKS) {
  TestCluster cluster(3, three(), Disk::kKind);
  REQUIRE(cluster.until_serving(1));
  const TimeUs soon = net::wall_time_us() + 1'000'000, later = soon + 3'600'000'000;
  for (std::uint64_t sequence = 0; sequence < 5; ++sequence)
    REQUIRE(cluster.produce_delayed(1, sequence, sequence == 2 ? later : soon));
  const auto rows_are = [&](NodeId node, std::size_t rows) {
    return andyx::test::wait_until([&] { return cluster.due_rows(node) == rows; });
  };
  for (const NodeId node : {1, 2, 3}) {
    CAPTURE(node);
    CHECK(rows_are(node, 1));  // nobody is subscribed: what is due is needed no more
  }

  // Who takes over waits for the rest, and knows up to where others may lack rows.
  cluster.kill(1);
  cluster.lose(1);
  REQUIRE(cluster.until_serving(2));
  REQUIRE(cluster.until(2, [](Partition& p) { return p.due_index().counted(); }));
  cluster.run(2, [&](CoreLoop& loop) {
    const DueIndex& due = loop.find_partition(kPartition)->due_index();
    CHECK(due.oldest_delayed() == 2);
    CHECK(due.removed_to() >= DueKey{soon, 4});
    CHECK(due.removed_to() < DueKey{later, 2});
  });

  // A copy that comes late gets rows that are needed no more, and lets go of them too.
  cluster.wipe(1);
  cluster.start(1);
  REQUIRE(andyx::test::wait_until([&] { return cluster.record().in_sync.size() == 3; }));
  CHECK(rows_are(1, 1));
}

TEST_CASE_TEMPLATE("rows that a subscription waits for stay on every copy", Disk, ANDYX_DISKS) {
  TestCluster cluster(3, three(), Disk::kKind);
  REQUIRE(cluster.until_serving(1));
  cluster.subscribe(protocol::StartKind::earliest);
  REQUIRE(cluster.until(1, [](Partition& p) {
    auto* s = p.find_subscription(kSubscription);
    return s != nullptr && s->ready();
  }));
  const TimeUs soon = net::wall_time_us() + 1'000'000, later = soon + 3'600'000'000;
  for (std::uint64_t sequence = 0; sequence < 3; ++sequence)
    REQUIRE(cluster.produce_delayed(1, sequence, sequence == 1 ? soon : later));
  produce_all(cluster, 1, 3, 6);
  REQUIRE(acknowledge(cluster, 1, 3, 5));
  // What has come to be delivered goes everywhere, and nothing else.
  for (const NodeId node : {1, 2, 3}) {
    CAPTURE(node);
    CHECK(andyx::test::wait_until([&] { return cluster.due_rows(node) == 2; }));
  }
  cluster.kill(1);
  cluster.lose(1);
  REQUIRE(cluster.until_serving(2));
  REQUIRE(cluster.until(2, [](Partition& p) { return p.due_index().counted(); }));
  CHECK(cluster.due_rows(2) == 2);
  // The one that was due and not answered is not lost with its row.
  CHECK(acknowledge(cluster, 2, 1, 1));
}

}  // namespace andyx::server::testing
