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

void PullSessions::send_fetch(PartitionId partition, bool internal, const SendFetch& fetch,
                              Awaited awaited) {
  Outgoing out{partition, internal, fetch.at_once, fetch.entry};
  // Where it is in doubt whether the main hears, that is found out soon.
  const bool paced = awaited == Awaited::kNo && !fetch.at_once && !fetch.entry.progress_only;
  if (paced)
    paced_fetches_[fetch.main].push_back(std::move(out));
  else
    fetches_[fetch.main].push_back(std::move(out));
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
  if (loop_.draining()) {
    fetches_.clear();
    return paced_fetches_.clear();
  }
  const bool room = has_room();
  if (room) take_paced_fetches();
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
      const auto end = std::find_if(first, limit, [&](const Outgoing& out) {
        return out.at_once != first->at_once || out.max_bytes != first->max_bytes;
      });
      if (!tell_fetches(main, {first, end})) break;
      sent = static_cast<std::size_t>(end - all.begin());
    }
    if (up_.contains(main))
      held.insert(held.end(), all.begin() + static_cast<std::ptrdiff_t>(sent), all.end());
    if (!held.empty()) fetches_[main] = std::move(held);
  }
}

void PullSessions::take_paced_fetches() {
  NodePace& pace = loop_.node().catch_up_pace;
  for (auto& [main, waiting] : paced_fetches_) {
    const std::size_t bytes = pace.share(waiting.size(), kMaxAnswerBytes);
    while (!waiting.empty() && pace.take(bytes)) {
      waiting.front().max_bytes = bytes;
      fetches_[main].push_back(std::move(waiting.front()));
      waiting.pop_front();
    }
  }
  std::erase_if(paced_fetches_, [](const auto& each) { return each.second.empty(); });
}

// All of one kind: answered at once, or not; with as many bytes. False: the link does not take
// them.
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
                                     static_cast<std::uint32_t>(fetches.front().max_bytes), vector);
    return frame::Body{static_cast<std::uint8_t>(protocol::Body::ReplicaFetch), body.Union()};
  });
}

bool PullSessions::has_room() const {
  return loop_.writes().waiting_bytes() <
         limits::kStorageQueueBytes / 2 / loop_.node().config.cores;
}

// ---- Reads for replicas that are behind ----

void PullSessions::read_later(std::shared_ptr<ReplicaLink> link, Read read) {
  Reads& reads = reads_[link];
  const bool awaited = read.awaited == Awaited::kYes;
  const bool late = read.until_ms <= replication_now_ms();
  if (!awaited && late && !reads.paced.empty()) return read.give_up();  // others come first
  (awaited ? reads.waiting : reads.paced).push_back(std::move(read));
  start_reads(link);
}

void PullSessions::start_reads(const std::shared_ptr<ReplicaLink>& link) {
  const auto found = reads_.find(link);
  if (found == reads_.end()) return;
  Reads& reads = found->second;
  while (reads.under_way < kReadsAtOnce && link->takes_more() && start_read(link, reads)) {
  }
  const std::uint64_t now_ms = replication_now_ms();
  while (!reads.paced.empty() && reads.paced.front().until_ms <= now_ms) {
    Read late = std::move(reads.paced.front());
    reads.paced.pop_front();
    late.give_up();
  }
  if (reads.waiting.empty() && reads.paced.empty() && reads.under_way == 0) reads_.erase(found);
}

// False: none may begin now.
bool PullSessions::start_read(const std::shared_ptr<ReplicaLink>& link, Reads& reads) {
  NodePace& pace = loop_.node().catch_up_pace;
  const bool awaited = !reads.waiting.empty();
  auto& queue = awaited ? reads.waiting : reads.paced;
  if (queue.empty()) return false;
  const std::size_t bytes = awaited ? kMaxAnswerBytes : pace.share(queue.size(), kMaxAnswerBytes);
  if (!awaited && !pace.take(bytes)) return false;
  Read read = std::move(queue.front());
  queue.pop_front();
  ++reads.under_way;
  read.begin(bytes, [this, link, awaited, bytes](std::size_t had) {
    if (!awaited && had < bytes) loop_.node().catch_up_pace.give_back(bytes - had);
    --reads_[link].under_way;
    start_reads(link);
  });
  return true;
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
  if (!fetches_.empty() || !paced_fetches_.empty()) flush_later();
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
  paced_fetches_.erase(node);
  ask_again(node);
}

}  // namespace andyx::server
