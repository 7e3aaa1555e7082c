#include "server/metadata/controller_core.h"

#include <cassert>
#include <utility>

#include "protocol/base/limits.h"
#include "server/metadata/apply.h"
#include "server/metadata/snapshot.h"

namespace andyx::server {

ControllerCore::ControllerCore(ControllerCoreOptions options) : options_(options) {}

void ControllerCore::start() {
  if (state_ != State::kNew) return;
  state_ = State::kCampaign;
  actions_.campaign = true;
}

void ControllerCore::propose(Proposal proposal) {
  if (failure_) return refuse(proposal, *failure_);
  if (stopping_) {
    return refuse(proposal, {ErrorCode::kShuttingDown, "the controller is stopping"});
  }
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

void ControllerCore::on_campaign(Result<ControllerEpoch> epoch) {
  if (!epoch) return fail_for_good(std::move(epoch.error()));
  if (*epoch <= epoch_) {
    return fail_for_good({ErrorCode::kDataLoss, "the metadata log gave epoch " +
                                                    std::to_string(*epoch) + " after epoch " +
                                                    std::to_string(epoch_) + ": it went back"});
  }
  epoch_ = *epoch;
  state_ = State::kSnapshot;
  actions_.get_snapshot = true;
}

void ControllerCore::on_get_snapshot(Result<std::optional<ImageSnapshotBytes>> snapshot) {
  if (!snapshot) return fail_for_good(std::move(snapshot.error()));
  if (*snapshot) {
    auto image = decode_snapshot((*snapshot)->bytes);
    if (!image) return fail_for_good(std::move(image.error()));
    if ((*image)->position != (*snapshot)->position) {
      return fail_for_good({ErrorCode::kCorrupt, "the metadata snapshot for position " +
                                                     std::to_string((*snapshot)->position) +
                                                     " is of position " +
                                                     std::to_string((*image)->position)});
    }
    image_ = std::move(*image);
  }
  ask_tail();
}

void ControllerCore::ask_tail() {
  state_ = State::kTail;
  actions_.tail = true;
}

void ControllerCore::on_tail(Result<Position> tail) {
  if (!tail) return fail_for_good(std::move(tail.error()));
  if (*tail < image_->position) {
    return fail_for_good(
        {ErrorCode::kDataLoss, "the metadata log ends at " + std::to_string(*tail) +
                                   ", but was known up to " + std::to_string(image_->position) +
                                   ": it went back"});
  }
  read_until_ = *tail;
  follow();
}

// Reads on to the tail; then leads.
void ControllerCore::follow() {
  if (image_->position < read_until_) {
    state_ = State::kRead;
    actions_.read = image_->position;
    return;
  }
  state_ = State::kLeading;
  publish(image_);
  if (stopping_) return maybe_stopped();
  maybe_snapshot();
  pump();
}

void ControllerCore::on_read(Result<std::vector<LogEntry>> entries) {
  if (!entries) return fail_for_good(std::move(entries.error()));
  if (entries->empty()) {
    return fail_for_good({ErrorCode::kDataLoss,
                          "the metadata log has no entry at " + std::to_string(image_->position) +
                              ", but its tail is " + std::to_string(read_until_)});
  }
  for (const LogEntry& entry : *entries) {
    if (entry.position != image_->position) {
      return fail_for_good({ErrorCode::kCorrupt, "the metadata log gave the entry at " +
                                                     std::to_string(entry.position) + " for " +
                                                     std::to_string(image_->position)});
    }
    auto applied = apply_entry(*image_, entry.bytes);
    if (!applied) return fail_for_good(std::move(applied.error()));
    image_ = std::move(applied->image);
    ++entries_since_snapshot_;
    bytes_since_snapshot_ += entry.bytes.size();
  }
  follow();
}

// Starts the next append when none is in flight.
void ControllerCore::pump() {
  while (state_ == State::kLeading && !append_in_flight_ && !waiting_.empty()) {
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
  switch (result.outcome) {
    case AppendOutcome::kOk: {
      if (result.tail != draft_->position) {
        return fail_for_good(
            {ErrorCode::kCorrupt, "the metadata log ends at " + std::to_string(result.tail) +
                                      " instead of " + std::to_string(draft_->position)});
      }
      entries_since_snapshot_ += draft_->position - image_->position;
      bytes_since_snapshot_ += batch_bytes_;
      publish(draft_);
      complete_batch();
      maybe_snapshot();
      break;
    }
    case AppendOutcome::kNotApplied:
      for (InBatch& one : batch_) one.completion.status = std::unexpected(result.error);
      complete_batch();
      break;
    case AppendOutcome::kMismatch:
    case AppendOutcome::kIndeterminate:
      // Evaluated again after the log was read; the command ids tell what had been written.
      for (auto it = batch_.rbegin(); it != batch_.rend(); ++it) {
        waiting_.push_front(std::move(it->proposal));
      }
      batch_.clear();
      return ask_tail();
    case AppendOutcome::kFenced:
      return fail_for_good({ErrorCode::kNotMain, "another controller has taken over from epoch " +
                                                     std::to_string(epoch_) + ": " +
                                                     result.error.message});
  }
  if (stopping_) return maybe_stopped();
  pump();
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
  if (!stopping_ || append_in_flight_ || snapshot_in_flight_) return;
  const bool asking = state_ == State::kCampaign || state_ == State::kSnapshot ||
                      state_ == State::kTail || state_ == State::kRead;
  if (asking) return;
  refuse_waiting({ErrorCode::kShuttingDown, "the controller is stopping"});
  state_ = State::kStopped;
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

void ControllerCore::fail_for_good(Error error) {
  state_ = State::kStopped;
  failure_ = error;
  for (const InBatch& one : batch_) refuse(one.proposal, error);
  batch_.clear();
  draft_.reset();
  refuse_waiting(error);
  actions_.failed = std::move(error);
  maybe_stopped();
}

}  // namespace andyx::server
