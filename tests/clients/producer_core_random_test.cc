// The core against a model of a partition that remembers the last batches of a producer, over a
// connection that loses requests, answers and itself.
#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <random>
#include <set>

#include "clients/cpp/src/producer_core.h"

namespace andyx::client {
namespace {

using Core = ProducerCore;

// What a server does with sequences; batches are known by their number.
class ModelPartition {
 public:
  Core::Verdict produce(BatchId id, std::uint64_t producer, std::uint64_t sequence) {
    auto& memory = producers_[producer];
    if (sequence == memory.next) {
      log.push_back(id);
      memory.recent.push_back({sequence, log.size() - 1});
      if (memory.recent.size() > limits::kProducerBatchesRemembered) memory.recent.pop_front();
      ++memory.next;
      return Core::Success{.base_offset = log.size() - 1};
    }
    for (const auto& [known, offset] : memory.recent) {
      if (known == sequence) return Core::Success{.base_offset = offset};
    }
    if (sequence < memory.next) return Core::Refusal{.error = {ErrorCode::kDuplicateUnknown, ""}};
    return Core::Refusal{.error = {ErrorCode::kOutOfSequence, ""}, .retriable = true};
  }
  bool expects(std::uint64_t producer, std::uint64_t sequence) {
    return producers_[producer].next == sequence;
  }
  std::vector<BatchId> log;

 private:
  struct Memory {
    std::uint64_t next = 0;
    std::deque<std::pair<std::uint64_t, Offset>> recent;
  };
  std::map<std::uint64_t, Memory> producers_;
};

struct World {
  explicit World(std::uint64_t seed)
      : random(seed),
        core(
            {.delivery_timeout_ms = 400, .backoff_min_ms = 5, .backoff_max_ms = 50, .seed = seed}) {
  }

  std::mt19937_64 random;
  Core core;
  ModelPartition partition;
  std::uint64_t now = 0;
  std::uint64_t producer = 1, next_producer = 2;
  bool up = false;
  std::uint64_t added = 0;
  std::map<BatchId, std::uint64_t> sequences;  // of unresolved batches
  std::uint64_t next_sequence = 0;
  std::set<BatchId> stored, absorbed, failed_not, failed_maybe;
  struct Request {
    BatchId id;
    std::uint64_t producer, sequence;  // as they were stamped when it was sent
  };
  std::deque<Request> requests;                           // on their way to the server
  std::deque<std::pair<BatchId, Core::Verdict>> replies;  // and back
  std::set<BatchId> unanswered;
  bool reopening = false;
  bool sequence_known = false;    // as the core says: the old identity may go on
  std::uint64_t stored_here = 0;  // under the present identity

  bool chance(int percent) { return static_cast<int>(random() % 100) < percent; }

  void act() {
    for (const auto& action : core.take_actions()) {
      if (const auto* send = std::get_if<Core::Send>(&action)) {
        REQUIRE(up);
        REQUIRE(sequences.contains(send->id));
        unanswered.insert(send->id);
        REQUIRE(unanswered.size() <= limits::kProducerBatchesRemembered);
        requests.push_back({send->id, producer, sequences.at(send->id)});
      } else if (const auto* done = std::get_if<Core::Stored>(&action)) {
        REQUIRE(stored.insert(done->id).second);
        ++stored_here;
        sequences.erase(done->id);
      } else if (const auto* known = std::get_if<Core::Absorbed>(&action)) {
        REQUIRE(absorbed.insert(known->id).second);
        sequences.erase(known->id);
      } else if (const auto* gone = std::get_if<Core::Failed>(&action)) {
        auto& where = gone->stored == Storedness::kMaybeStored ? failed_maybe : failed_not;
        REQUIRE(where.insert(gone->id).second);
        sequences.erase(gone->id);
        unanswered.erase(gone->id);
      } else if (const auto* reopen = std::get_if<Core::Reopen>(&action)) {
        reopening = true;
        sequence_known = reopen->sequence_known;
      }
    }
  }

  void add() {
    sequences[added++] = next_sequence++;
    core.add(now);
    act();
  }

  void reopen() {
    reopening = false;
    if (chance(30)) {
      core.reopen_failed({ErrorCode::kTimedOut, ""}, now);
    } else {
      if (!sequence_known || chance(50)) {
        producer = next_producer++;
        stored_here = 0;
      }
      next_sequence = stored_here;
      for (auto& [id, sequence] : sequences) sequence = next_sequence++;
      core.reopened(now);
    }
    act();
  }

  void lose_connection() {
    up = false;
    // Some of what was on its way has still been stored.
    for (std::size_t left = requests.empty() ? 0 : random() % (requests.size() + 1); left > 0;
         --left) {
      serve();
    }
    requests.clear();
    replies.clear();
    unanswered.clear();
    core.link_down({ErrorCode::kConnectionLost, ""}, now);
    act();
  }

  void serve() {
    const auto request = requests.front();
    requests.pop_front();
    Core::Verdict verdict = Core::Refusal{.error = {ErrorCode::kOverloaded, ""}, .retriable = true};
    if (chance(2)) {
      verdict = Core::Refusal{.error = {ErrorCode::kBadBatch, ""}};
    } else if (chance(3) && partition.expects(request.producer, request.sequence)) {
      verdict = Core::Repeated{.all = chance(50)};
    } else if (!chance(5)) {
      verdict = partition.produce(request.id, request.producer, request.sequence);
    }
    replies.emplace_back(request.id, verdict);
  }

  void step() {
    now += random() % 20;
    if (const auto wake = core.wake_at(); wake && *wake <= now) {
      core.tick(now);
      act();
    }
    switch (random() % 6) {
      case 0:
        if (added < 300) add();
        break;
      case 1:
        if (!requests.empty()) serve();
        break;
      case 2:
        if (!replies.empty()) {
          const auto [id, verdict] = replies.front();
          replies.pop_front();
          unanswered.erase(id);
          core.answered(id, verdict, now);
          act();
        }
        break;
      case 3:
        if (reopening) reopen();
        break;
      case 4:
        if (!up && chance(50)) {
          up = true;
          core.link_up(1, now);
          act();
        }
        break;
      default:
        if (up && chance(4)) lose_connection();
        break;
    }
  }
};

}  // namespace

TEST_CASE("no batch is stored twice, none out of order, and what is told is true") {
  const std::uint64_t first_seed = std::random_device{}();
  for (std::uint64_t seed = first_seed; seed < first_seed + 300; ++seed) {
    CAPTURE(seed);
    World world(seed);
    for (int step = 0; step < 200'000 && (world.added < 300 || world.core.unresolved() > 0); ++step)
      world.step();
    REQUIRE(world.added == 300);
    REQUIRE(world.core.unresolved() == 0);
    const auto& log = world.partition.log;
    const std::set<BatchId> in_log(log.begin(), log.end());
    REQUIRE(in_log.size() == log.size());             // once
    REQUIRE(std::is_sorted(log.begin(), log.end()));  // in order
    for (const auto id : world.stored) REQUIRE(in_log.contains(id));
    for (const auto id : world.failed_not) REQUIRE_FALSE(in_log.contains(id));
    for (const auto id : world.absorbed) REQUIRE_FALSE(in_log.contains(id));
    REQUIRE(world.stored.size() + world.absorbed.size() + world.failed_not.size() +
                world.failed_maybe.size() ==
            300);
  }
}

}  // namespace andyx::client
