// The fetches of replicas: do the logs match, what is new, who waits.
#include <algorithm>

#include "protocol/base/planted.h"
#include "server/replication/main_core.h"

namespace andyx::server {

MainCore::Peer* MainCore::find_peer(NodeId node) {
  const auto found = std::ranges::find(peers_, node, &Peer::node);
  return found == peers_.end() ? nullptr : &*found;
}

const MainCore::Peer* MainCore::find_peer(NodeId node) const {
  const auto found = std::ranges::find(peers_, node, &Peer::node);
  return found == peers_.end() ? nullptr : &*found;
}

std::optional<Offset> MainCore::durable_of(NodeId replica) const {
  const Peer* peer = find_peer(replica);
  return peer != nullptr && peer->matched ? std::optional(peer->durable) : std::nullopt;
}

std::optional<FetchRefusal> MainCore::refusal_of(const FetchEntry& entry) const {
  if (resigned_ || entry.main_epoch != epoch_) return FetchRefusal::kWrongEpoch;
  const Peer* peer = find_peer(entry.replica);
  if (peer == nullptr) return FetchRefusal::kUnknownReplica;
  if (peer->incarnation != entry.incarnation && !planted(PlantedBug::kStaleIncarnationCounts))
    return FetchRefusal::kStaleIncarnation;
  if (entry.durable > entry.fetch_offset || entry.last_epoch > epoch_ ||
      (entry.progress_only && entry.durable > copy_.end))
    return FetchRefusal::kMalformed;
  return std::nullopt;
}

// Are the logs the same below the replica's end? If not, `answer` says what the replica needs to
// find out up to where they are.
bool MainCore::match(const FetchEntry& entry, FetchAnswer& answer) const {
  answer.kind = FetchAnswer::Kind::kReset;
  if (entry.fetch_offset < copy_.start) return false;
  if (entry.last_epoch == 0) {
    // It holds nothing. Further on than here it would lack what is still kept here.
    if (entry.fetch_offset > copy_.start) return false;
    answer.kind = FetchAnswer::Kind::kMatched;
    return true;
  }
  const auto known = copy_.epochs.end_of(entry.last_epoch, copy_.end);
  if (!known) return false;
  const bool matched = known->epoch == entry.last_epoch && entry.fetch_offset <= known->end;
  answer.kind = matched ? FetchAnswer::Kind::kMatched : FetchAnswer::Kind::kDiverged;
  answer.epoch = known->epoch;
  answer.epoch_end = known->end;
  return matched;
}

void MainCore::fetch(const FetchEntry& entry, std::uint64_t deadline_ms, std::uint64_t now_ms) {
  Peer nobody{.node = entry.replica};
  if (const auto refusal = refusal_of(entry)) {
    if (!entry.progress_only) answer(nobody, entry, {.refusal = *refusal});
    return;
  }
  Peer& peer = *find_peer(entry.replica);
  if (entry.progress_only) {
    if (peer.matched || planted(PlantedBug::kUnmatchedCounts)) reached(peer, entry.durable, now_ms);
    return;
  }
  if (entry.request <= peer.last_request) return;  // overtaken by a newer one
  peer.last_request = entry.request;
  peer.parked.reset();
  FetchAnswer why;
  if (!match(entry, why)) {
    if (planted(PlantedBug::kUnmatchedCounts))
      reached(peer, std::min(entry.durable, copy_.end), now_ms);
    answer(peer, entry, why);
    return;
  }
  peer.matched = true;
  reached(peer, entry.durable, now_ms);
  if (!answer_if_news(peer, entry, deadline_ms <= now_ms))
    peer.parked = Parked{.entry = entry, .deadline_ms = deadline_ms};
}

// The entry by value: it may be the one that is parked.
void MainCore::answer(Peer& peer, FetchEntry entry, FetchAnswer answer) {
  answer.main_epoch = epoch_;
  answer.incarnation = entry.incarnation;
  answer.request = entry.request;
  answer.start = copy_.start;
  answer.durable = copy_.durable;
  answer.committed = copy_.committed;
  peer.told_committed = copy_.committed;
  peer.parked.reset();
  actions_.emplace_back(AnswerFetch{.replica = entry.replica, .answer = answer});
}

// Of an entry that matches.
bool MainCore::answer_if_news(Peer& peer, const FetchEntry& entry, bool at_any_rate) {
  const bool news = entry.fetch_offset < copy_.end || peer.told_committed < copy_.committed;
  if (!news && !at_any_rate) return false;
  sent_end_ = std::max(sent_end_, copy_.end);
  answer(peer, entry,
         {.kind = FetchAnswer::Kind::kMatched, .from = entry.fetch_offset, .to = copy_.end});
  return true;
}

void MainCore::wake_parked(std::uint64_t now_ms, bool deadlines) {
  for (Peer& peer : peers_) {
    if (!peer.parked) continue;
    const Parked parked = *peer.parked;
    answer_if_news(peer, parked.entry, deadlines && parked.deadline_ms <= now_ms);
  }
}

// The replica holds everything below `durable` as durably as it can.
void MainCore::reached(Peer& peer, Offset durable, std::uint64_t now_ms) {
  peer.durable = std::max(peer.durable, durable);
  if (peer.durable >= copy_.end) peer.caught_up_ms = now_ms;
  if (peer.durable >= peer.probe_end) {
    peer.caught_up_ms = std::max(peer.caught_up_ms, peer.probe_ms);
    peer.probe_ms = now_ms;
    peer.probe_end = copy_.end;
  }
  advance_committed(now_ms);
  if (peer.node == admitted_) change_set(now_ms);
}

}  // namespace andyx::server
