#include "raft/core/describe.h"
#include "raft/core/raft.h"
#include "raft/core/raft_say.h"

namespace andyx::raft {

ConfState Raft::apply_conf_change(const ConfChange& change) {
  auto next = Changer(membership_, log_.last_index(), config_.max_inflight_appends,
                      config_.max_inflight_bytes)
                  .apply(change);
  if (!next) {
    config_.logger->panic(next.error());
  }
  switch_to(*std::move(next));
  return membership_.config.state();
}

void Raft::switch_to(Membership membership) {
  membership_ = std::move(membership);
  say(LogLevel::kInfo, Hex{id()}, " switched to configuration ", membership_.config.text());
  if (role_ != Role::kLeader) {
    return;
  }
  const Progress* const own = progress(id());
  if (own == nullptr || own->learner) {
    // Removed or demoted. It may have to lead on until the others know of it.
    if (config_.step_down_on_removal) {
      become_follower(term_, kNone);
    }
    return;
  }
  if (membership_.config.voters.incoming.empty()) {
    return;
  }
  if (try_commit()) {
    broadcast_append();  // a smaller quorum has committed more
  } else {
    for (const auto& [peer, progress] : membership_.progress) {
      if (peer != id()) {
        send_append(peer, false);  // new members need not wait for the next heartbeat
      }
    }
  }
  confirm_reads();
  if (transferee_ != kNone && !membership_.config.voters.contains(transferee_)) {
    transferee_ = kNone;
  }
}

}  // namespace andyx::raft
