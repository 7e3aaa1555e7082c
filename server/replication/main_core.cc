#include "server/replication/main_core.h"

#include <algorithm>
#include <cassert>
#include <string>

#include "common_generated.h"
#include "protocol/base/planted.h"

namespace andyx::server {

using protocol::Acks;

MainCore::MainCore(NodeId self, const ReplicationRecord& record, LocalCopy& copy,
                   std::uint64_t heard_ms, std::uint64_t now_ms, MainOptions options)
    : self_(self),
      epoch_(record.main_epoch),
      copy_(copy),
      options_(options),
      record_(record),
      election_end_(copy.end),
      sent_end_(copy.end),
      heard_ms_(heard_ms) {
  assert(record.main == self);
  adopt_peers(now_ms);
  advance_committed(now_ms);
  if (planted(PlantedBug::kServesBeforeElectionEnd)) serving_ = true;
}

// Keeps what is known of a replica as long as it lives.
void MainCore::adopt_peers(std::uint64_t now_ms) {
  std::vector<Peer> before = std::exchange(peers_, {});
  for (const ReplicaMember& member : record_.replicas) {
    if (member.node == self_) continue;
    const auto known = std::ranges::find(before, member.node, &Peer::node);
    if (known != before.end() && known->incarnation == member.incarnation) {
      peers_.push_back(std::move(*known));
      before.erase(known);
      continue;
    }
    // Somebody new has as long to catch up as somebody who falls behind.
    peers_.push_back({.node = member.node,
                      .incarnation = member.incarnation,
                      .caught_up_ms = now_ms,
                      .probe_ms = now_ms,
                      .probe_end = copy_.end});
  }
  for (Peer& gone : before) {
    if (!gone.parked) continue;
    answer(gone, gone.parked->entry, {.refusal = FetchRefusal::kStaleIncarnation});
  }
}

Status MainCore::may_append(Acks level, std::uint64_t now_ms) const {
  if (resigned_)
    return fail(ErrorCode::kNotMain, "main epoch " + std::to_string(epoch_) + " has ended");
  if (spent_)
    return fail(ErrorCode::kNotMain, "main epoch " + std::to_string(epoch_) +
                                         " takes no more after a refused write, the next one will");
  if (level == Acks::quorum && counted_members() < record_.min_in_sync)
    return fail(ErrorCode::kNotInSync, std::to_string(record_.in_sync.size()) +
                                           " copies are in sync, min-in-sync is " +
                                           std::to_string(record_.min_in_sync));
  if (level != Acks::quorum && !heard_controller(now_ms))
    return fail(ErrorCode::kNotMain,
                "cut off from the controller: another node may be main by now");
  return {};
}

void MainCore::appended(Offset end, Acks level, std::uint64_t token, std::uint64_t now_ms) {
  assert(!resigned_ && !spent_ && end > copy_.end);
  copy_.epochs.record(epoch_, copy_.end);
  copy_.end = end;
  if (level == Acks::none) actions_.emplace_back(AnswerProducer{token, ErrorCode::kOk});
  if (level == Acks::main) main_waiters_.push(end, token);
  if (level == Acks::quorum) quorum_waiters_.push(end, token);
  wake_parked(now_ms, false);
}

void MainCore::duplicate(Offset end, Acks level, std::uint64_t token, std::uint64_t now_ms) {
  assert(end <= copy_.end);
  // Nothing is stored by this request, but its original may be: never "not stored".
  const bool cut_off = level != Acks::quorum && !heard_controller(now_ms);
  const bool too_few =
      level == Acks::quorum && end > copy_.committed && counted_members() < record_.min_in_sync;
  if (resigned_ || cut_off || too_few) {
    actions_.emplace_back(AnswerProducer{token, ErrorCode::kTimedOut});
    return;
  }
  if (level == Acks::none || planted(PlantedBug::kDuplicateAnsweredEarly)) {
    actions_.emplace_back(AnswerProducer{token, ErrorCode::kOk});
    return;
  }
  (level == Acks::main ? main_waiters_ : quorum_waiters_).push(end, token);
  answer_waiters(main_waiters_, copy_.durable, true, now_ms);
  answer_waiters(quorum_waiters_, copy_.committed, false, now_ms);
}

void MainCore::durable(Offset end, std::uint64_t now_ms) {
  assert(end <= copy_.end);
  if (end <= copy_.durable) return;
  copy_.durable = end;
  if (resigned_) return;
  answer_waiters(main_waiters_, copy_.durable, true, now_ms);
  advance_committed(now_ms);
}

void MainCore::append_refused(Offset from, std::uint64_t now_ms) {
  if (resigned_ || from >= copy_.end) return;
  assert(from >= copy_.durable);
  const bool sent = sent_end_ > from;
  const ErrorCode error = sent ? ErrorCode::kTimedOut : ErrorCode::kDiskFull;
  fail_waiters(main_waiters_, from, error);
  fail_waiters(quorum_waiters_, from, error);
  copy_.end = from;
  copy_.epochs.truncate(from);
  election_end_ = std::min(election_end_, from);
  if (!sent || spent_ || planted(PlantedBug::kReusesSentOffsets)) return;
  spent_ = true;
  ask_for_new_epoch(now_ms);
}

void MainCore::ask_for_new_epoch(std::uint64_t now_ms) {
  asked_ms_ = now_ms;
  actions_.emplace_back(AskForNewEpoch{});
}

void MainCore::start_advanced(Offset start) {
  assert(start <= copy_.committed);
  if (start <= copy_.start) return;
  copy_.start = start;
  copy_.epochs.trim(start);
}

void MainCore::image_moved(const ReplicationRecord& record, std::uint64_t now_ms) {
  if (resigned_ || record.main_epoch < epoch_ || record.version < record_.version) return;
  if (record.main_epoch > epoch_) return resign();
  record_ = record;
  // Whatever was proposed for an earlier version has come to pass by now, or never will.
  if (pending_ && pending_->version < record_.version) {
    pending_.reset();
    joiners_.clear();
  }
  adopt_peers(now_ms);
  advance_committed(now_ms);
  // What waits for more copies than there are may wait for ever (2).
  if (counted_members() < record_.min_in_sync)
    fail_waiters(
        quorum_waiters_, 0,
        planted(PlantedBug::kInFlightNotStored) ? ErrorCode::kNotInSync : ErrorCode::kTimedOut);
  change_set(now_ms);
}

void MainCore::resign() {
  resigned_ = true;
  pending_.reset();
  const ErrorCode error =
      planted(PlantedBug::kAcksAfterEpoch) ? ErrorCode::kOk : ErrorCode::kTimedOut;
  fail_waiters(main_waiters_, 0, error);
  fail_waiters(quorum_waiters_, 0, error);
  for (Peer& peer : peers_) {
    if (peer.parked) answer(peer, peer.parked->entry, {.refusal = FetchRefusal::kWrongEpoch});
  }
}

void MainCore::controller_answered(std::uint64_t asked_ms) {
  heard_ms_ = std::max(heard_ms_, asked_ms);
}

// From when it was asked: the controller counts from when it was asked, too, or later.
bool MainCore::heard_controller(std::uint64_t now_ms) const {
  return !record_.replicated() || now_ms < heard_ms_ + options_.session_ms ||
         planted(PlantedBug::kAcksWhenCutOff);
}

void MainCore::tick(std::uint64_t now_ms) {
  if (resigned_) return;
  wake_parked(now_ms, true);
  change_set(now_ms);
  if (spent_ && now_ms - asked_ms_ >= options_.proposal_retry_ms) ask_for_new_epoch(now_ms);
}

// `needs_controller` at the moment of answering: a process that was stopped wakes up stale (5).
void MainCore::answer_waiters(Waiters& waiters, Offset reached, bool needs_controller,
                              std::uint64_t now_ms) {
  const ErrorCode error =
      needs_controller && !heard_controller(now_ms) ? ErrorCode::kTimedOut : ErrorCode::kOk;
  waiters.pop(reached,
              [&](std::uint64_t token) { actions_.emplace_back(AnswerProducer{token, error}); });
}

void MainCore::fail_waiters(Waiters& waiters, Offset from, ErrorCode error) {
  waiters.fail_from(
      from, [&](std::uint64_t token) { actions_.emplace_back(AnswerProducer{token, error}); });
}

}  // namespace andyx::server
