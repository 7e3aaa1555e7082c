// What a host does with a Ready: the order is the contract (raw_node.h). Both ways of storing: by
// ready() and advance(), and by messages to the storage threads.
#include <algorithm>
#include <utility>

#include "raft/core/planted.h"
#include "tests/sim/node.h"
#include "tests/sim/violation.h"

namespace andyx::raft::sim {

namespace {

std::optional<HardState> hard_state_of(const Message& message) {
  const HardState hard{.term = message.term, .vote = message.vote, .commit = message.commit};
  return hard.empty() ? std::nullopt : std::optional(hard);
}

}  // namespace

// Each function that may crash the node says so by false or an early return: nothing of it may be
// touched then.
bool Node::write(const std::vector<Entry>& entries, const std::optional<HardState>& hard,
                 const SnapshotPtr& snapshot) {
  disk_.begin_batch();
  if (snapshot) {
    environment_.checker().installing(id_, snapshot->meta);
    environment_.counts().snapshots++;
    // With entries in the same ready the commit index may be behind the snapshot: not before them.
    std::optional<HardState> with_snapshot = hard;
    if (with_snapshot) {
      with_snapshot->commit = snapshot->meta.index;
    }
    disk_.write(snapshot, with_snapshot);
    if (step_hits_crash()) {
      return false;
    }
  }
  if (!entries.empty()) {
    environment_.checker().writing(id_, disk_, entries);
    disk_.write(entries);
    if (step_hits_crash()) {
      return false;
    }
  }
  if (hard) {
    disk_.write(*hard);
  }
  disk_.end_batch();
  return !hard || !step_hits_crash();
}

bool Node::sync() {
  disk_.sync();
  environment_.checker().synced(id_, disk_);
  return !step_hits_crash();
}

void Node::send(std::vector<Message>& messages) {
  for (Message& message : messages) {
    environment_.checker().sending(message, disk_);
    environment_.send(std::move(message));
  }
  messages.clear();
}

void Node::begin_ready() {
  core_->ready(ready_);
  handling_ = true;
  read_states(ready_.read_states);
  if (!write(ready_.entries, ready_.hard_state, ready_.snapshot)) {
    return;
  }
  if (planted(Bug::kAckBeforeSync)) {
    send(ready_.messages);
  }
  if (ready_.must_sync || ready_.snapshot) {
    environment_.later(Later::kStorageDone, *this, sync_time());
  } else {
    persisted();
  }
}

void Node::storage_done() {
  if (options_.async_storage) {
    append_written();
  } else if (sync()) {
    persisted();
  }
}

void Node::persisted() {
  send(ready_.messages);
  if (ready_.snapshot) {
    restore(*ready_.snapshot);
  }
  if (!ready_.committed.empty() && options_.apply_max > 0) {
    applying_ = true;
    environment_.later(Later::kApplyDone, *this, 1 + rng_.below(options_.apply_max));
  } else {
    finish_ready();
  }
}

void Node::apply_done() {
  if (options_.async_storage) {
    run_apply_thread();
  } else if (applying_) {
    applying_ = false;
    finish_ready();
  }
}

void Node::finish_ready() {
  if (!apply(ready_.committed)) {
    return;
  }
  core_->advance();
  observe();
  handling_ = false;
  if (!paused_ && !options_.step_during_ready) {
    flush_inbox();
  } else {
    after_input();
  }
}

void Node::pump_async() {
  while (core_->has_ready()) {
    core_->ready(ready_);
    read_states(ready_.read_states);
    for (Message& message : ready_.messages) {
      if (message.to == kAppendThread) {
        append_queue_.push_back(std::move(message));
      } else if (message.to == kApplyThread) {
        apply_queue_.push_back(std::move(message));
      } else {
        environment_.checker().sending(message, disk_);
        environment_.send(std::move(message));
      }
    }
    ready_.messages.clear();
  }
  if (!apply_busy_ && !apply_queue_.empty()) {
    apply_busy_ = true;
    environment_.later(Later::kApplyDone, *this, 1 + rng_.below(options_.apply_max + 1));
  }
  run_append_thread();
}

// Takes what is queued, up to a few, writes it, and syncs once.
void Node::run_append_thread() {
  if (!appending_.empty() || append_queue_.empty()) {
    return;
  }
  const std::size_t batch = 1 + rng_.below(std::min<std::size_t>(append_queue_.size(), 4));
  for (std::size_t i = 0; i < batch; i++) {
    appending_.push_back(std::move(append_queue_.front()));
    append_queue_.pop_front();
  }
  for (const Message& message : appending_) {
    if (!write(message.entries, hard_state_of(message), message.snapshot)) {
      return;
    }
  }
  if (planted(Bug::kAckBeforeSync)) {
    for (Message& message : appending_) {
      std::vector<Message> early;
      for (const Message& response : message.responses) {
        if (response.to != id_) {
          early.push_back(response);
        }
      }
      std::erase_if(message.responses,
                    [this](const Message& response) { return response.to != id_; });
      send(early);
    }
  }
  environment_.later(Later::kStorageDone, *this, sync_time());
}

void Node::append_written() {
  if (!sync()) {
    return;
  }
  std::vector<Message> done;
  done.swap(appending_);
  for (Message& message : done) {
    if (message.snapshot && message.snapshot->meta.index > machine_.applied()) {
      restore(*message.snapshot);
    }
    for (Message& response : message.responses) {
      if (response.to != id_) {
        environment_.checker().sending(response, disk_);
        environment_.send(std::move(response));
      } else {
        environment_.checker().sending(response, disk_);
        static_cast<void>(core_->step(std::move(response)));
        observe();
      }
    }
  }
  answer_reads();
  after_input();
}

void Node::run_apply_thread() {
  apply_busy_ = false;
  if (apply_queue_.empty()) {
    return;
  }
  Message work = std::move(apply_queue_.front());
  apply_queue_.pop_front();
  if (!apply(work.entries)) {
    return;
  }
  for (Message& response : work.responses) {
    static_cast<void>(core_->step(std::move(response)));
    observe();
  }
  after_input();
}

void Node::restore(const Snapshot& snapshot) {
  if (!machine_.load(snapshot.data.span())) {
    violated("state machine safety", "peer " + std::to_string(id_) + ": a damaged snapshot");
  }
  conf_ = snapshot.meta.conf;
  restored_ = snapshot.meta.index;
  environment_.checker().state_at(id_, snapshot.meta.index, machine_, conf_);
  answer_reads();
}

bool Node::apply(const std::vector<Entry>& entries) {
  for (const Entry& entry : entries) {
    if (entry.index <= restored_ && options_.async_storage) {
      continue;  // a snapshot has overtaken it in the other thread
    }
    machine_.apply(entry);
    environment_.checker().applied(id_, entry, machine_);
    if (entry.type != EntryType::kNormal) {
      apply_change(entry);
    } else if (const auto command = decode_command(entry.data.span())) {
      environment_.clients().applied(id_, *command, machine_);
    }
    answer_reads();
  }
  return entries.empty() || save_state();
}

void Node::apply_change(const Entry& entry) {
  ConfChange change;
  if (!decode(entry.type, entry.data.span(), change)) {
    violated("state machine safety", "a membership change that nobody can read");
  }
  if (machine_.accepts(conf_, change)) {
    conf_ = core_->apply_conf_change(change);
    machine_.conf_changed();
    disk_.membership_changed(entry.index);
    observe();
  }
  environment_.checker().membership(id_, entry.index, conf_);
  environment_.changed(entry.index, conf_);
}

bool Node::save_state() {
  if (options_.durable_machine && rng_.one_in(4)) {
    disk_.save_machine(machine_, conf_);
    if (step_hits_crash()) {
      return false;
    }
  }
  return machine_.applied() < disk_.snapshot_index() + options_.snapshot_every || take_snapshot();
}

bool Node::take_snapshot() {
  Index index = machine_.applied();
  if (planted(Bug::kSnapshotBeforeApplied)) {
    index = std::max(index, std::min(core_->hard_state().commit, disk_.last_index()));
  }
  environment_.counts().snapshots++;
  disk_.save_snapshot(index, conf_, machine_.save());
  if (step_hits_crash()) {
    return false;
  }
  // What the core has not been told to be applied it may still read.
  const Index done = std::min(index, core_->applied());
  if (done > options_.snapshot_keeps) {
    disk_.compact(done - options_.snapshot_keeps);
  }
  return !step_hits_crash();
}

void Node::read_states(const std::vector<ReadState>& states) {
  for (const ReadState& state : states) {
    environment_.clients().read_indexed(id_, state.context, state.index);
    reads_.push_back(state);
  }
  answer_reads();
}

void Node::answer_reads() {
  if (reads_.empty()) {
    return;
  }
  std::erase_if(reads_, [this](const ReadState& read) {
    if (read.index > machine_.applied()) {
      return false;
    }
    environment_.clients().read_done(id_, read.context, machine_);
    return true;
  });
}

}  // namespace andyx::raft::sim
