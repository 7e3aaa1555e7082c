#include <algorithm>

#include "raft/core/planted.h"
#include "raft/core/raft.h"
#include "raft/core/raft_say.h"

namespace andyx::raft {

bool Raft::send_append(PeerId to, bool even_if_empty) {
  Progress& peer = membership_.progress.at(to);
  if (peer.paused()) {
    return false;
  }
  const Index previous = peer.next - 1;
  const auto previous_term = log_.term(previous);
  if (!previous_term) {
    return send_snapshot(to, peer);  // compacted
  }
  // With a full window an empty append keeps things going: if all of the window was lost, it is
  // rejected or acknowledged, and either empties it.
  std::vector<Entry> entries;
  if (peer.state != ProgressState::kReplicate || !peer.inflights.full()) {
    auto found = log_.entries(peer.next, config_.max_append_bytes);
    if (!found) {
      return even_if_empty && send_snapshot(to, peer);
    }
    entries = *std::move(found);
  }
  if (entries.empty() && !even_if_empty) {
    return false;
  }
  const std::size_t count = entries.size();
  const std::uint64_t bytes = payload_bytes(entries);
  send({.type = MessageType::kAppend,
        .to = to,
        .log_term = *previous_term,
        .index = previous,
        .commit = log_.committed(),
        .entries = std::move(entries)});
  peer.sent_entries(count, bytes);
  peer.sent_commit = log_.committed();
  return true;
}

bool Raft::send_snapshot(PeerId to, Progress& peer) {
  if (!peer.recent_active) {
    say(LogLevel::kDebug, "ignore sending snapshot to ", Hex{to},
        " since it is not recently active");
    return false;
  }
  const auto snapshot = log_.snapshot();
  if (!snapshot) {
    say(LogLevel::kDebug, Hex{id()}, " failed to send snapshot to ", Hex{to},
        " because snapshot is temporarily unavailable");
    return false;
  }
  const SnapshotMeta& meta = (*snapshot)->meta;
  if (meta.index == 0) {
    config_.logger->panic("need non-empty snapshot");
  }
  say(LogLevel::kDebug, Hex{id()}, " [firstindex: ", log_.first_index(),
      ", commit: ", log_.committed(), "] sent snapshot[index: ", meta.index, ", term: ", meta.term,
      "] to ", Hex{to}, " [", peer.text(), "]");
  peer.become_snapshot(meta.index);
  say(LogLevel::kDebug, Hex{id()}, " paused sending replication messages to ", Hex{to}, " [",
      peer.text(), "]");
  send({.type = MessageType::kSnapshot, .to = to, .snapshot = *snapshot});
  return true;
}

// The commit index is capped by what is known to match: the follower may have other entries there.
void Raft::send_heartbeat(PeerId to, Progress& peer, std::uint64_t round) {
  const Index commit = planted(Bug::kHeartbeatCommitUnchecked)
                           ? log_.committed()
                           : std::min(peer.match, log_.committed());
  send({.type = MessageType::kHeartbeat,
        .to = to,
        .commit = commit,
        .context = round,
        .tick = ticks_});
  peer.sent_commit = commit;
}

void Raft::broadcast_append() {
  for (const auto& [peer, progress] : membership_.progress) {
    if (peer != id()) {
      send_append(peer, true);
    }
  }
}

void Raft::broadcast_heartbeat() {
  const std::uint64_t round = reads_.round();
  for (auto& [peer, progress] : membership_.progress) {
    if (peer != id()) {
      send_heartbeat(peer, progress, round);
    }
  }
}

void Raft::send_timeout_now(PeerId to) {
  lease_void_ = true;
  send({.type = MessageType::kTimeoutNow, .to = to});
}

}  // namespace andyx::raft
