// The durable state: its changes, and its rebuilding.
#include <algorithm>
#include <cassert>
#include <utility>

#include "server/subscription/subscription_core.h"

namespace andyx::server {

namespace {

// Changes that were not taken yet and have more ranges than this are handed out as the whole state.
constexpr std::size_t kMaxRangesOfUpdate = 64 * 1024;

}  // namespace

void SubscriptionCore::create(Offset start) {
  answered_.reset(start);
  next_ = start;
  note_whole_state();
}

void SubscriptionCore::apply(const CursorChange& change) {
  assert(streams_.empty() && change.subscription == id_);
  assert(change.kind != CursorChange::Kind::kDeleted);
  if (change.kind == CursorChange::Kind::kState) {
    answered_.reset(change.floor);
    history_.clear();
  } else {
    answered_.advance_floor(change.floor);
  }
  skipped_ = change.skipped;
  for (const OffsetRange& range : change.answered) answered_.add(range.first, range.last);
  for (const RedeliveryRange& range : change.redeliveries) {
    // The first answer wins: what is answered has no redelivery.
    Offset at = answered_.next_missing(range.first);
    while (at <= range.last) {
      const auto known = answered_.next_range(at);
      const Offset last = known ? std::min(range.last, known->first - 1) : range.last;
      history_.cut(at, last);
      history_.insert(at, last, {range.count, range.first_delivered_us});
      at = answered_.next_missing(last + 1);
    }
  }
  if (answered_.floor() > 0) history_.cut(0, answered_.floor() - 1);
  for (const OffsetRange& range : change.answered) history_.cut(range.first, range.last);
  next_ = answered_.floor();
}

void SubscriptionCore::open(Offset log_start, Offset committed) {
  assert(streams_.empty() && log_start <= committed);
  log_start_ = log_start;
  committed_ = committed;
  const bool ahead = answered_.floor() > committed || answered_.next_range(committed) ||
                     history_.lower(committed) != nullptr;
  if (ahead) {
    answered_.cut(committed);
    history_.cut(committed, kNoOffset);
    note_whole_state();
  }
  next_ = answered_.floor();
  raise_floor(log_start);
}

std::optional<CursorChange> SubscriptionCore::take_change() {
  if (!changed_) return std::nullopt;
  CursorChange taken = whole_state_ ? state() : std::exchange(change_, {});
  if (!whole_state_) {
    taken.subscription = id_;
    taken.floor = answered_.floor();
    taken.skipped = skipped_;
    const auto below_floor = [&](const auto& range) { return range.last < taken.floor; };
    std::erase_if(taken.answered, below_floor);
    std::erase_if(taken.redeliveries, below_floor);
  }
  changed_ = whole_state_ = false;
  return taken;
}

void SubscriptionCore::change_lost() { note_whole_state(); }

CursorChange SubscriptionCore::state() const {
  CursorChange whole{.subscription = id_,
                     .kind = CursorChange::Kind::kState,
                     .floor = answered_.floor(),
                     .skipped = skipped_,
                     .answered = answered_.ranges(),
                     .redeliveries = {}};
  whole.redeliveries.reserve(history_.size());
  history_.for_each([&](const RangeMap<History>::Entry& entry) {
    whole.redeliveries.push_back(
        {entry.first, entry.last, entry.value.first_delivered_us, entry.value.count});
  });
  return whole;
}

void SubscriptionCore::note_answered(Offset first, Offset last) {
  changed_ = true;
  if (whole_state_ || last < answered_.floor()) return;  // the floor says it
  auto& noted = change_.answered;
  if (!noted.empty() && first >= noted.back().first && first <= noted.back().last + 1) {
    noted.back().last = std::max(noted.back().last, last);
    return;
  }
  noted.push_back({first, last});
  if (noted.size() > kMaxRangesOfUpdate) note_whole_state();
}

void SubscriptionCore::remember(const RedeliveryRange& range) {
  history_.insert(range.first, range.last, {range.count, range.first_delivered_us});
  note_redelivery(range);
}

void SubscriptionCore::note_redelivery(const RedeliveryRange& range) {
  changed_ = true;
  if (whole_state_) return;
  change_.redeliveries.push_back(range);
  if (change_.redeliveries.size() > kMaxRangesOfUpdate) note_whole_state();
}

void SubscriptionCore::note_whole_state() {
  changed_ = whole_state_ = true;
  change_ = {};
}

}  // namespace andyx::server
