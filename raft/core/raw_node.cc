#include "raft/core/raw_node.h"

#include <utility>

#include "raft/core/raft.h"

namespace andyx::raft {

namespace {

Message proposal(PeerId from, std::vector<Entry> entries) {
  return {.type = MessageType::kPropose, .from = from, .entries = std::move(entries)};
}

// The end of the unstable log, and the term in which the write is asked for: see
// Raft::storage_append_done.
Message storage_append_reply(const Raft& raft, const SnapshotPtr& snapshot) {
  Message reply{.type = MessageType::kStorageAppendReply,
                .from = kAppendThread,
                .to = raft.id(),
                .term = raft.hard_state().term,
                .snapshot = snapshot};
  if (!raft.log().unstable().entries().empty()) {
    const EntryId last = raft.log().last();
    reply.index = last.index;
    reply.log_term = last.term;
  }
  return reply;
}

bool needs_storage_append_reply(const Raft& raft, const Ready& ready) {
  return !raft.log().unstable().entries().empty() || ready.snapshot;
}

Message storage_apply_reply(const Raft& raft, const std::vector<Entry>& entries) {
  return {.type = MessageType::kStorageApplyReply,
          .from = kApplyThread,
          .to = raft.id(),
          .entries = entries};
}

}  // namespace

const char* text(StepError error) {
  switch (error) {
    case StepError::kProposalDropped:
      return "raft proposal dropped";
    case StepError::kLocalMessage:
      return "raft: cannot step raft local message";
    case StepError::kPeerNotFound:
      return "raft: cannot step as peer not found";
    case StepError::kMalformed:
      return "raft: malformed message";
    case StepError::kContradiction:
      return "raft: message contradicts what is committed or matched here";
  }
  return "?";
}

void Ready::clear() {
  soft_state.reset();
  hard_state.reset();
  read_states.clear();
  entries.clear();
  snapshot = nullptr;
  committed.clear();
  messages.clear();
  must_sync = false;
}

struct RawNode::Pending {
  SoftState soft;
  HardState hard;
  std::vector<Message> steps_on_advance;  // what the storage threads would answer
};

RawNode::RawNode(const Config& config)
    : raft_(std::make_unique<Raft>(config)), pending_(std::make_unique<Pending>()) {
  pending_->soft = raft_->soft_state();
  pending_->hard = raft_->hard_state();
}

RawNode::~RawNode() = default;
RawNode::RawNode(RawNode&&) noexcept = default;

void RawNode::tick() { raft_->tick(); }

StepResult RawNode::campaign() { return raft_->step({.type = MessageType::kHup}); }

StepResult RawNode::propose(SharedBytes data) {
  std::vector<Entry> entries(1);
  entries[0].data = std::move(data);
  return raft_->step(proposal(raft_->id(), std::move(entries)));
}

StepResult RawNode::propose(std::vector<SharedBytes> data) {
  std::vector<Entry> entries(data.size());
  for (std::size_t at = 0; at < data.size(); at++) {
    entries[at].data = std::move(data[at]);
  }
  return raft_->step(proposal(raft_->id(), std::move(entries)));
}

StepResult RawNode::propose_conf_change(const ConfChange& change) {
  std::vector<Entry> entries(1);
  entries[0].type = change.v1 ? EntryType::kConfChange : EntryType::kConfChangeV2;
  entries[0].data = encode(change);
  return raft_->step(proposal(kNone, std::move(entries)));
}

ConfState RawNode::apply_conf_change(const ConfChange& change) {
  return raft_->apply_conf_change(change);
}

StepResult RawNode::step(Message message) {
  const bool from_thread = is_storage_thread(message.from);
  if (is_local(message.type) && !from_thread) {
    return std::unexpected(StepError::kLocalMessage);
  }
  if (is_reply(message.type) && !from_thread && !raft_->known(message.from)) {
    return std::unexpected(StepError::kPeerNotFound);
  }
  return raft_->step(std::move(message));
}

bool RawNode::has_ready() const {
  const Raft& raft = *raft_;
  const bool unstable_allowed = !raft.config().async_storage_writes;
  const HardState hard = raft.hard_state();
  return raft.soft_state() != pending_->soft || (!hard.empty() && hard != pending_->hard) ||
         raft.log().unstable().next_snapshot() || !raft.messages().empty() ||
         !raft.messages_after_append().empty() || !raft.log().unstable().next_entries().empty() ||
         raft.log().has_next_committed(unstable_allowed) || !raft.read_states().empty();
}

void RawNode::ready(Ready& ready) {
  Raft& raft = *raft_;
  const bool async = raft.config().async_storage_writes;
  ready.clear();
  const auto unstable = raft.log().unstable().next_entries();
  ready.entries.assign(unstable.begin(), unstable.end());
  ready.committed = raft.log().next_committed(!async);
  ready.messages.swap(raft.messages());
  ready.read_states.swap(raft.read_states());
  ready.snapshot = raft.log().unstable().next_snapshot();
  if (const SoftState soft = raft.soft_state(); soft != pending_->soft) {
    ready.soft_state = soft;
    pending_->soft = soft;
  }
  const HardState hard = raft.hard_state();
  ready.must_sync = !ready.entries.empty() || hard.term != pending_->hard.term ||
                    hard.vote != pending_->hard.vote;
  if (hard != pending_->hard) {
    ready.hard_state = hard;
    pending_->hard = hard;
  }

  std::vector<Message>& after_append = raft.messages_after_append();
  if (async) {
    if (!ready.entries.empty() || ready.hard_state || ready.snapshot || !after_append.empty()) {
      const HardState written = ready.hard_state.value_or(HardState{});
      Message append{.type = MessageType::kStorageAppend,
                     .from = raft.id(),
                     .to = kAppendThread,
                     .term = written.term,
                     .commit = written.commit,
                     .vote = written.vote,
                     .entries = ready.entries,
                     .snapshot = ready.snapshot,
                     .responses = std::move(after_append)};
      if (needs_storage_append_reply(raft, ready)) {
        // Behind the acknowledgements of this peer itself: those find the terms they ask for among
        // the unstable entries.
        append.responses.push_back(storage_append_reply(raft, ready.snapshot));
      }
      ready.messages.push_back(std::move(append));
    }
    if (!ready.committed.empty()) {
      ready.messages.push_back({.type = MessageType::kStorageApply,
                                .from = raft.id(),
                                .to = kApplyThread,
                                .entries = ready.committed,
                                .responses = {storage_apply_reply(raft, ready.committed)}});
    }
  } else {
    if (!pending_->steps_on_advance.empty()) {
      raft.config().logger->panic("two accepted Ready structs without call to Advance");
    }
    for (Message& message : after_append) {
      std::vector<Message>& to =
          message.to == raft.id() ? pending_->steps_on_advance : ready.messages;
      to.push_back(std::move(message));
    }
    if (needs_storage_append_reply(raft, ready)) {
      pending_->steps_on_advance.push_back(storage_append_reply(raft, ready.snapshot));
    }
    if (!ready.committed.empty()) {
      pending_->steps_on_advance.push_back(storage_apply_reply(raft, ready.committed));
    }
  }
  after_append.clear();
  raft.log().unstable().accept_in_progress();
  if (!ready.committed.empty()) {
    raft.log().accept_applying(ready.committed.back().index, encoded_bytes(ready.committed),
                               !async);
  }
}

void RawNode::advance() {
  if (raft_->config().async_storage_writes) {
    raft_->config().logger->panic("Advance must not be called when using AsyncStorageWrites");
  }
  std::vector<Message> steps;
  steps.swap(pending_->steps_on_advance);
  for (Message& message : steps) {
    static_cast<void>(raft_->step(std::move(message)));
  }
  steps.clear();
  if (pending_->steps_on_advance.empty()) {
    pending_->steps_on_advance.swap(steps);  // keeps the capacity
  }
}

void RawNode::report_unreachable(PeerId peer) {
  static_cast<void>(raft_->step({.type = MessageType::kUnreachable, .from = peer}));
}

void RawNode::report_snapshot(PeerId peer, bool failed) {
  static_cast<void>(
      raft_->step({.type = MessageType::kSnapshotStatus, .from = peer, .reject = failed}));
}

void RawNode::transfer_leader(PeerId to) {
  static_cast<void>(raft_->step({.type = MessageType::kTransferLeader, .from = to}));
}

StepResult RawNode::forget_leader() { return raft_->step({.type = MessageType::kForgetLeader}); }

void RawNode::step_down() { raft_->step_down(); }

void RawNode::read_index(std::uint64_t context) {
  static_cast<void>(raft_->step({.type = MessageType::kReadIndex, .context = context}));
}

NodeStatus RawNode::status() const { return raft_->status(); }
HardState RawNode::hard_state() const { return raft_->hard_state(); }
SoftState RawNode::soft_state() const { return raft_->soft_state(); }
Index RawNode::applied() const { return raft_->log().applied(); }
Index RawNode::last_index() const { return raft_->log().last_index(); }
ConfState RawNode::conf_state() const { return raft_->membership().config.state(); }

void RawNode::set_randomized_election_timeout(std::uint32_t ticks) {
  raft_->set_randomized_election_timeout(ticks);
}

}  // namespace andyx::raft
