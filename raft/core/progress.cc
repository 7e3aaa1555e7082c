#include "raft/core/progress.h"

#include <algorithm>

namespace andyx::raft {

void Progress::reset(ProgressState to) {
  append_paused = false;
  pending_snapshot = 0;
  state = to;
  inflights.clear();
}

void Progress::become_probe() {
  const Index snapshot = state == ProgressState::kSnapshot ? pending_snapshot : 0;
  reset(ProgressState::kProbe);
  next = std::max(match, snapshot) + 1;
  sent_commit = std::min(sent_commit, next - 1);
}

void Progress::become_replicate() {
  reset(ProgressState::kReplicate);
  next = match + 1;
}

void Progress::become_snapshot(Index snapshot_index) {
  reset(ProgressState::kSnapshot);
  pending_snapshot = snapshot_index;
  next = snapshot_index + 1;
  sent_commit = snapshot_index;
}

void Progress::sent_entries(std::size_t entries, std::uint64_t bytes) {
  if (state == ProgressState::kReplicate) {
    if (entries > 0) {
      next += entries;
      inflights.add(next - 1, bytes);
    }
    // An append that fills the window, or goes out while it is full, is a probe.
    append_paused = inflights.full();
  } else if (entries > 0) {
    append_paused = true;
  }
}

bool Progress::update(Index index) {
  if (index <= match) {
    return false;
  }
  match = index;
  next = std::max(next, index + 1);
  append_paused = false;
  return true;
}

bool Progress::decrease(Index rejected, Index hint) {
  if (state == ProgressState::kReplicate) {
    if (rejected <= match) {
      return false;
    }
    next = match + 1;
    sent_commit = std::min(sent_commit, next - 1);
    return true;
  }
  if (next - 1 != rejected) {
    return false;
  }
  next = std::max(std::min(rejected, hint + 1), match + 1);
  sent_commit = std::min(sent_commit, next - 1);
  append_paused = false;
  return true;
}

const char* text(ProgressState state) {
  switch (state) {
    case ProgressState::kProbe:
      return "StateProbe";
    case ProgressState::kReplicate:
      return "StateReplicate";
    case ProgressState::kSnapshot:
      return "StateSnapshot";
  }
  return "?";
}

std::string Progress::text() const { return describe(view_of(*this)); }

std::string describe(const ProgressView& view) {
  std::string out = std::string(text(view.state)) + " match=" + std::to_string(view.match) +
                    " next=" + std::to_string(view.next);
  out += view.learner ? " learner" : "";
  out += view.paused ? " paused" : "";
  if (view.pending_snapshot > 0) {
    out += " pendingSnap=" + std::to_string(view.pending_snapshot);
  }
  out += view.recent_active ? "" : " inactive";
  if (view.inflight > 0) {
    out += " inflight=" + std::to_string(view.inflight);
    out += view.inflight_full ? "[full]" : "";
  }
  return out;
}

ProgressView view_of(const Progress& progress) {
  return {.match = progress.match,
          .next = progress.next,
          .state = progress.state,
          .learner = progress.learner,
          .recent_active = progress.recent_active,
          .paused = progress.paused(),
          .pending_snapshot = progress.pending_snapshot,
          .inflight = progress.inflights.count(),
          .inflight_full = progress.inflights.full()};
}

}  // namespace andyx::raft
