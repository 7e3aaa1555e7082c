#include "clients/cpp/src/producer_core.h"

#include <algorithm>
#include <utility>

#include "clients/cpp/src/backoff.h"
#include "protocol/base/planted.h"

namespace andyx::client {
namespace {

constexpr std::uint64_t kLooksPerDoubt = 4;  // asked so often while it goes on

}  // namespace

ProducerCore::ProducerCore(const Config& config) : config_(config), random_(config.seed) {}

ProducerCore::Entry* ProducerCore::find(BatchId id) {
  if (id < first_id_ || id - first_id_ >= entries_.size()) return nullptr;
  return &entries_[id - first_id_];
}

void ProducerCore::add(std::uint64_t now_ms) {
  if (dead_) {
    actions_.emplace_back(Failed{first_id_++, *dead_, Storedness::kNotStored});
    return;
  }
  if (entries_.empty()) last_progress_ms_ = now_ms;
  entries_.emplace_back();
  pump(now_ms);
}

void ProducerCore::link_up(MainEpoch epoch, std::uint64_t now_ms) {
  up_ = true;
  epoch_ = std::max(epoch_, epoch);
  pump(now_ms);
}

void ProducerCore::link_down(const Error& reason, std::uint64_t now_ms) {
  up_ = false;
  last_error_ = reason;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    auto& entry = entries_[i];
    if (entry.state != State::kInFlight) continue;
    if (config_.idempotent) {
      entry.maybe_stored = true;
      send_again(entry);
      if (planted(PlantedBug::kRetriesUnderNewSequence)) want_reopen();
    } else {
      fail(first_id_ + i, reason, Storedness::kMaybeStored);
    }
  }
  drop_resolved();
  pump(now_ms);
}

void ProducerCore::answered(BatchId id, const Verdict& verdict, std::uint64_t now_ms) {
  const auto* entry = find(id);
  if (entry == nullptr || entry->state != State::kInFlight) return;
  doubt_at_ms_ = now_ms + config_.doubt_ms;
  if (const auto* success = std::get_if<Success>(&verdict)) {
    stored(id, *success, now_ms);
  } else if (const auto* known = std::get_if<Repeated>(&verdict)) {
    repeated(id, *known, now_ms);
  } else {
    refused(id, std::get<Refusal>(verdict), now_ms);
  }
  drop_resolved();
  pump(now_ms);
}

void ProducerCore::stored(BatchId id, const Success& success, std::uint64_t now_ms) {
  auto& entry = *find(id);
  if (success.main_epoch != 0 && success.main_epoch < epoch_) {
    // From a main that has been replaced: what it stored may be gone.
    const Error stale{ErrorCode::kNotMain, "answered by a main of an earlier epoch"};
    if (config_.idempotent) {
      entry.maybe_stored = true;
      send_again(entry);
      back_off(now_ms, 0);
    } else {
      fail(id, stale, Storedness::kMaybeStored);
    }
    actions_.emplace_back(Refresh{});
    return;
  }
  epoch_ = std::max(epoch_, success.main_epoch);
  entry.state = State::kDone;
  --in_flight_;
  failures_ = 0;
  last_progress_ms_ = now_ms;
  actions_.emplace_back(Stored{id, success});
}

// The partition looked at the ids of this batch, so its sequence was the next one: neither it nor a
// batch after it is stored.
void ProducerCore::repeated(BatchId id, const Repeated& repeated, std::uint64_t now_ms) {
  for (auto i = id - first_id_; i < entries_.size(); ++i) {
    if (config_.idempotent) entries_[i].maybe_stored = false;
  }
  auto& entry = *find(id);
  failures_ = 0;
  last_progress_ms_ = now_ms;
  if (!repeated.all) {
    send_again(entry);
    return;
  }
  entry.state = State::kDone;
  --in_flight_;
  actions_.emplace_back(Absorbed{id});
  want_reopen();  // its sequence was not used
}

void ProducerCore::refused(BatchId id, const Refusal& refusal, std::uint64_t now_ms) {
  auto& entry = *find(id);
  last_error_ = refusal.error;
  switch (refusal.error.code) {
    case ErrorCode::kDuplicateUnknown:
      stored(id, Success{}, now_ms);
      return;
    case ErrorCode::kProducerFenced:
      give_up(refusal.error, true);
      return;
    case ErrorCode::kUnknownProducer:
    case ErrorCode::kOutOfSequence: {
      if (!config_.idempotent) break;
      // A gap because of an earlier batch that waits to be sent again is filled by that.
      const bool gap_of_ours = refusal.error.code == ErrorCode::kOutOfSequence && id != first_id_;
      send_again(entry);
      if (!gap_of_ours && identity_ == Identity::kGood) {
        unsure_ = true;
        want_reopen();
        back_off(now_ms, 0);
      }
      return;
    }
    case ErrorCode::kUnknownTopic:
    case ErrorCode::kUnknownPartition:
      // This node may not have heard of it yet. Metadata says whether it is gone.
      try_later(entry, refusal, now_ms);
      return;
    default:
      break;
  }
  const bool maybe = refusal.stored == Storedness::kMaybeStored;
  if (refusal.retriable && (config_.idempotent || !maybe)) {
    entry.maybe_stored |= maybe;
    try_later(entry, refusal, now_ms);
  } else {
    fail(id, refusal.error, refusal.stored);
    last_progress_ms_ = now_ms;
    want_reopen();
  }
}

// What was in flight together and is refused together is one failure. Whoever cannot store may have
// been replaced, except when there is just too much to do.
void ProducerCore::try_later(Entry& entry, const Refusal& refusal, std::uint64_t now_ms) {
  if (refusal.error.code != ErrorCode::kOverloaded) actions_.emplace_back(Refresh{});
  const bool counted = hold_;
  send_again(entry);
  if (!counted) back_off(now_ms, refusal.retry_after_ms);
}

void ProducerCore::send_again(Entry& entry) {
  entry.state = State::kQueued;
  --in_flight_;
  hold_ = true;
}

void ProducerCore::fail(BatchId id, const Error& error, Storedness stored) {
  auto& entry = *find(id);
  if (entry.state == State::kInFlight) --in_flight_;
  entry.state = State::kDone;
  const bool before = entry.maybe_stored && !planted(PlantedBug::kMaybeStoredForgotten);
  const bool maybe = before || stored == Storedness::kMaybeStored;
  unsure_ |= maybe;
  actions_.emplace_back(
      Failed{id, error, maybe ? Storedness::kMaybeStored : Storedness::kNotStored});
}

void ProducerCore::want_reopen() {
  if (config_.idempotent) identity_ = Identity::kReopenWanted;
}

void ProducerCore::ask_for_identity() {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].state == State::kQueued && entries_[i].maybe_stored &&
        !planted(PlantedBug::kRetriesUnderNewSequence)) {
      fail(first_id_ + i, last_error_, Storedness::kMaybeStored);
    }
  }
  drop_resolved();
  if (entries_.empty()) return;  // asked when there is something to send
  identity_ = Identity::kReopenAsked;
  actions_.emplace_back(Reopen{.sequence_known = !unsure_});
}

void ProducerCore::reopened(std::uint64_t now_ms) {
  if (identity_ != Identity::kReopenAsked) return;
  identity_ = Identity::kGood;
  unsure_ = false;
  pump(now_ms);
}

void ProducerCore::reopen_failed(const Error& reason, std::uint64_t now_ms) {
  if (identity_ != Identity::kReopenAsked) return;
  identity_ = Identity::kReopenWanted;
  last_error_ = reason;
  back_off(now_ms, 0);
}

void ProducerCore::tick(std::uint64_t now_ms) {
  if (!entries_.empty() && now_ms >= last_progress_ms_ + config_.delivery_timeout_ms) {
    give_up(Error{ErrorCode::kTimedOut,
                  "not delivered within " + std::to_string(config_.delivery_timeout_ms) +
                      " ms; last: " + std::string(last_error_.name()) + ": " + last_error_.message},
            false);
    return;
  }
  if (in_flight_ > 0 && now_ms >= doubt_at_ms_) {
    doubt_at_ms_ = now_ms + std::max<std::uint64_t>(config_.doubt_ms / kLooksPerDoubt, 1);
    actions_.emplace_back(Refresh{.doubt = true});
  }
  pump(now_ms);
}

void ProducerCore::give_up(const Error& reason, bool for_good) {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const auto& entry = entries_[i];
    if (entry.state == State::kDone) continue;
    const bool maybe = entry.state == State::kInFlight;
    fail(first_id_ + i, reason, maybe ? Storedness::kMaybeStored : Storedness::kNotStored);
  }
  // Under way or not, an answer to Reopen no longer fits: the numbers start anew with the next
  // batch.
  if (!entries_.empty()) want_reopen();
  drop_resolved();
  if (for_good) dead_ = reason;
}

void ProducerCore::pump(std::uint64_t now_ms) {
  if (in_flight_ == 0) hold_ = false;
  if (!up_ || hold_ || entries_.empty() || now_ms < not_before_ms_) return;
  if (identity_ == Identity::kReopenWanted && in_flight_ == 0) ask_for_identity();
  if (identity_ != Identity::kGood) return;
  for (std::size_t i = 0; i < entries_.size() && in_flight_ < config_.max_in_flight; ++i) {
    auto& entry = entries_[i];
    if (entry.state != State::kQueued) continue;
    entry.state = State::kInFlight;
    if (in_flight_ == 0) doubt_at_ms_ = now_ms + config_.doubt_ms;
    if (std::exchange(entry.sent_before, true)) ++resent_;
    ++in_flight_;
    actions_.emplace_back(Send{first_id_ + i});
  }
}

void ProducerCore::back_off(std::uint64_t now_ms, std::uint64_t at_least_ms) {
  const auto wait_ms =
      backoff_ms(++failures_, config_.backoff_min_ms, config_.backoff_max_ms, random_);
  not_before_ms_ = now_ms + std::max(wait_ms, std::min(at_least_ms, config_.backoff_max_ms));
}

void ProducerCore::drop_resolved() {
  while (!entries_.empty() && entries_.front().state == State::kDone) {
    entries_.pop_front();
    ++first_id_;
  }
}

std::vector<ProducerCore::Action> ProducerCore::take_actions() {
  return std::exchange(actions_, {});
}

std::optional<std::uint64_t> ProducerCore::wake_at() const {
  if (entries_.empty()) return std::nullopt;
  const auto deadline_ms = last_progress_ms_ + config_.delivery_timeout_ms;
  if (in_flight_ > 0) return std::min(deadline_ms, doubt_at_ms_);
  const bool waiting = up_ && !hold_ && identity_ != Identity::kReopenAsked;
  return waiting ? std::min(deadline_ms, not_before_ms_) : deadline_ms;
}

}  // namespace andyx::client
