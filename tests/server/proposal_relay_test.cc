#include <doctest/doctest.h>

#include "server/metadata/proposal_relay.h"

namespace andyx::server::test {
namespace {

constexpr std::uint64_t kPatience = 1'000;
constexpr std::uint64_t kRetry = 50;

struct Fixture {
  ProposalRelay relay{kPatience, kRetry, true};
  LogLeader leader{.here = false, .node = 2};
  std::shared_ptr<const Image> image = at(10);

  static std::shared_ptr<const Image> at(Position position) {
    auto image = std::make_shared<Image>();
    image->position = position;
    return image;
  }
  void hand_on(std::uint64_t ticket, std::uint64_t now = 0) {
    relay.hand_on({ticket, {1, ticket}, 0, ReserveProducerIdsCommand{1}}, now);
  }
  ProposalRelay::Actions turn(std::uint64_t now) { return relay.turn(now, leader, image); }
  void answer(std::uint64_t ticket, Error error, std::uint64_t now) {
    relay.on_answer(ticket, std::unexpected(std::move(error)), now);
  }
};

TEST_CASE_FIXTURE(Fixture,
                  "what is handed on goes to the leader, and is done when it is seen here") {
  hand_on(1);
  auto actions = turn(0);
  REQUIRE(actions.sends.size() == 1);
  CHECK(actions.sends[0].to == 2);
  CHECK(actions.sends[0].command_id == Uuid{1, 1});
  CHECK(turn(kRetry).sends.empty());  // under way
  relay.on_answer(1, ProposalAnswer{12, 99}, 60);
  CHECK(turn(60).completions.empty());  // the image here is of 10
  image = at(12);
  actions = turn(61);
  REQUIRE(actions.completions.size() == 1);
  CHECK(actions.completions[0].status);
  CHECK(actions.completions[0].result == 99);
  CHECK(actions.completions[0].image->position == 12);
  CHECK(relay.idle());
}

TEST_CASE_FIXTURE(Fixture, "a leader that is not there, or another, is tried under the same id") {
  hand_on(1);
  REQUIRE(turn(0).sends.size() == 1);
  answer(1, {ErrorCode::kUnreachable, ""}, 10);
  CHECK(turn(10).sends.empty());
  REQUIRE(turn(10 + kRetry).sends.size() == 1);
  answer(1, {ErrorCode::kNotController, "", 3}, 70);
  auto sends = turn(70).sends;  // at once
  REQUIRE(sends.size() == 1);
  CHECK(sends[0].to == 3);
  CHECK(sends[0].command_id == Uuid{1, 1});
  // Node 3 knows no better than the last time: not again at once.
  answer(1, {ErrorCode::kNotController, "", 3}, 80);
  CHECK(turn(80).sends.empty());
  relay.on_leader_changed();
  leader.node = 4;
  sends = turn(81).sends;
  REQUIRE(sends.size() == 1);
  CHECK(sends[0].to == 4);
}

TEST_CASE_FIXTURE(Fixture, "a leader whose disk has failed decides nothing for the one who asks") {
  relay.never_give_up(1);  // a node that registers
  hand_on(1);
  REQUIRE(turn(0).sends.size() == 1);
  answer(1, {ErrorCode::kStorageFailed, "fdatasync: Input/output error"}, 10);
  CHECK(turn(10).completions.empty());
  relay.on_leader_changed();
  leader.node = 3;
  const auto sends = turn(20).sends;
  REQUIRE(sends.size() == 1);
  CHECK(sends[0].to == 3);
}

TEST_CASE_FIXTURE(Fixture, "a refusal of the proposal itself is final") {
  hand_on(1);
  turn(0);
  answer(1, {ErrorCode::kTopicExists, "there"}, 5);
  const auto actions = turn(5);
  REQUIRE(actions.completions.size() == 1);
  CHECK(actions.completions[0].status.error().code == ErrorCode::kTopicExists);
  CHECK(actions.completions[0].image);
  CHECK(relay.idle());
}

TEST_CASE_FIXTURE(Fixture, "patience ends with the last error, but not for what must be done") {
  relay.never_give_up(2);
  hand_on(1);
  hand_on(2);
  REQUIRE(turn(0).sends.size() == 2);
  for (const std::uint64_t ticket : {1, 2}) answer(ticket, {ErrorCode::kNoController, "none"}, 10);
  CHECK(turn(kPatience - 1).completions.empty());
  const auto actions = turn(kPatience);
  REQUIRE(actions.completions.size() == 1);
  CHECK(actions.completions[0].ticket == 1);
  CHECK(actions.completions[0].status.error().code == ErrorCode::kNoController);
  CHECK_FALSE(relay.idle());
  relay.stop({ErrorCode::kShuttingDown, ""});
  REQUIRE(turn(kPatience).completions.size() == 1);
  CHECK(relay.idle());
}

TEST_CASE_FIXTURE(Fixture, "where no controller could be reached, that is what is said") {
  hand_on(1);
  turn(0);
  answer(1, {ErrorCode::kUnreachable, "connection refused"}, 10);
  const auto actions = turn(kPatience);
  REQUIRE(actions.completions.size() == 1);
  const Error& error = actions.completions[0].status.error();
  CHECK(error.code == ErrorCode::kNoController);
  CHECK(error.retriable());
  CHECK(error.message.find("connection refused") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "an answer that is never seen here is not waited for for ever") {
  hand_on(1);
  turn(0);
  relay.on_answer(1, ProposalAnswer{12, 0}, 1);
  CHECK(turn(kPatience - 1).completions.empty());
  REQUIRE(turn(kPatience).completions.size() == 1);
}

TEST_CASE_FIXTURE(Fixture,
                  "when this node leads it is proposed here; handed on again it keeps its time") {
  hand_on(1);
  leader = {.here = true, .node = 1};
  REQUIRE(turn(0).propose.size() == 1);
  CHECK(turn(kPatience).completions.empty());  // the core has it
  leader = {.here = false, .node = 0};
  hand_on(1, kPatience - 100);
  CHECK(turn(kPatience - 100).sends.empty());
  REQUIRE(turn(kPatience - 50).sends.size() == 1);
  REQUIRE(turn(kPatience).completions.size() == 1);
  hand_on(3, 0);
  relay.forget(3);
  CHECK(relay.idle());
}

TEST_CASE("without other nodes it waits until this one leads") {
  ProposalRelay relay(kPatience, kRetry, false);
  relay.hand_on({1, {1, 1}, 0, ReserveProducerIdsCommand{1}}, 0);
  CHECK(relay.turn(0, {}, Fixture::at(0)).sends.empty());
  CHECK(relay.turn(kRetry - 1, {.here = true}, Fixture::at(0)).propose.empty());
  relay.on_leader_changed();
  CHECK(relay.turn(kRetry - 1, {.here = true}, Fixture::at(0)).propose.size() == 1);
}

}  // namespace
}  // namespace andyx::server::test
