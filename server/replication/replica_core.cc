#include "server/replication/replica_core.h"

#include <algorithm>
#include <cassert>
#include <string>

#include "protocol/base/planted.h"

namespace andyx::server {

ReplicaCore::ReplicaCore(NodeId self, Incarnation incarnation, LocalCopy& copy,
                         std::uint64_t first_request, ReplicaOptions options)
    : self_(self),
      incarnation_(incarnation),
      copy_(copy),
      options_(options),
      next_request_(first_request),
      first_current_(first_request) {}

void ReplicaCore::follow(MainEpoch epoch, NodeId main, std::uint64_t now_ms) {
  if (epoch < epoch_ || (epoch == epoch_ && main == main_)) return;
  assert(main != self_);
  const bool another = epoch != epoch_;
  epoch_ = epoch;
  main_ = main;
  matched_ = false;
  main_committed_ = 0;
  waiting_ = false;
  retry_at_ms_.reset();
  first_current_ = next_request_;
  if (!cutting_) cut_.reset();  // what the old main wanted cut, the new one may not
  doubt_since_ms_ = now_ms;
  if (failing_ && another) failing_ = false;
  if (planted(PlantedBug::kTruncatesToCommitted) && copy_.committed < copy_.end && !cutting_)
    cut({.from = copy_.committed, .restart_at = std::nullopt});
  pull(now_ms);
}

FetchEntry ReplicaCore::entry() const {
  return {.replica = self_,
          .incarnation = incarnation_,
          .main_epoch = epoch_,
          .request = next_request_,
          .fetch_offset = copy_.end,
          .last_epoch = copy_.epochs.last_epoch(),
          .durable = copy_.durable};
}

void ReplicaCore::pull(std::uint64_t now_ms) {
  if (main_ == 0 || cut_ || waiting_) return;
  actions_.emplace_back(SendFetch{.main = main_, .entry = entry(), .at_once = in_doubt()});
  ++next_request_;
  waiting_ = true;
  fetched_ms_ = now_ms;
  retry_at_ms_.reset();
}

// "At once, even on a parked poll" (1); once the main has said that it is its log of which so much
// is durable.
void ReplicaCore::report_progress() {
  if (main_ == 0 || !matched_ || cut_) return;
  FetchEntry progress = entry();
  progress.progress_only = true;
  ++next_request_;
  actions_.emplace_back(SendFetch{.main = main_, .entry = progress});
}

Status ReplicaCore::check_batches(const FetchAnswer& answer,
                                  std::span<const BatchSpan> batches) const {
  const auto refuse = [&](const std::string& why) {
    return fail(ErrorCode::kBadBatch, "answer to a fetch at offset " + std::to_string(copy_.end) +
                                          " in main epoch " + std::to_string(epoch_) + ": " + why);
  };
  if (answer.from != copy_.end) return refuse("begins at " + std::to_string(answer.from));
  Offset end = copy_.end;
  MainEpoch epoch = copy_.epochs.last_epoch();
  for (const BatchSpan& batch : batches) {
    if (batch.base != end || batch.end <= batch.base)
      return refuse("a batch begins at " + std::to_string(batch.base) + " instead of " +
                    std::to_string(end));
    if (batch.epoch < epoch || batch.epoch > epoch_)
      return refuse("a batch of epoch " + std::to_string(batch.epoch) + " comes after one of " +
                    std::to_string(epoch));
    end = batch.end;
    epoch = batch.epoch;
  }
  return {};
}

Status ReplicaCore::answered(const FetchAnswer& answer, std::span<const BatchSpan> batches,
                             std::uint64_t now_ms) {
  if (main_ == 0 || answer.main_epoch != epoch_ || cut_)
    return fail(ErrorCode::kNotMain, "answer of main epoch " + std::to_string(answer.main_epoch) +
                                         ", this replica follows " + std::to_string(epoch_));
  const bool current = answer.incarnation == incarnation_ && answer.request >= first_current_ &&
                       answer.request < next_request_;
  if (!current && !planted(PlantedBug::kTakesStaleAnswers))
    return fail(ErrorCode::kNotMain, "answer to an earlier request");
  switch (answer.kind) {
    case FetchAnswer::Kind::kRefused:
      waiting_ = false;
      retry_at_ms_ = now_ms + options_.refused_retry_ms;
      doubt(now_ms);
      return {};
    case FetchAnswer::Kind::kDiverged:
    case FetchAnswer::Kind::kReset:
      good_answer();
      diverged(answer);
      return {};
    case FetchAnswer::Kind::kMatched:
      break;
  }
  if (auto ok = check_batches(answer, batches); !ok) return ok;
  good_answer();
  matched_ = true;
  store(batches);
  take_offsets(answer);
  pull(now_ms);
  return {};
}

void ReplicaCore::doubt(std::uint64_t since_ms) {
  if (!in_doubt()) doubt_since_ms_ = since_ms;
}

void ReplicaCore::good_answer() {
  waiting_ = false;
  doubt_since_ms_.reset();
  if (!failing_) return;
  failing_ = false;
  actions_.emplace_back(PullsFailing{.epoch = epoch_, .failing = false});
}

void ReplicaCore::store(std::span<const BatchSpan> batches) {
  if (batches.empty()) return;
  const Offset from = copy_.end;
  for (const BatchSpan& batch : batches) {
    copy_.epochs.record(batch.epoch, batch.base);
    copy_.end = batch.end;
  }
  first_current_ = next_request_;
  actions_.emplace_back(StoreBatches{.from = from, .to = copy_.end});
}

// Up to where are the logs the same? At most to where the main's records of that epoch end, and at
// most to where the own ones of it do (4); then the main is asked once more.
void ReplicaCore::diverged(const FetchAnswer& answer) {
  first_current_ = next_request_;
  matched_ = false;
  const auto own = copy_.epochs.end_of(answer.epoch, copy_.end);
  const Offset from = own ? std::min(answer.epoch_end, own->end) : copy_.start;
  const bool nothing_left = answer.kind == FetchAnswer::Kind::kReset || from <= copy_.start;
  if (nothing_left) return cut({.from = copy_.start, .restart_at = answer.start});
  cut({.from = from, .restart_at = std::nullopt});
}

void ReplicaCore::cut(Cut cut) {
  cut_ = cut;
  cut_when_idle();
}

void ReplicaCore::cut_when_idle() {
  if (!cut_ || cutting_ || copy_.durable < copy_.end) return;
  cutting_ = true;
  actions_.emplace_back(CutLog{.from = cut_->from, .restart_at = cut_->restart_at});
}

void ReplicaCore::log_cut(std::uint64_t now_ms) {
  assert(cutting_);
  const Cut done = *cut_;
  cut_.reset();
  cutting_ = false;
  if (done.restart_at) {
    copy_.epochs.clear();
    copy_.start = copy_.end = copy_.durable = copy_.committed = *done.restart_at;
  } else {
    copy_.epochs.truncate(done.from);
    copy_.end = copy_.durable = done.from;
    copy_.committed = std::min(copy_.committed, done.from);
  }
  first_current_ = next_request_;
  waiting_ = false;
  doubt(now_ms);
  pull(now_ms);
}

void ReplicaCore::take_offsets(const FetchAnswer& answer) {
  main_committed_ = std::max(main_committed_, answer.committed);
  advance_committed();
  const Offset start = std::min(answer.start, copy_.committed);
  if (start <= copy_.start) return;
  copy_.start = start;
  copy_.epochs.trim(start);
  actions_.emplace_back(ReplicaStartMoved{start});
}

void ReplicaCore::advance_committed() {
  const Offset committed = planted(PlantedBug::kCommitsBeyondDurable)
                               ? main_committed_
                               : std::min(main_committed_, copy_.durable);
  if (committed <= copy_.committed) return;
  copy_.committed = committed;
  actions_.emplace_back(ReplicaCommittedMoved{committed});
}

void ReplicaCore::durable(Offset end, std::uint64_t now_ms) {
  assert(end <= copy_.end);
  if (end <= copy_.durable) return;
  copy_.durable = end;
  advance_committed();
  if (cut_) return cut_when_idle();
  if (waiting_) report_progress();
  pull(now_ms);
}

void ReplicaCore::store_refused(Offset from, std::uint64_t now_ms) {
  if (from >= copy_.end) return;
  assert(from >= copy_.durable);
  copy_.end = from;
  copy_.epochs.truncate(from);
  first_current_ = next_request_;
  waiting_ = false;
  // What was to be cut is gone already.
  if (cut_ && !cut_->restart_at && cut_->from >= copy_.end) cut_.reset();
  if (cut_) return cut_when_idle();
  retry_at_ms_ = now_ms + options_.refused_retry_ms;
}

void ReplicaCore::tick(std::uint64_t now_ms) {
  if (main_ == 0) return;
  const std::uint64_t timeout_ms =
      in_doubt() ? options_.answer_timeout_ms : options_.parked_timeout_ms;
  if (waiting_ && now_ms - fetched_ms_ >= timeout_ms) {
    waiting_ = false;
    doubt(now_ms);
  }
  if (!waiting_ && (!retry_at_ms_ || now_ms >= *retry_at_ms_)) pull(now_ms);
  if (cut_ || failing_ || !in_doubt() || now_ms - *doubt_since_ms_ < options_.failing_after_ms)
    return;
  failing_ = true;
  actions_.emplace_back(PullsFailing{.epoch = epoch_, .failing = true});
}

}  // namespace andyx::server
