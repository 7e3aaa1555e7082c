#include "clients/cpp/src/producer_core.h"

#include <doctest/doctest.h>

#include <sstream>
#include <string>
#include <utility>

namespace andyx::client {
namespace {

using Core = ProducerCore;

// The actions as text: "send 0", "stored 0", "failed 0 timed_out maybe", "reopen", "refresh".
std::string actions_of(Core& core) {
  std::ostringstream out;
  const char* separator = "";
  for (const auto& action : core.take_actions()) {
    out << std::exchange(separator, ", ");
    if (const auto* send = std::get_if<Core::Send>(&action)) out << "send " << send->id;
    if (const auto* stored = std::get_if<Core::Stored>(&action)) out << "stored " << stored->id;
    if (const auto* failed = std::get_if<Core::Failed>(&action)) {
      out << "failed " << failed->id << ' ' << failed->error.name() << ' '
          << (failed->stored == Storedness::kMaybeStored ? "maybe" : "not");
    }
    if (const auto* known = std::get_if<Core::Absorbed>(&action)) out << "absorbed " << known->id;
    if (std::holds_alternative<Core::Reopen>(action)) out << "reopen";
    if (const auto* refresh = std::get_if<Core::Refresh>(&action))
      out << (refresh->doubt ? "doubt" : "refresh");
  }
  return out.str();
}

Core::Refusal retriable(ErrorCode code = ErrorCode::kOverloaded) {
  return {.error = {code, "try again"}, .retriable = true};
}
Core::Refusal final_error(ErrorCode code = ErrorCode::kBadBatch) { return {.error = {code, "no"}}; }

const Error kLost{ErrorCode::kConnectionLost, "gone"};
constexpr Core::Config kConfig{
    .max_in_flight = 5, .delivery_timeout_ms = 1'000, .backoff_min_ms = 10, .backoff_max_ms = 100};

Core connected(Core::Config config = kConfig) {
  Core core(config);
  core.link_up(1, 0);
  return core;
}

}  // namespace

TEST_CASE("batches are sent in order, five at most are unanswered") {
  auto core = connected();
  for (int i = 0; i < 7; ++i) core.add(0);
  CHECK(actions_of(core) == "send 0, send 1, send 2, send 3, send 4");
  core.answered(1, Core::Success{}, 1);
  CHECK(actions_of(core) == "stored 1, send 5");
  core.answered(0, Core::Success{}, 1);
  CHECK(actions_of(core) == "stored 0, send 6");
}

TEST_CASE("a main that does not answer is doubted, again and again, until it does") {
  auto config = kConfig;
  config.doubt_ms = 100;
  auto core = connected(config);
  core.add(10);
  CHECK(actions_of(core) == "send 0");
  CHECK(core.wake_at() == 110);
  core.tick(109);
  CHECK(actions_of(core).empty());
  core.add(109);  // what is sent later is no answer
  CHECK(actions_of(core) == "send 1");
  core.tick(110);
  CHECK(actions_of(core) == "doubt");
  CHECK(core.wake_at() == 135);
  core.tick(135);
  CHECK(actions_of(core) == "doubt");
  core.answered(0, Core::Success{}, 140);
  CHECK(actions_of(core) == "stored 0");
  CHECK(core.wake_at() == 240);
  core.answered(1, Core::Success{}, 150);
  CHECK(actions_of(core) == "stored 1");
  CHECK_FALSE(core.wake_at().has_value());
}

TEST_CASE("a batch that holds repeated messages is sent again, smaller, before those behind it") {
  auto core = connected();
  for (int i = 0; i < 3; ++i) core.add(0);
  actions_of(core);
  core.answered(0, Core::Repeated{}, 1);
  core.answered(1, retriable(ErrorCode::kOutOfSequence), 2);
  CHECK(actions_of(core).empty());  // first the answers to what is in flight
  core.answered(2, retriable(ErrorCode::kOutOfSequence), 2);
  CHECK(actions_of(core) == "send 0, send 1, send 2");
}

TEST_CASE("a batch of nothing but repeated messages leaves its sequence to the next") {
  auto core = connected();
  for (int i = 0; i < 2; ++i) core.add(0);
  actions_of(core);
  core.link_down(kLost, 1);  // both may be stored
  core.link_up(1, 2);
  CHECK(actions_of(core) == "send 0, send 1");
  core.answered(0, Core::Repeated{.all = true}, 3);
  CHECK(actions_of(core) == "absorbed 0");
  core.answered(1, retriable(ErrorCode::kOutOfSequence), 4);
  core.tick(200);
  CHECK(actions_of(core) == "reopen");  // and 1 does not fail: it is not stored
  core.reopened(201);
  CHECK(actions_of(core) == "send 1");
}

TEST_CASE("nothing is sent while the link is down") {
  Core core(kConfig);
  core.add(0);
  CHECK(actions_of(core).empty());
  core.link_up(1, 5);
  CHECK(actions_of(core) == "send 0");
}

TEST_CASE("after a lost connection everything unanswered is sent again, in order") {
  auto core = connected();
  for (int i = 0; i < 3; ++i) core.add(0);
  actions_of(core);
  core.answered(0, Core::Success{}, 1);
  core.link_down(kLost, 2);
  CHECK(actions_of(core) == "stored 0");
  core.add(3);
  core.link_up(1, 4);
  CHECK(actions_of(core) == "send 1, send 2, send 3");
  CHECK(core.resent() == 2);
}

TEST_CASE("without idempotence what was sent on a lost connection fails as maybe stored") {
  auto config = kConfig;
  config.idempotent = false;
  auto core = connected(config);
  core.add(0);
  core.link_down(kLost, 1);
  core.add(2);
  core.link_up(1, 3);
  CHECK(actions_of(core) == "send 0, failed 0 connection_lost maybe, send 1");
}

TEST_CASE("a refused batch waits until the others are answered, so that none overtakes it") {
  auto core = connected();
  for (int i = 0; i < 3; ++i) core.add(0);
  actions_of(core);
  core.answered(0, retriable(), 1);
  core.tick(500);  // its back-off is over
  CHECK(actions_of(core).empty());
  core.answered(1, retriable(ErrorCode::kOutOfSequence), 1);
  core.answered(2, retriable(ErrorCode::kOutOfSequence), 1);
  CHECK(actions_of(core).empty());
  REQUIRE(core.wake_at().has_value());
  CHECK(*core.wake_at() > 1);
  core.tick(*core.wake_at());
  CHECK(actions_of(core) == "send 0, send 1, send 2");
}

TEST_CASE("back-off grows with each failure in a row and is over after a success") {
  auto core = connected();
  core.add(0);
  std::vector<std::uint64_t> waits;
  std::uint64_t now = 0;
  for (int i = 0; i < 6; ++i) {
    core.answered(0, retriable(), now);
    waits.push_back(*core.wake_at() - now);
    now = *core.wake_at();
    core.tick(now);
  }
  for (std::size_t i = 0; i < waits.size(); ++i) {
    const std::uint64_t full = std::min<std::uint64_t>(100, 10u << i);
    CHECK(waits[i] >= full / 2);
    CHECK(waits[i] <= full);
  }
  core.answered(0, Core::Success{}, now);
  core.add(now);
  core.answered(1, retriable(), now);
  CHECK(*core.wake_at() - now <= 10);
}

TEST_CASE("a batch that cannot be stored leaves a gap: the rest goes on under a new id") {
  auto core = connected();
  for (int i = 0; i < 3; ++i) core.add(0);
  actions_of(core);
  core.answered(0, final_error(), 1);
  CHECK(actions_of(core) == "failed 0 bad_batch not");
  core.answered(1, retriable(ErrorCode::kOutOfSequence), 1);
  core.answered(2, retriable(ErrorCode::kOutOfSequence), 1);
  CHECK(actions_of(core) == "reopen");
  core.add(2);
  CHECK(actions_of(core).empty());
  core.reopened(3);
  CHECK(actions_of(core) == "send 1, send 2, send 3");
}

TEST_CASE(
    "a forgotten producer is opened again; what may be stored fails rather than to be stored twice") {
  auto core = connected();
  core.add(0);
  core.link_down(kLost, 1);  // batch 0 may be stored
  core.add(1);
  core.link_up(1, 2);
  actions_of(core);
  core.answered(0, final_error(ErrorCode::kUnknownProducer), 3);
  core.answered(1, final_error(ErrorCode::kUnknownProducer), 3);
  core.tick(*core.wake_at());
  CHECK(actions_of(core) == "failed 0 unknown_producer maybe, reopen");
  core.reopened(100);
  CHECK(actions_of(core) == "send 1");
}

TEST_CASE("a failed opening is tried again") {
  auto core = connected();
  core.add(0);
  actions_of(core);
  core.answered(0, final_error(ErrorCode::kUnknownProducer), 1);
  core.tick(*core.wake_at());
  CHECK(actions_of(core) == "reopen");
  core.reopen_failed(kLost, 20);
  CHECK(actions_of(core).empty());
  core.tick(*core.wake_at());
  CHECK(actions_of(core) == "reopen");
}

TEST_CASE(
    "without progress everything fails after the delivery timeout, with what may be believed") {
  auto config = kConfig;
  config.max_in_flight = 1;
  auto core = connected(config);
  core.add(0);
  core.add(0);
  actions_of(core);
  CHECK(*core.wake_at() == 1'000);
  core.tick(999);
  CHECK(actions_of(core).empty());
  core.tick(1'000);
  CHECK(actions_of(core) == "failed 0 timed_out maybe, failed 1 timed_out not");
  core.answered(0, Core::Success{}, 1'001);  // too late
  CHECK(actions_of(core).empty());
  core.add(1'002);  // sequences are lost: a new id first
  CHECK(actions_of(core) == "reopen");
}

TEST_CASE("progress puts the delivery timeout off") {
  auto core = connected();
  core.add(0);
  core.add(0);
  core.answered(0, Core::Success{}, 900);
  CHECK(*core.wake_at() == 1'900);
}

TEST_CASE("an answer of an earlier epoch is not believed") {
  auto core = connected();
  core.link_up(5, 0);
  core.add(0);
  actions_of(core);
  core.answered(0, Core::Success{.main_epoch = 4}, 1);
  CHECK(actions_of(core) == "refresh");
  core.tick(*core.wake_at());
  CHECK(actions_of(core) == "send 0");
  core.answered(0, Core::Success{.main_epoch = 5}, 100);
  CHECK(actions_of(core) == "stored 0");
}

TEST_CASE("a moved main asks for metadata and sends the same batch again") {
  auto core = connected();
  core.add(0);
  actions_of(core);
  core.answered(0, retriable(ErrorCode::kNotMain), 1);
  CHECK(actions_of(core) == "refresh");
}

TEST_CASE("whoever cannot store may have been replaced: metadata is asked for, except when busy") {
  for (const auto code : {ErrorCode::kNotInSync, ErrorCode::kTimedOut, ErrorCode::kShuttingDown}) {
    auto core = connected();
    core.add(0);
    actions_of(core);
    core.answered(0, retriable(code), 1);
    CHECK(actions_of(core) == "refresh");
  }
  auto core = connected();
  core.add(0);
  actions_of(core);
  core.answered(0, retriable(ErrorCode::kOverloaded), 1);
  CHECK(actions_of(core).empty());
}

TEST_CASE("a node that does not know the topic yet: the batch waits, metadata says what is true") {
  auto core = connected();
  core.add(0);
  actions_of(core);
  core.answered(0, final_error(ErrorCode::kUnknownTopic), 1);
  CHECK(actions_of(core) == "refresh");
  core.tick(*core.wake_at());
  CHECK(actions_of(core) == "send 0");
}

TEST_CASE("what was in flight together and is refused together is one failure") {
  auto core = connected();
  for (int i = 0; i < 5; ++i) core.add(0);
  actions_of(core);
  for (int i = 0; i < 5; ++i) core.answered(i, retriable(ErrorCode::kNotMain), 1);
  CHECK(*core.wake_at() - 1 <= 10);  // the first back-off
}

TEST_CASE("a batch that was maybe stored is resent to the next main, those behind it after it") {
  auto core = connected();
  for (int i = 0; i < 3; ++i) core.add(0);
  actions_of(core);
  core.answered(0,
                Core::Refusal{.error = {ErrorCode::kTimedOut, "late"},
                              .stored = Storedness::kMaybeStored,
                              .retriable = true},
                1);
  CHECK(actions_of(core) == "refresh");
  core.link_down({ErrorCode::kNotMain, "the main has moved"}, 2);
  core.link_up(2, 3);
  core.tick(100);
  CHECK(actions_of(core) == "send 0, send 1, send 2");
  core.answered(0, Core::Success{.main_epoch = 1}, 101);  // of the old main: not believed
  CHECK(actions_of(core) == "refresh");
}

TEST_CASE("a duplicate of long ago counts as stored") {
  auto core = connected();
  core.add(0);
  actions_of(core);
  core.answered(0, final_error(ErrorCode::kDuplicateUnknown), 1);
  CHECK(actions_of(core) == "stored 0");
}

TEST_CASE("a fenced producer ends: what is queued and what comes later fails") {
  auto core = connected();
  core.add(0);
  core.add(0);
  actions_of(core);
  core.answered(1, final_error(ErrorCode::kProducerFenced), 1);
  CHECK(actions_of(core) == "failed 0 producer_fenced maybe, failed 1 producer_fenced maybe");
  core.add(2);
  CHECK(actions_of(core) == "failed 2 producer_fenced not");
  CHECK_FALSE(core.wake_at().has_value());
}

// The one for what was given up comes late: what is in flight by then must keep its sequence.
TEST_CASE("an identity is awaited from reopen until it is there, and not a second time") {
  auto core = connected();
  core.add(0);
  CHECK(actions_of(core) == "send 0");
  core.answered(0, final_error(), 0);
  CHECK(actions_of(core) == "failed 0 bad_batch not");
  CHECK_FALSE(core.awaits_identity());
  core.add(0);
  CHECK(actions_of(core) == "reopen");
  CHECK(core.awaits_identity());
  core.tick(1'000);
  CHECK(actions_of(core).starts_with("failed 1 timed_out not"));
  CHECK_FALSE(core.awaits_identity());
  core.add(1'000);
  CHECK(actions_of(core) == "reopen");
  core.reopened(1'001);  // by the answer to the first
  CHECK(actions_of(core) == "send 2");
  CHECK_FALSE(core.awaits_identity());
}

}  // namespace andyx::client
