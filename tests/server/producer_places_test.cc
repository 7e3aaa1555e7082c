#include "server/loop/producer_places.h"

#include <doctest/doctest.h>

namespace andyx::server {
namespace {

const ProducerKey kKey{3, "p"};

ProducerPlaces::Holder holder(std::uint64_t connection, std::uint64_t session) {
  return {
      .connection = connection, .session = session, .peer = "10.0.0.1:5", .since_us = 2'000'000};
}

}  // namespace

TEST_CASE("a single producer has one place; the refusal says since when and by whom") {
  ProducerPlaces places;
  REQUIRE(places.take(kKey, holder(1, 11), 2'000'000));
  CHECK(places.connected(kKey) == 0);
  CHECK(places.take(kKey, holder(2, 22), 2'000'000).error().message.find("being opened") !=
        std::string::npos);
  REQUIRE(places.opened(kKey, 1, 7));
  CHECK(places.connected(kKey) == 1);
  const auto busy = places.take(kKey, holder(2, 22), 5'500'000);
  REQUIRE_FALSE(busy);
  CHECK(busy.error().code == ErrorCode::kProducerBusy);
  CHECK(busy.error().message.find("open since 3 s by 10.0.0.1:5") != std::string::npos);
  CHECK(places.take({4, "p"}, holder(2, 22), 0));  // another topic's
}

TEST_CASE("the same session takes its place over, and its former connection frees nothing") {
  ProducerPlaces places;
  REQUIRE(places.take(kKey, holder(1, 11), 0));
  REQUIRE(places.opened(kKey, 1, 7));
  REQUIRE(places.take(kKey, holder(2, 11), 0));
  CHECK_FALSE(places.opened(kKey, 1, 7));
  REQUIRE(places.opened(kKey, 2, 7));
  places.release(kKey, 1, 7);
  CHECK(places.take(kKey, holder(3, 33), 0).error().code == ErrorCode::kProducerBusy);
  places.release(kKey, 2, 7);
  CHECK(places.empty());
  CHECK(places.take(kKey, holder(3, 33), 0));
}

TEST_CASE("an open that fails frees only what it took itself") {
  ProducerPlaces places;
  REQUIRE(places.take(kKey, holder(1, 11), 0));
  places.release(kKey, 2, 0);
  CHECK_FALSE(places.empty());
  places.release(kKey, 1, 0);
  CHECK(places.empty());
}

TEST_CASE("a multiple producer is open any number of times; deleting forgets those it names") {
  ProducerPlaces places;
  for (ProducerId id = 1; id <= 3; ++id) {
    auto who = holder(id, 5);
    who.producer_id = id;
    places.add(kKey, who);
  }
  CHECK(places.connected(kKey) == 3);
  places.release(kKey, 2, 2);
  CHECK(places.open_ids(kKey) == std::vector<ProducerId>{1, 3});
  places.forget(kKey, {1});
  CHECK(places.open_ids(kKey) == std::vector<ProducerId>{3});
  places.topic_moved(2);
  CHECK(places.connected(kKey) == 1);
  places.topic_moved(3);
  CHECK(places.empty());
}

}  // namespace andyx::server
