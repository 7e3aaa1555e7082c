// Messages that no working peer sends: an error, no crash, nothing changed.
#include <doctest/doctest.h>

#include <random>

#include "tests/raft/core/group.h"

namespace andyx::raft {

namespace {

using tests::bytes_of;
using tests::Group;

Entry entry(Term term, Index index) {
  return {.term = term, .index = index, .data = bytes_of("x")};
}

Message append(Term term, Term log_term, Index index, std::vector<Entry> entries) {
  return {.type = MessageType::kAppend,
          .from = 1,
          .to = 2,
          .term = term,
          .log_term = log_term,
          .index = index,
          .entries = std::move(entries)};
}

}  // namespace

TEST_CASE("entries that do not fit are refused") {
  Group group(3);
  group.elect(1);
  const Term term = group.core(2).hard_state().term;
  const Index last = group.core(2).last_index();
  const std::vector<Message> bad{
      append(term, term, last, {entry(term, last + 2)}),                             // a gap before
      append(term, term, last, {entry(term, last + 1), entry(term, last + 3)}),      // a gap inside
      append(term, term, last, {entry(term, last + 1), entry(term, last + 1)}),      // twice
      append(term, term, last, {entry(term, last + 1), entry(term - 1, last + 2)}),  // term falls
      append(term, term, last, {entry(term + 1, last + 1)}),  // of a term that is not yet
      append(UINT64_MAX, term, last, {}),                     // no term
      {.type = MessageType::kSnapshot, .from = 1, .to = 2, .term = term},  // without a snapshot
  };
  for (const Message& message : bad) {
    const StepResult stepped = group.core(2).step(message);
    REQUIRE_FALSE(stepped);
    CHECK(stepped.error() == StepError::kMalformed);
    CHECK(group.core(2).hard_state().term == term);
    CHECK(group.core(2).last_index() == last);
  }
}

TEST_CASE("what contradicts committed entries is refused, and said") {
  Group group(3);
  group.elect(1);
  REQUIRE(group.core(1).propose(bytes_of("a")));
  group.settle();
  const HardState before = group.core(2).hard_state();
  const Index last = group.core(2).last_index();

  const auto conflict = group.core(2).step(
      append(before.term + 1, 1, 1, {entry(before.term + 1, 2), entry(before.term + 1, 3)}));
  CHECK(conflict);  // below committed: answered with the committed index
  const auto behind = group.core(2).step({.type = MessageType::kHeartbeat,
                                          .from = 1,
                                          .to = 2,
                                          .term = before.term + 1,
                                          .commit = last + 5});
  REQUIRE_FALSE(behind);
  CHECK(behind.error() == StepError::kContradiction);
  CHECK(group.core(2).last_index() == last);
  CHECK(group.core(2).hard_state().commit == before.commit);
}

TEST_CASE("strangers and local messages from the network are refused") {
  Group group(3);
  group.elect(1);
  const auto stranger =
      group.core(1).step({.type = MessageType::kAppendReply, .from = 9, .to = 1, .index = 2});
  REQUIRE_FALSE(stranger);
  CHECK(stranger.error() == StepError::kPeerNotFound);
  for (const MessageType type :
       {MessageType::kHup, MessageType::kBeat, MessageType::kCheckQuorum, MessageType::kUnreachable,
        MessageType::kStorageAppendReply, MessageType::kForgetLeader}) {
    const auto local = group.core(1).step({.type = type, .from = 2, .to = 1});
    REQUIRE_FALSE(local);
    CHECK(local.error() == StepError::kLocalMessage);
  }
  CHECK(group.core(1).soft_state().role == Role::kLeader);
}

TEST_CASE("random messages end in an error or nothing") {
  const auto seed = std::random_device{}();
  INFO("seed ", seed);
  std::mt19937_64 random(seed);
  Group group(3);
  group.elect(1);
  const auto small = [&] { return random() % 3 == 0 ? random() : random() % 6; };
  for (int round = 0; round < 20'000; round++) {
    Message message{.type = static_cast<MessageType>(random() % 24),
                    .from = random() % 5,
                    .to = 1 + random() % 3,
                    .term = small(),
                    .log_term = small(),
                    .index = small(),
                    .commit = small(),
                    .reject = random() % 2 == 0,
                    .reject_hint = small(),
                    .context = small()};
    for (std::size_t at = random() % 3; at > 0; at--) {
      message.entries.push_back(entry(small(), small()));
    }
    // Well-formed appends of a liar could do harm: they carry a term that was never won. Not here.
    if (message.type == MessageType::kAppend || message.type == MessageType::kSnapshot) {
      message.term = std::max<Term>(message.term, kNoLimit - 1);
    }
    static_cast<void>(group.core(message.to).step(message));
    for (PeerId id = 1; id <= 3; id++) {
      if (group.core(id).has_ready()) {
        group.handle_ready(id);
      }
    }
    group.messages.clear();
  }
}

}  // namespace andyx::raft
