#include "server/replication/pull_sessions.h"

#include <algorithm>

#include "frame_generated.h"
#include "server/app/log.h"
#include "server/loop/core_loop.h"
#include "server/loop/reply.h"
#include "server/partition/partition.h"

namespace andyx::server {

std::uint64_t replication_now_ms() { return net::boottime_ns() / 1'000'000; }

frame::OutFrame refusal_of(PartitionId partition, bool internal, const FetchEntry& entry) {
  return frame_writer().write(0, [&](flatbuffers::FlatBufferBuilder& builder) {
    const auto made = protocol::CreateReplicaAnswer(
        builder, partition, internal, static_cast<std::uint8_t>(FetchAnswer::Kind::kRefused),
        static_cast<std::uint8_t>(FetchRefusal::kWrongEpoch), entry.main_epoch, 0,
        entry.incarnation, entry.request);
    return frame::Body{static_cast<std::uint8_t>(protocol::Body::ReplicaAnswer), made.Union()};
  });
}

// ---- Out ----

void PullSessions::send_fetch(PartitionId partition, bool internal, const SendFetch& fetch) {
  fetches_[fetch.main].push_back({partition, internal, fetch.at_once, fetch.entry});
  flush_later();
}

void PullSessions::send_answer(std::shared_ptr<ReplicaLink> link, frame::OutFrame frame) {
  answers_[std::move(link)].push_back(std::move(frame));
  flush_later();
}

void PullSessions::flush_later() {
  if (std::exchange(flush_scheduled_, true)) return;
  loop_.net_loop().at_end_of_turn([this] {
    flush_scheduled_ = false;
    flush();
  });
}

void PullSessions::flush() {
  for (auto& [link, frames] : std::exchange(answers_, {})) link->send(std::move(frames));
  flush_fetches();
}

// What asks for more waits while the disk is behind with what came before; what only says how much
// is durable does not. What a full link does not take waits, too. Where there is no link nothing
// waits: on_up() asks again.
void PullSessions::flush_fetches() {
  if (loop_.draining()) return fetches_.clear();
  const bool room = has_room();
  for (auto& [main, all] : std::exchange(fetches_, {})) {
    Fetches held;
    if (!room) {
      Fetches told;
      for (Outgoing& out : all) (out.entry.progress_only ? told : held).push_back(std::move(out));
      all = std::move(told);
    }
    std::size_t sent = 0;
    while (sent < all.size()) {
      const auto first = all.begin() + static_cast<std::ptrdiff_t>(sent);
      const auto limit =
          first + static_cast<std::ptrdiff_t>(std::min(kFetchesOfFrame, all.size() - sent));
      const auto end = std::find_if(
          first, limit, [&](const Outgoing& out) { return out.at_once != first->at_once; });
      if (!tell_fetches(main, {first, end})) break;
      sent = static_cast<std::size_t>(end - all.begin());
    }
    if (up_.contains(main))
      held.insert(held.end(), all.begin() + static_cast<std::ptrdiff_t>(sent), all.end());
    if (!held.empty()) fetches_[main] = std::move(held);
  }
}

// All of one kind: answered at once, or not. False: the link does not take them.
bool PullSessions::tell_fetches(NodeId main, std::span<const Outgoing> fetches) {
  if (links_ == nullptr) return true;
  return links_->tell(main, [&](flatbuffers::FlatBufferBuilder& builder) {
    std::vector<protocol::ReplicaFetchEntry> entries;
    entries.reserve(fetches.size());
    for (const Outgoing& out : fetches) {
      const FetchEntry& e = out.entry;
      entries.emplace_back(out.partition, out.internal, e.progress_only, e.main_epoch, e.last_epoch,
                           e.request, e.fetch_offset, e.durable);
    }
    const auto vector = builder.CreateVectorOfStructs(entries);
    const auto body =
        protocol::CreateReplicaFetch(builder, loop_.node().config.node_id, loop_.node().incarnation,
                                     fetches.front().at_once ? 0 : kMaxWaitMs,
                                     static_cast<std::uint32_t>(kMaxAnswerBytes), vector);
    return frame::Body{static_cast<std::uint8_t>(protocol::Body::ReplicaFetch), body.Union()};
  });
}

bool PullSessions::has_room() const {
  return loop_.writes().waiting_bytes() <
         limits::kStorageQueueBytes / 2 / loop_.node().config.cores;
}

// ---- Reads for replicas that are behind ----

void PullSessions::read_later(std::shared_ptr<ReplicaLink> link, Read read) {
  reads_[link].waiting.push_back(std::move(read));
  start_reads(link);
}

void PullSessions::start_reads(const std::shared_ptr<ReplicaLink>& link) {
  const auto found = reads_.find(link);
  if (found == reads_.end()) return;
  while (!found->second.waiting.empty() && found->second.under_way < kReadsAtOnce &&
         link->takes_more()) {
    Read read = std::move(found->second.waiting.front());
    found->second.waiting.pop_front();
    ++found->second.under_way;
    read([this, link] {
      --reads_[link].under_way;
      start_reads(link);
    });
  }
  if (found->second.waiting.empty() && found->second.under_way == 0) reads_.erase(found);
}

// ---- The clock ----

void PullSessions::watch(PartitionId partition) {
  if (is_watched_.insert(partition).second) watched_.push_back(partition);
  wake(partition);
}

void PullSessions::tick(PartitionId partition) {
  Partition* const found = loop_.find_copy(partition);
  if (found != nullptr && found->tick_replication()) lively_.insert(partition);
}

void PullSessions::short_tick() {
  ++ticks_;
  if (!fetches_.empty()) flush_later();
  if (!reads_.empty()) {
    std::vector<std::shared_ptr<ReplicaLink>> links;
    for (const auto& [link, reads] : reads_) links.push_back(link);
    for (const auto& link : links) start_reads(link);
  }
  if (ticks_ % kTicksOfLively == 0) {
    for (const PartitionId partition : std::exchange(lively_, {})) tick(partition);
  }
  // A share of the others, so that each has its turn once in a sweep.
  const std::size_t share = watched_.size() / kTicksOfSweep + 1;
  for (std::size_t i = 0; i < share && !watched_.empty(); ++i) {
    if (sweep_at_ >= watched_.size()) {
      if (ticks_ % kTicksOfSweep != 0) return;
      sweep_at_ = 0;
    }
    const PartitionId partition = watched_[sweep_at_];
    const Partition* found = loop_.find_copy(partition);
    if (found == nullptr || !found->replicated()) {
      is_watched_.erase(partition);
      watched_[sweep_at_] = watched_.back();
      watched_.pop_back();
      continue;
    }
    tick(partition);
    ++sweep_at_;
  }
}

// ---- In ----

void PullSessions::on_push(NodeId from, NodeFrame frame) {
  const auto* body = frame.frame->body_as_ReplicaAnswer();
  if (body == nullptr) {
    log::warn("a node pushed what is no answer to a replica", {{"node", from}});
    return;
  }
  if (Partition* found = loop_.find_copy(body->partition_id()))
    found->replicated_log(body->internal()).answered(*body, frame.bytes);
}

void PullSessions::on_up(NodeId node) {
  up_.insert(node);
  ask_again(node);
}

void PullSessions::ask_again(NodeId node) {
  for (const auto& [id, partition] : loop_.partitions()) {
    for (const bool internal : {false, true})
      partition->replicated_log(internal).main_unreachable(node);
  }
}

// Polls that were parked there are lost with the link.
void PullSessions::on_down(NodeId node, const Error&) {
  up_.erase(node);
  fetches_.erase(node);
  ask_again(node);
}

}  // namespace andyx::server
