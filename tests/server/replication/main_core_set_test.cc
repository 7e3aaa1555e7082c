#include "tests/server/replication/main_core_fixture.h"

namespace andyx::server::main_core_test {
namespace {

TEST_CASE("below min-in-sync quorum appends are refused, those in flight are maybe stored") {
  Fixture f;
  f.all_follow();
  f.append(11, Acks::quorum, 1);
  f.image({1});
  CHECK(f.acknowledged(1, ErrorCode::kTimedOut));
  CHECK(f.core().may_append(Acks::quorum, f.now).error().code == ErrorCode::kNotInSync);
  CHECK(f.core().may_append(Acks::main, f.now));
  f.core().durable(11, f.now);
  CHECK(f.copy.committed == 10);
  f.core().duplicate(11, Acks::quorum, 2, f.now);
  CHECK(f.acknowledged(2, ErrorCode::kTimedOut));
  f.core().duplicate(10, Acks::quorum, 3, f.now);
  CHECK(f.acknowledged(3));
}

TEST_CASE("a lagging member is waited for until the image shows the set without it") {
  Fixture f;
  f.all_follow();
  f.append(11, Acks::quorum, 1);
  f.core().durable(11, f.now);
  f.fetch(2, 11, 5, 11);
  f.now += 3'001;
  f.fetch(2, 11, 5, 11);
  f.core().tick(f.now);
  CHECK(f.proposed() == Nodes{1, 2});
  CHECK(f.proposals[0].version == 7);
  CHECK(f.copy.committed == 10);
  f.core().tick(f.now);
  CHECK(f.proposed().empty());  // one at a time
  f.now += 500;
  f.core().tick(f.now);
  CHECK(f.proposed() == Nodes{1, 2});  // once more
  f.image({1, 2});
  CHECK(f.copy.committed == 11);
  CHECK(f.acknowledged(1));
}

TEST_CASE("a member whose session is lost is proposed to leave at once") {
  Fixture f;
  f.all_follow();
  f.record.replicas[2].alive = false;
  f.core().image_moved(f.record, f.now);
  CHECK(f.proposed() == Nodes{1, 2});
}

TEST_CASE("a joiner has kept up for a second, and commits wait for it from the proposal on") {
  Fixture f(3, {1, 2});
  f.all_follow();
  f.core().tick(f.now);
  CHECK(f.proposed().empty());
  f.now += 1'000;
  f.fetch(3, 10, 4, 10);
  f.core().tick(f.now);
  CHECK(f.proposed() == Nodes{1, 2, 3});
  CHECK(f.proposals[0].in_sync[2].incarnation == 30);
  f.append(11, Acks::quorum, 1);
  f.core().durable(11, f.now);
  f.fetch(2, 11, 5, 11);
  CHECK(f.copy.committed == 10);
  f.image({1, 2});  // some other change came first: it is not in the set
  CHECK(f.copy.committed == 11);
}

TEST_CASE("a joiner that cannot join any more is withdrawn for the same version") {
  Fixture f(3, {1, 2});
  f.all_follow();
  f.core().tick(f.now);
  f.now += 1'000;
  f.fetch(3, 10, 4, 10);
  f.core().tick(f.now);
  REQUIRE(f.proposed() == Nodes{1, 2, 3});
  f.record.replicas[2].incarnation = 31;
  f.core().image_moved(f.record, f.now);
  CHECK(f.proposed() == Nodes{1, 2});
  CHECK(f.proposals[0].version == 7);
  f.append(11, Acks::quorum, 1);
  f.core().durable(11, f.now);
  f.fetch(2, 11, 5, 11);
  CHECK(f.copy.committed == 10);  // whichever of the two it was
  f.image({1, 2});
  CHECK(f.copy.committed == 11);
}

TEST_CASE("under steady writes commits wait for a replica that keeps up, until it holds all") {
  Fixture f(3, {1, 2});
  f.all_follow();
  f.core().tick(f.now);
  const auto write = [&](Offset end) {
    f.append(end, Acks::quorum, end);
    f.core().durable(end, f.now);
    f.fetch(2, end, 5, end);
  };
  write(11);
  f.now += 600;
  f.fetch(3, 11, 5, 10);
  f.now += 400;
  write(12);
  f.fetch(3, 12, 5, 11);  // it holds all of 400 ms ago, and never all of now
  REQUIRE(f.copy.committed == 12);
  f.core().tick(f.now);
  CHECK(f.proposed().empty());
  write(13);
  CHECK(f.copy.committed == 12);
  f.progress(3, 12);
  CHECK(f.proposed() == Nodes{1, 2, 3});
}

}  // namespace
}  // namespace andyx::server::main_core_test
