// The durable state: its changes, and its rebuilding.
#include <algorithm>
#include <cassert>
#include <utility>

#include "protocol/base/planted.h"
#include "server/subscription/subscription_core_parts.h"

namespace andyx::server {

namespace {

// Changes that were not taken yet and have more ranges than this are handed out as the whole state.
constexpr std::size_t kMaxRangesOfUpdate = 64 * 1024;

std::vector<OffsetRange> ranges_of(const RangeMap<Nothing>& map) {
  std::vector<OffsetRange> ranges;
  ranges.reserve(map.size());
  map.for_each([&](const auto& range) { ranges.push_back({range.first, range.last}); });
  return ranges;
}

void assign(RangeMap<Nothing>& map, const std::vector<OffsetRange>& ranges) {
  map.clear();
  for (const OffsetRange& range : ranges) map.insert(range.first, range.last);
}

}  // namespace

void SubscriptionCore::create(Offset start, DueKey due_cursor) {
  answered_.reset(start);
  due_cursor_ = due_cursor;
  next_ = start_ = start;
  note_whole_state();
}

void SubscriptionCore::apply(const CursorChange& change) {
  assert(streams_.empty() && change.subscription == id_);
  assert(change.kind != CursorChange::Kind::kDeleted);
  if (planted(PlantedBug::kCursorStateNotCarried) && change.kind == CursorChange::Kind::kUpdate)
    return;
  if (change.kind == CursorChange::Kind::kState) {
    answered_.reset(change.floor);
    history_.clear();
    rare_.reset();
  } else {
    answered_.advance_floor(change.floor);
  }
  skipped_ = change.skipped;
  start_ = change.start;
  due_cursor_ = change.due_cursor;
  if (rare_ || change.delayed > 0 || change.dead_lettered > 0 || !change.matured.empty() ||
      !change.dead_round.empty()) {
    Rare& rare = make_rare();
    rare.delayed = change.delayed;
    rare.dead_lettered = change.dead_lettered;
    assign(rare.round, change.dead_round);
  }
  for (const OffsetRange& range : change.answered) {
    answered_.add(range.first, range.last);
    if (rare_) rare_->matured.cut(range.first, range.last);
    forget_history(range.first, range.last);
  }
  for (const OffsetRange& range : change.matured) {
    make_rare().matured.cut(range.first, range.last);
    rare_->matured.insert(range.first, range.last);
  }
  for (const RedeliveryRange& range : change.redeliveries) apply_redelivery(range);
  if (answered_.floor() > 0) forget_history(0, answered_.floor() - 1);
  next_ = answered_.floor();
}

// The first answer wins: what is answered has no redelivery. What has matured is not answered, nor
// what is on its way to the dead-letter topic.
void SubscriptionCore::apply_redelivery(const RedeliveryRange& range) {
  const auto set = [&](Offset first, Offset last) {
    history_.cut(first, last);
    history_.insert(first, last, {range.count, range.first_delivered_us, range.due_us});
  };
  Offset at = answered_.next_missing(range.first);
  while (at <= range.last) {
    const auto known = answered_.next_range(at);
    const Offset last = known ? std::min(range.last, known->first - 1) : range.last;
    set(at, last);
    at = answered_.next_missing(last + 1);
  }
  rare().matured.for_each_in(range.first, range.last, set);
  rare().round.for_each_in(range.first, range.last, set);
}

// But for what is unanswered there: matured, or on its way to the dead-letter topic.
void SubscriptionCore::forget_history(Offset first, Offset last) {
  std::vector<RangeMap<History>::Entry> kept;
  history_.cut(first, last, [&](const RangeMap<History>::Entry& entry) {
    if (!rare_) return;
    const auto keep = [&](Offset from, Offset to) { kept.push_back({from, to, entry.value}); };
    rare_->matured.for_each_in(entry.first, entry.last, keep);
    rare_->round.for_each_in(entry.first, entry.last, keep);
  });
  for (const auto& entry : kept) {
    history_.cut(entry.first, entry.last);  // it was matured and dead
    history_.insert(entry.first, entry.last, entry.value);
  }
}

// The log begins here: nothing below is delivered any more, whether answered or not.
void SubscriptionCore::raise_floor(Offset floor) {
  if (floor == 0) return;
  drop(0, floor - 1);
  if (rare_ && settle_matured(0, floor - 1) > 0) changed_ = true;
  forget_history(0, floor - 1);
  if (floor <= answered_.floor()) return;
  answered_.advance_floor(floor);
  changed_ = true;
}

void SubscriptionCore::open(Offset log_start, Offset committed, Now now) {
  assert(streams_.empty() && log_start <= committed);
  log_start_ = log_start;
  committed_ = committed;
  if (planted(PlantedBug::kLatestEvaluatedAgain) && !changed_ && floor() == start_ &&
      answered_.range_count() == 0) {
    start_ = committed;
    answered_.reset(committed);
  }
  const bool ahead = answered_.floor() > committed || answered_.next_range(committed) ||
                     history_.lower(committed) != nullptr ||
                     rare().matured.lower(committed) != nullptr ||
                     rare().round.lower(committed) != nullptr;
  if (ahead) {
    answered_.cut(committed);
    history_.cut(committed, kNoOffset);
    if (rare_) {
      rare_->matured.cut(committed, kNoOffset);
      rare_->round.cut(committed, kNoOffset);
    }
    start_ = std::min(start_, committed);
    note_whole_state();
  }
  next_ = answered_.floor();
  raise_floor(log_start);
  next_ = answered_.floor();
  history_.for_each([&](const RangeMap<History>::Entry& entry) {
    const TimeUs left = entry.value.due_us == 0 ? 0 : entry.value.due_us - now.wall_us;
    if (left <= 0) return;
    constexpr auto kMost = static_cast<TimeUs>(limits::kMaxRedeliveryDelayMs) * 1'000;
    make_rare().later.insert(entry.first, entry.last, {now.steady_us + std::min(left, kMost)});
    expire(now.steady_us + std::min(left, kMost));
  });
  if (!rare_) return;
  rare_->round.for_each([&](const auto& entry) { rare_->later.cut(entry.first, entry.last); });
  for (const OffsetRange& range : ranges_of(rare_->matured)) {
    waiting_.insert(range.first, range.last);
    rare_->later.for_each_in(range.first, range.last,
                             [&](Offset first, Offset last) { waiting_.cut(first, last); });
    rare_->round.for_each_in(range.first, range.last,
                             [&](Offset first, Offset last) { waiting_.cut(first, last); });
  }
  if (!keys_) return;
  waiting_.for_each([&](const auto& entry) {
    for (Offset offset = entry.first; offset <= entry.last; ++offset) keys_->pend(offset, true);
  });
}

std::optional<CursorChange> SubscriptionCore::take_change() {
  if (!changed_) return std::nullopt;
  changed_ = false;
  if (std::exchange(whole_state_, false)) return state();
  CursorChange taken{.subscription = id_,
                     .floor = answered_.floor(),
                     .skipped = skipped_,
                     .answered = std::exchange(noted_answered_, {}),
                     .redeliveries = std::exchange(noted_redeliveries_, {}),
                     .start = start_,
                     .due_cursor = due_cursor_};
  std::erase_if(taken.answered, [&](const auto& range) { return range.last < taken.floor; });
  std::erase_if(taken.redeliveries, [&](const auto& range) {
    if (range.last >= taken.floor) return false;
    const auto within = [&](const RangeMap<Nothing>& map) {
      const auto* entry = map.lower(range.first);
      return entry != nullptr && entry->first <= range.last;
    };
    return !rare_ || !(within(rare_->matured) || within(rare_->round));
  });
  if (!rare_) return taken;
  taken.delayed = rare_->delayed;
  taken.dead_lettered = rare_->dead_lettered;
  taken.dead_round = ranges_of(rare_->round);
  for (const OffsetRange& range : std::exchange(rare_->noted_matured, {}))
    rare_->matured.for_each_in(range.first, range.last, [&](Offset first, Offset last) {
      taken.matured.push_back({first, last});
    });
  const auto settled = std::exchange(rare_->noted_settled, {});
  taken.answered.insert(taken.answered.end(), settled.begin(), settled.end());
  return taken;
}

void SubscriptionCore::change_lost() { note_whole_state(); }

CursorChange SubscriptionCore::state() const {
  CursorChange whole{.subscription = id_,
                     .kind = CursorChange::Kind::kState,
                     .floor = answered_.floor(),
                     .skipped = skipped_,
                     .answered = planted(PlantedBug::kSnapshotWithoutRanges)
                                     ? std::vector<OffsetRange>{}
                                     : answered_.ranges(),
                     .redeliveries = {},
                     .start = start_,
                     .due_cursor = due_cursor_,
                     .delayed = rare().delayed,
                     .matured = ranges_of(rare().matured),
                     .dead_lettered = rare().dead_lettered,
                     .dead_round = ranges_of(rare().round)};
  whole.redeliveries.reserve(history_.size());
  history_.for_each([&](const RangeMap<History>::Entry& entry) {
    whole.redeliveries.push_back({entry.first, entry.last, entry.value.first_delivered_us,
                                  entry.value.count, entry.value.due_us});
  });
  return whole;
}

void SubscriptionCore::note_answered(Offset first, Offset last) {
  changed_ = true;
  if (whole_state_ || last < answered_.floor()) return;  // the floor says it
  auto& noted = noted_answered_;
  if (!noted.empty() && first >= noted.back().first && first <= noted.back().last + 1) {
    noted.back().last = std::max(noted.back().last, last);
    return;
  }
  noted.push_back({first, last});
  bound_notes();
}

void SubscriptionCore::note_redelivery(const RedeliveryRange& range) {
  changed_ = true;
  if (whole_state_) return;
  noted_redeliveries_.push_back(range);
  bound_notes();
}

void SubscriptionCore::bound_notes() {
  std::size_t noted = noted_answered_.size() + noted_redeliveries_.size();
  if (rare_) noted += rare_->noted_matured.size() + rare_->noted_settled.size();
  if (noted > kMaxRangesOfUpdate) note_whole_state();
}

void SubscriptionCore::note_whole_state() {
  changed_ = whole_state_ = true;
  noted_answered_ = {};
  noted_redeliveries_ = {};
  if (!rare_) return;
  rare_->noted_matured = {};
  rare_->noted_settled = {};
}

}  // namespace andyx::server
