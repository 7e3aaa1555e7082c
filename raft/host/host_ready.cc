// What the core asks for: storage work, messages, entries to apply.
#include <algorithm>
#include <initializer_list>
#include <utility>

#include "raft/host/host_core.h"

namespace andyx::raft {
namespace {

constexpr std::uint64_t kUndecidedElections = 10;  // see ProposalOutcome::kIndeterminate

}  // namespace

void HostCore::drain() {
  if (draining_) return;
  draining_ = true;
  while (running() && node_->has_ready()) {
    node_->ready(ready_);
    handle(ready_);
  }
  draining_ = false;
  flush();
}

void HostCore::handle(Ready& ready) {
  if (ready.soft_state) handle_soft_state(*ready.soft_state);
  for (const ReadState& read : ready.read_states) reads_.confirmed(read.context, read.index);
  if (!ready.read_states.empty()) reads_.applied(applied_);
  for (Message& message : ready.messages) {
    if (!running()) return;
    if (message.to == kAppendThread) {
      storage_append(std::move(message), ready.must_sync);
    } else if (message.to == kApplyThread) {
      storage_apply(std::move(message));
    } else {
      send(std::move(message));
    }
  }
}

void HostCore::handle_soft_state(const SoftState& soft) {
  const SoftState before = std::exchange(soft_, soft);
  proposals_.set_leader(soft.leader);
  if (before.role == Role::kLeader && soft.role != Role::kLeader) {
    const auto election_ms = std::uint64_t{options_.tick_ms} * options_.election_ticks;
    proposals_.leadership_lost(loop_.now_ms() + kUndecidedElections * election_ms);
  }
  // What the former leader was asked it may never answer.
  if (soft.leader != before.leader && soft.leader != kNone) {
    for (const auto context : reads_.unconfirmed()) node_->read_index(context);
  }
  for (const auto& changed : leader_watchers_) changed(soft, node_->hard_state().term);
}

// ---- Storage ----

void HostCore::storage_append(Message message, bool must_sync) {
  StoreWrite write;
  if (message.term != 0 || message.vote != kNone || message.commit != 0) {
    write.hard = HardState{.term = message.term, .vote = message.vote, .commit = message.commit};
  }
  // A commit index alone needs none: what its responses acknowledge lies in writes before this one,
  // which are synced, and done first.
  write.sync = must_sync || message.snapshot != nullptr;
  write.snapshot = message.snapshot;
  write.entries = std::move(message.entries);
  store_.write(std::move(write), [&loop = loop_, weak = weak_from_this(),
                                  responses = std::move(message.responses),
                                  snapshot = message.snapshot]() mutable {
    if (responses.empty() && snapshot == nullptr) return;
    loop.post([weak, responses = std::move(responses), snapshot = std::move(snapshot)]() mutable {
      if (auto self = weak.lock(); self != nullptr && self->running()) {
        self->appended(std::move(responses), snapshot);
      }
    });
  });
}

// Durable. A snapshot is put into force before the core hears of it.
void HostCore::appended(std::vector<Message> responses, const SnapshotPtr& snapshot) {
  if (snapshot != nullptr && snapshot->meta.index > applied_) {
    if (auto restored = machine_.restore(*snapshot); !restored) {
      stop(restored.error());
      return;
    }
    applied_ = snapshot->meta.index;
    applied_term_ = snapshot->meta.term;
    snapshots_.restored(applied_);
    proposals_.restored(applied_);
    reads_.applied(applied_);
  }
  deliver_ticks();
  respond(std::move(responses));
  drain();
}

void HostCore::respond(std::vector<Message> responses) {
  for (Message& response : responses) {
    if (response.to == options_.store.identity.peer) {
      static_cast<void>(node_->step(std::move(response)));
    } else {
      send(std::move(response));
    }
  }
}

void HostCore::storage_apply(Message message) {
  for (const Entry& entry : message.entries) {
    if (failing_ || !apply(entry)) return;
  }
  reads_.applied(applied_);
  respond(std::move(message.responses));
  maybe_snapshot();
}

bool HostCore::apply(const Entry& entry) {
  if (entry.type != EntryType::kNormal) {
    ConfChange change;
    if (!decode(entry.type, entry.data.span(), change)) {
      panic("a committed membership change does not decode");
    }
    node_->apply_conf_change(change);
  } else if (!entry.data.empty()) {
    if (auto applied = machine_.apply(entry); !applied) {
      failing_ = true;
      stop_soon(applied.error());
      return false;
    }
  }
  applied_ = entry.index;
  applied_term_ = entry.term;
  snapshots_.applied(entry.index, entry.encoded_bytes());
  proposals_.applied(entry.term, entry.index);
  return true;
}

void HostCore::maybe_snapshot() {
  if (failing_ || !snapshots_.due()) return;
  const Index forget_to = snapshots_.begin();
  auto snapshot = std::make_shared<Snapshot>(
      Snapshot{.meta = {.index = applied_, .term = applied_term_, .conf = node_->conf_state()},
               .data = machine_.take_snapshot()});
  if (snapshot->data.size() > limits::kMaxRaftSnapshotBytes) {
    log(LogLevel::kError, "a snapshot of " + std::to_string(snapshot->data.size()) +
                              " bytes cannot be sent to peers: the limit is " +
                              std::to_string(limits::kMaxRaftSnapshotBytes));
  }
  snapshot_saving_ = std::exchange(snapshot_asked_, {});
  store_.save_snapshot(std::move(snapshot), [&loop = loop_, weak = weak_from_this(), forget_to] {
    loop.post([weak, forget_to] {
      auto self = weak.lock();
      if (self == nullptr || !self->running()) return;
      for (auto& done : std::exchange(self->snapshot_saving_, {})) done({});
      self->snapshots_.saved();
      self->store_.compact(forget_to);
      self->maybe_snapshot();  // asked for meanwhile
    });
  });
}

// ---- Sending ----

void HostCore::send(Message message) {
  const bool campaigns =
      message.type == MessageType::kVote || message.type == MessageType::kPreVote;
  if (disk_hangs_ && campaigns) return;
  outbox_[message.to].push_back(std::move(message));
}

// All that one loop turn has for a peer goes out together.
void HostCore::flush() {
  if (!running()) return;
  for (auto& [peer, messages] : outbox_) {
    std::vector<Message> plain;
    bool lost = false;
    for (Message& message : messages) {
      if (message.type != MessageType::kSnapshot) {
        plain.push_back(std::move(message));
      } else if (!send_snapshot(peer, message)) {
        node_->report_snapshot(peer, true);
      }
    }
    if (!plain.empty()) lost = !transport_->send(peer, plain);
    if (lost) node_->report_unreachable(peer);
    messages.clear();
  }
  maybe_snapshot();
}

// A peer takes no snapshot that does not name it as a member. The newest one may be older than its
// membership: then the core asks again, for one that is taken now.
bool HostCore::send_snapshot(PeerId to, const Message& message) {
  const ConfState& conf = message.snapshot->meta.conf;
  const auto lists = {&conf.voters, &conf.voters_outgoing, &conf.learners, &conf.learners_next};
  const bool named = std::ranges::any_of(
      lists, [to](const auto* list) { return std::ranges::binary_search(*list, to); });
  if (named) return transport_->send_snapshot(to, message);
  snapshots_.want();
  return false;
}

}  // namespace andyx::raft
