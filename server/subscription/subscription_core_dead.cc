// Dead letters: what was delivered too often goes to the dead-letter topic, round by round. The
// round is durable with the sequence of its letters, so that after a restart it is written there
// again under the same sequence, and is there once.
#include <cassert>

#include "server/subscription/subscription_core_parts.h"

namespace andyx::server {

bool SubscriptionCore::begin_dead_round() {
  if (!rare_ || !rare_->round.empty() || rare_->dead.empty()) return false;
  std::uint64_t room = limits::kMaxDeadLettersPerRound;
  while (room > 0 && !rare_->dead.empty()) {
    const OffsetRange first{rare_->dead.lower(0)->first, rare_->dead.lower(0)->last};
    const Offset last = std::min(first.last, first.first + room - 1);
    rare_->dead.cut(first.first, last);
    rare_->round.insert(first.first, last);
    room -= last - first.first + 1;
  }
  changed_ = true;
  return true;
}

std::optional<SubscriptionCore::DeadRound> SubscriptionCore::dead_round() const {
  if (rare().round.empty()) return std::nullopt;
  DeadRound round{.sequence = rare_->dead_lettered, .letters = {}};
  rare_->round.for_each([&](const auto& entry) {
    for (Offset offset = entry.first; offset <= entry.last; ++offset) {
      DeadLetter letter{.offset = offset};
      const auto* known = history_.lower(offset);
      if (known != nullptr && known->first <= offset) {
        letter.deliveries = known->value.count;
        letter.first_delivered_us = known->value.first_delivered_us;
      }
      round.letters.push_back(letter);
    }
  });
  return round;
}

void SubscriptionCore::dead_round_done(std::uint64_t sequence) {
  if (rare().round.empty() || rare_->dead_lettered != sequence) return;
  const RangeMap<Nothing> round = std::move(rare_->round);
  rare_->round.clear();
  rare_->dead_lettered += round.offsets();
  round.for_each([&](const auto& entry) {
    settle_all(entry.first, entry.last, false);
    history_.cut(entry.first, entry.last);  // also of what retention has taken meanwhile
  });
  changed_ = true;
}

}  // namespace andyx::server
