#include "server/metadata/controller_core.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "protocol/base/limits.h"
#include "server/metadata/apply.h"
#include "server/metadata/snapshot.h"

namespace andyx::server {

namespace {

// Of an append: the log is of no use any more.
bool is_final(ErrorCode code) {
  return code == ErrorCode::kStorageFailed || code == ErrorCode::kIo ||
         code == ErrorCode::kCorrupt || code == ErrorCode::kDataLoss ||
         code == ErrorCode::kUnsupportedVersion;
}

Error no_longer_decides() {
  return {ErrorCode::kNotController,
          "this node was the controller when it decided that, and is no more"};
}

}  // namespace

ControllerCore::ControllerCore(ControllerCoreOptions options) : options_(options) {}

void ControllerCore::start() {
  if (std::exchange(started_, true)) return;
  advance();
}

void ControllerCore::propose(Proposal proposal) {
  if (failure_) return refuse(proposal, *failure_);
  if (stopping_) {
    return refuse(proposal, {ErrorCode::kShuttingDown, "the controller is stopping"});
  }
  if (!leader_.here) return hand_on(std::move(proposal));
  if (pending() >= options_.max_pending) {
    return refuse(proposal, {ErrorCode::kOverloaded, std::to_string(pending()) +
                                                         " changes of the metadata are waiting, "
                                                         "the most that the controller takes"});
  }
  waiting_.push_back(std::move(proposal));
  pump();
}

void ControllerCore::stop() {
  stopping_ = true;
  refuse_waiting({ErrorCode::kShuttingDown, "the controller is stopping"});
  maybe_stopped();
}

// ---- Leading ----

// Starts the next append when none is in flight.
void ControllerCore::pump() {
  while (current_ && !append_in_flight_ && !waiting_.empty()) {
    if (!fill_batch())
      complete_batch();  // nothing to write: all of it was refused or there already
  }
}

// Evaluates what waits, in order, each on the outcome of the one before. True when it has to be
// written.
bool ControllerCore::fill_batch() {
  assert(batch_.empty());
  draft_ = image_;
  batch_bytes_ = 0;
  std::vector<EntryBytes> entries;
  while (!waiting_.empty() && entries.size() < limits::kMaxMetadataAppendEntries &&
         batch_bytes_ < limits::kMaxMetadataAppendBytes) {
    Proposal proposal = std::move(waiting_.front());
    waiting_.pop_front();
    ControllerCompletion completion = evaluate(proposal, entries);
    batch_.push_back({std::move(proposal), std::move(completion)});
  }
  if (entries.empty()) return false;
  append_in_flight_ = true;
  actions_.append = ControllerAppend{image_->position, epoch_, std::move(entries)};
  return true;
}

ControllerCompletion ControllerCore::evaluate(const Proposal& proposal,
                                              std::vector<EntryBytes>& entries) {
  ControllerCompletion completion{.ticket = proposal.ticket, .image = draft_};
  // A repetition after an indeterminate append, whose entry turned out to be in the log.
  if (const auto known = draft_->commands.find(proposal.command_id)) {
    completion.result = known->result;
    return completion;
  }
  if (proposal.decided_in != 0 && proposal.decided_in != epoch_) {
    completion.status = std::unexpected(no_longer_decides());
    return completion;
  }
  auto resolved = resolve(*draft_, proposal.wish);
  if (!resolved) {
    completion.status = std::unexpected(std::move(resolved.error()));
    return completion;
  }
  if (!resolved->write) {
    completion.result = resolved->result;
    return completion;
  }
  EntryHead head{proposal.command_id, draft_->cluster_id, proposal.time_us, draft_->chain_hash};
  if (const auto* bootstrap = std::get_if<BootstrapCommand>(&resolved->command)) {
    head.cluster_id = bootstrap->cluster_id;
  }
  EntryBytes entry = encode_entry(head, resolved->command);
  auto applied = apply_entry(*draft_, entry);
  if (!applied) {
    completion.status = std::unexpected(std::move(applied.error()));
    return completion;
  }
  completion.status = applied->outcome.status;
  completion.result = applied->outcome.result;
  if (!completion.status) return completion;  // refused before it is written: the log stays clean
  draft_ = std::move(applied->image);
  completion.image = draft_;
  batch_bytes_ += entry.size();
  entries.push_back(std::move(entry));
  return completion;
}

void ControllerCore::on_append(const AppendResult& result) {
  assert(append_in_flight_);
  append_in_flight_ = false;
  if (failure_) return maybe_stopped();
  switch (result.outcome) {
    case AppendOutcome::kOk:
      on_appended(result);
      break;
    case AppendOutcome::kNotApplied:
      on_not_appended(result.error);
      break;
    case AppendOutcome::kMismatch:
    case AppendOutcome::kIndeterminate:
      // Evaluated again after the log was read; the command ids tell what had been written.
      requeue_batch();
      read_until_.reset();
      current_ = false;
      break;
    case AppendOutcome::kFenced:
      requeue_batch();
      step_down();
      // Whoever holds the epoch now may still be about to find out that it should not.
      if (may_lead()) ask_again({ErrorCode::kNotController, {}});
      break;
  }
  if (!failure_) advance();
}

void ControllerCore::on_appended(const AppendResult& result) {
  if (result.tail != draft_->position) {
    return fail_for_good({ErrorCode::kCorrupt, "the metadata log ends at " +
                                                   std::to_string(result.tail) + " instead of " +
                                                   std::to_string(draft_->position)});
  }
  entries_since_snapshot_ += draft_->position - image_->position;
  bytes_since_snapshot_ += batch_bytes_;
  publish(draft_);
  complete_batch();
  maybe_snapshot();
}

void ControllerCore::on_not_appended(const Error& error) {
  if (error.code == ErrorCode::kNotController || error.code == ErrorCode::kNoController) {
    for (InBatch& one : batch_) hand_on(std::move(one.proposal));
    batch_.clear();
    draft_.reset();
    return;
  }
  for (InBatch& one : batch_) one.completion.status = std::unexpected(error);
  complete_batch();
  if (is_final(error.code)) fail_for_good(error);
}

void ControllerCore::requeue_batch() {
  for (auto it = batch_.rbegin(); it != batch_.rend(); ++it) {
    waiting_.push_front(std::move(it->proposal));
  }
  batch_.clear();
  draft_.reset();
  if (!leader_.here) hand_on_waiting();
}

void ControllerCore::hand_on(Proposal proposal) {
  if (proposal.decided_in != 0) return refuse(proposal, no_longer_decides());
  actions_.hand_on.push_back(std::move(proposal));
}

void ControllerCore::hand_on_waiting() {
  for (Proposal& proposal : waiting_) hand_on(std::move(proposal));
  waiting_.clear();
}

void ControllerCore::publish(std::shared_ptr<const Image> image) {
  image_ = std::move(image);
  actions_.publish = image_;
}

void ControllerCore::complete_batch() {
  for (InBatch& one : batch_) actions_.completions.push_back(std::move(one.completion));
  batch_.clear();
  draft_.reset();
}

void ControllerCore::maybe_snapshot() {
  if (snapshot_in_flight_ || stopping_) return;
  if (entries_since_snapshot_ < options_.snapshot_entries &&
      bytes_since_snapshot_ < options_.snapshot_bytes) {
    return;
  }
  snapshot_in_flight_ = true;
  entries_since_snapshot_ = 0;
  bytes_since_snapshot_ = 0;
  actions_.put_snapshot = image_;
}

void ControllerCore::on_put_snapshot(Position position, const Status& status) {
  snapshot_in_flight_ = false;
  if (status) actions_.trim = position;  // without one the log stays whole until the next succeeds
  maybe_stopped();
}

void ControllerCore::maybe_stopped() {
  const bool busy = append_in_flight_ || snapshot_in_flight_ || asked_ != Asked::kNothing;
  if (!stopping_ || busy) return;
  refuse_waiting({ErrorCode::kShuttingDown, "the controller is stopping"});
  actions_.stopped = true;
}

void ControllerCore::refuse(const Proposal& proposal, const Error& error) {
  actions_.completions.push_back(
      {.ticket = proposal.ticket, .status = std::unexpected(error), .image = image_});
}

void ControllerCore::refuse_waiting(const Error& error) {
  for (const Proposal& proposal : waiting_) refuse(proposal, error);
  waiting_.clear();
}

void ControllerCore::give_up(Error error) {
  if (!failure_) fail_for_good(std::move(error));
}

void ControllerCore::fail_for_good(Error error) {
  failure_ = error;
  current_ = false;
  if (std::exchange(leading_, false)) actions_.role = false;
  for (const InBatch& one : batch_) refuse(one.proposal, error);
  batch_.clear();
  draft_.reset();
  refuse_waiting(error);
  actions_.failed = std::move(error);
  maybe_stopped();
}

}  // namespace andyx::server
