// What leaves a peer stands on its disk before.
#include <doctest/doctest.h>

#include <random>

#include "tests/raft/core/group.h"

namespace andyx::raft {

namespace {

using tests::bytes_of;
using tests::Group;
using tests::Peer;

bool stands_for_state(const Message& message) {
  return message.type == MessageType::kVote || message.type == MessageType::kVoteReply ||
         message.type == MessageType::kPreVoteReply || message.type == MessageType::kAppendReply;
}

// After the Ready was persisted and before anything of it is sent.
void check_covered(Peer& peer, const Ready& ready) {
  const HardState& hard = peer.storage->hard_state();
  for (const Message& message : ready.messages) {
    if (message.type != MessageType::kPreVote && message.type != MessageType::kPreVoteReply) {
      CHECK(message.term <= hard.term);
    }
    if (message.term < hard.term) {
      continue;  // of a term in which it takes part no more
    }
    if (message.type == MessageType::kVoteReply && !message.reject) {
      CHECK(hard.vote == message.to);
    }
    if (message.type == MessageType::kVote) {
      CHECK(hard.vote == peer.config.id);
    }
    if (message.type == MessageType::kAppendReply && !message.reject) {
      CHECK(message.index <= peer.storage->last_index());
    }
  }
  if (!ready.committed.empty()) {
    CHECK(ready.committed.back().index <= peer.storage->last_index());
    CHECK(ready.committed.back().index <= hard.commit);
  }
  CHECK((ready.must_sync || ready.entries.empty()));
}

void disturb(Group& group, std::mt19937_64& random) {
  const PeerId id = 1 + random() % group.size();
  switch (random() % 8) {
    case 0:
      static_cast<void>(group.core(id).campaign());
      break;
    case 1:
    case 2:
      static_cast<void>(group.core(id).propose(bytes_of("x")));
      break;
    case 3:
      group.core(id).tick();
      break;
    case 4:
      group.core(id).transfer_leader(1 + random() % group.size());
      break;
    default:
      if (group.core(id).has_ready()) {
        group.handle_ready(id);
      }
      group.deliver(1 + random() % group.size());
  }
}

}  // namespace

TEST_CASE("no vote, acknowledgement or campaign leaves before it is persisted") {
  const auto seed = std::random_device{}();
  INFO("seed ", seed);
  std::mt19937_64 random(seed);
  Group group(3, [&](Config& config) { config.pre_vote = seed % 2 == 0; });
  group.checked = check_covered;
  group.lose = [&](const Message&) { return random() % 10 == 0; };
  for (int step = 0; step < 20'000; step++) {
    disturb(group, random);
  }
}

TEST_CASE("with asynchronous writes all of that waits in the storage message") {
  const auto seed = std::random_device{}();
  INFO("seed ", seed);
  std::mt19937_64 random(seed);
  Group group(3, [](Config& config) { config.async_storage_writes = true; });
  std::vector<Message> pool;
  std::size_t held = 0;
  for (int step = 0; step < 5'000; step++) {
    const PeerId id = 1 + random() % 3;
    if (random() % 4 == 0) {
      static_cast<void>(random() % 2 == 0 ? group.core(id).campaign()
                                          : group.core(id).propose(bytes_of("x")));
    }
    Ready ready;
    if (group.core(id).has_ready()) {
      group.core(id).ready(ready);
    }
    for (Message& message : ready.messages) {
      CHECK_FALSE(stands_for_state(message));
      if (message.to == kAppendThread) {
        if (message.term != 0) {
          group[id].storage->set_hard_state(
              {.term = message.term, .vote = message.vote, .commit = message.commit});
        }
        group[id].storage->append(message.entries);
      }
      for (Message& response : message.responses) {
        held += stands_for_state(response) ? 1 : 0;
        pool.push_back(std::move(response));
      }
      message.responses.clear();
      if (!is_storage_thread(message.to)) {
        pool.push_back(std::move(message));
      }
    }
    std::vector<Message> delivered;
    delivered.swap(pool);
    for (Message& message : delivered) {
      static_cast<void>(group.core(message.to).step(std::move(message)));
    }
  }
  CHECK(held > 100);
}

}  // namespace andyx::raft
