// What the leader knows of one peer's log, and how it sends to it. Value.
#pragma once

#include <map>
#include <string>

#include "raft/core/inflights.h"
#include "raft/core/raw_node.h"
#include "raft/core/types.h"

namespace andyx::raft {

struct Progress {
  Progress(Index next_index, std::uint32_t max_inflight, std::uint64_t max_inflight_bytes)
      : next(next_index), inflights(max_inflight, max_inflight_bytes) {}

  Index match = 0;  // the peer's log is known to be the leader's up to here
  Index next;       // the next entry to send; match < next. In kSnapshot: pending_snapshot + 1
  // The highest commit index that was sent. May fall when the peer is probed again.
  Index sent_commit = 0;
  // kProbe: one append at a time, to find where the logs part. kReplicate: a window of them.
  // kSnapshot: none until the snapshot was received.
  ProgressState state = ProgressState::kProbe;
  Index pending_snapshot = 0;  // index of the snapshot that was sent; kSnapshot only
  bool recent_active = false;  // heard of since the last quorum check
  // In kProbe after a probe, in kReplicate with a full window: until a heartbeat is answered.
  bool append_paused = false;
  Inflights inflights;
  bool learner = false;
  std::uint64_t lease_tick = 0;  // of the leader, when it sent the newest heartbeat answered

  void become_probe();
  void become_replicate();
  void become_snapshot(Index snapshot_index);

  void sent_entries(std::size_t entries, std::uint64_t bytes);  // kProbe, kReplicate
  // Could sending `commit` move the peer's commit index?
  bool can_bump_commit(Index commit) const {
    return commit > sent_commit && sent_commit < next - 1;
  }
  // An append up to `index` was acknowledged; false: known already.
  bool update(Index index);
  // An append after `rejected` was refused; the logs may match at `hint`. False: a stale refusal.
  bool decrease(Index rejected, Index hint);
  bool paused() const { return append_paused || state == ProgressState::kSnapshot; }

  std::string text() const;  // describe(view_of(*this))

 private:
  void reset(ProgressState to);
};

using ProgressMap = std::map<PeerId, Progress>;

const char* text(ProgressState state);
ProgressView view_of(const Progress& progress);
std::string describe(const ProgressView& view);

}  // namespace andyx::raft
