// What a copy of a partition is on this node: main, replica, or neither yet. The image says it; the
// cores under the two logs (messages, internal) do it; here is what has to happen around them.
#include <algorithm>

#include "frame_generated.h"
#include "server/app/data_directory.h"
#include "server/app/log.h"
#include "server/log_ids.h"
#include "server/loop/core_loop.h"
#include "server/metadata/partition_replication.h"
#include "server/partition/dedup_recover.h"
#include "server/partition/partition.h"
#include "server/partition/state_keys.h"
#include "server/replication/internal_log_record.h"
#include "server/replication/replication_control.h"

namespace andyx::server {

Error Partition::not_main() const {
  const NodeId self = loop_.node().config.node_id;
  if (is_main())
    return {ErrorCode::kNotMain, describe() + ": this node is taking over as its main", self};
  if (record_.main == 0) return {ErrorCode::kNotMain, describe() + " has no main at present"};
  return {ErrorCode::kNotMain, describe() + ": its main is node " + std::to_string(record_.main),
          record_.main == self ? 0 : record_.main};
}

void Partition::adopt(const ReplicationRecord& record) {
  if (deleted_ || removed_) return;
  record_ = record;
  if (replicated() && is_main()) core_.commits_by_set(core_.committed_offset());
  if (is_main()) {
    log_.image_moved(record_);
    cursor_log_.image_moved(internal_record());
    if (log_.leads() && cursor_log_.log().leads())
      core_.begin_epoch(log_.epoch());
    else
      step_down();
  }
  settle_role();
}

ReplicationRecord Partition::internal_record() const {
  const MainCore* main = log_.main();
  return internal_log_record(record_,
                             main != nullptr && main->pending() ? &*main->pending() : nullptr);
}

// The next role begins when nothing of the last one is left: no cut, no refused write.
void Partition::settle_role() {
  if (removed_) return free_copy();
  if (deleted_ || core_.failed() || !log_.settled() || !cursor_log_.log().settled()) return;
  if (is_main()) {
    if (replicated() && log_.main() == nullptr) log_.image_moved(record_);
    if (replicated() && cursor_log_.log().main() == nullptr)
      cursor_log_.image_moved(internal_record());
    if (!cursors_ && !serving_) recover_cursors();
    return;
  }
  const NodeId self = loop_.node().config.node_id;
  if (record_.main == self) {
    // An image from before this start of the node says nothing about it.
    const ReplicaMember* me = record_.find(self);
    if (!replicated() || (me != nullptr && me->incarnation == loop_.node().incarnation))
      become_main();
    return;
  }
  if (std::exchange(role_, Role::kReplica) != Role::kReplica) watch();
  core_.commits_by_set(log_.copy().committed);
  log_.follow(record_);
  cursor_log_.follow(record_);
}

void Partition::become_main() {
  role_ = Role::kMain;
  ++mains_;
  traffic_ = {};
  core_.begin_epoch(record_.main_epoch);
  if (replicated()) {
    core_.commits_by_set(log_.copy().committed);
    log::info("main of a partition", {{"partition", describe()}, {"epoch", record_.main_epoch}});
  }
  log_.lead(record_);
  cursor_log_.lead(internal_record());
  if (!cursors_) recover_cursors();
  serve_if_ready();
}

// What the internal log says of the subscriptions, once all of it is on the disk.
void Partition::recover_cursors() {
  const LocalCopy& copy = cursor_log_.log().copy();
  if (copy.durable < copy.end || reading_cursors_ || due_.removing()) return;
  reading_cursors_ = true;
  off_loop([self = shared_from_this(), life = mains_]() mutable {
    auto& shard = *self->loop_.node().shard;
    auto changes = CursorLog::read(shard, self->id_);
    auto removed_to = DueIndex::read_removed_to(shard, self->id_);
    auto& loop = self->loop_.net_loop();
    loop.post([self = std::move(self), life, changes = std::move(changes),
               removed_to = std::move(removed_to)]() mutable {
      self->reading_cursors_ = false;
      if (life != self->mains_ || !self->is_main()) return self->settle_role();
      if (!changes || !removed_to) {
        log::error("subscriptions cannot be recovered",
                   {{"partition", self->describe()},
                    {"error", changes ? removed_to.error().message : changes.error().message}});
        return;  // tried again with the next look at it
      }
      self->cursors_ = std::move(*changes);
      self->due_.resume(self->core_.durable_offset(), *removed_to);
      self->retention_.restart(self->core_.durable_offset());
      self->retention_.set_policy(self->topic_->effective.retention);
      self->serve_if_ready();
    });
  });
}

void Partition::serve_if_ready() {
  if (is_main() && !serving_ && cursors_ && log_.serving() && cursor_log_.log().serving()) serve();
}

void Partition::serve() {
  serving_ = true;
  const auto changes = std::move(*cursors_);
  cursors_.reset();
  restore_subscriptions(changes);
  sync_subscriptions();
  cursor_log_.serving_begins_here();
  watch();
  for (auto& [id, ready] : std::exchange(when_serving_, {})) when_ready(id, std::move(ready));
}

void Partition::step_down() {
  // The cores answer who waits for copies; then the role is gone.
  log_.stand_down();
  role_ = Role::kNone;
  const Error gone = not_main();
  fail_everybody({ErrorCode::kTimedOut, describe() + ": this node is its main no longer; the batch "
                                                     "may be stored"},
                 gone);
  cursor_log_.stand_down(gone);
  cursors_.reset();
  due_.suspend();
  cache_.clear();
  log::info("main of a partition no longer",
            {{"partition", describe()}, {"epoch", core_.epoch()}, {"main", record_.main}});
  loop_.main_lost(topic_id_, index_, gone);
}

bool Partition::tick_replication() {
  const bool messages = log_.tick(), internal = cursor_log_.log().tick();
  if (is_main() && !serving_) settle_role();
  return messages || internal || (is_main() && !serving_);
}

// ---- The in-sync set ----

// Growth is sent when both logs wait for the joiner: only then it holds what either has committed.
void Partition::consider_growth() {
  const MainCore* messages = log_.main();
  const MainCore* internal = cursor_log_.log().main();
  if (messages == nullptr || internal == nullptr) return;
  const auto &wanted = messages->pending(), &agreed = internal->pending();
  if (!wanted || !agreed || wanted->version != agreed->version || !cursor_log_.whole_in_log())
    return;
  for (const SetProposal::Member& member : wanted->in_sync) {
    const bool waited_for = record_.is_in_sync(member.node) ||
                            std::ranges::find(agreed->in_sync, member) != agreed->in_sync.end();
    if (!waited_for) return;
  }
  send_proposal(*wanted);
}

void Partition::send_proposal(const SetProposal& proposal) {
  if (auto* control = loop_.node().replication)
    control->propose_in_sync(topic_id_, index_, proposal);
}

void Partition::propose(const SetProposal& proposal) {
  cursor_log_.image_moved(internal_record());  // it sees who is to join
  if (grows(record_, proposal))
    consider_growth();
  else
    send_proposal(proposal);
}

void Partition::propose_internal(const SetProposal& proposal) {
  if (grows(record_, proposal))
    consider_growth();
  else
    send_proposal(proposal);
}

void Partition::ask_for_new_epoch(MainEpoch epoch) {
  if (auto* control = loop_.node().replication) control->ask_new_epoch(topic_id_, index_, epoch);
}

void Partition::pulls_failing(bool failing) {
  if (auto* control = loop_.node().replication) control->pulls_failing(id_, failing);
}

// ---- As main, for replicas ----

std::vector<Offset> Partition::replica_offsets() const {
  std::vector<Offset> offsets;
  for (const ReplicaMember& member : record_.replicas) {
    const bool here = member.node == loop_.node().config.node_id;
    const auto known = log_.main() != nullptr ? log_.main()->durable_of(member.node) : std::nullopt;
    offsets.push_back(here ? core_.durable_offset() : known.value_or(kNoOffset));
  }
  return offsets;
}

SharedBytes Partition::remembered(Offset offset) {
  const CachedBatch* found = cache_.find(offset);
  return found != nullptr && found->base_offset == offset ? found->bytes : SharedBytes{};
}

std::vector<std::uint8_t> Partition::state_below(Offset start) {
  return core_.producers().encode(start);
}

// ---- As replica ----

void Partition::store(const batch::Header& header, SharedBytes batch,
                      std::vector<storage::StatePut> puts, Awaited awaited) {
  std::vector<std::uint64_t> ids;
  if (core_.dedup().on()) ids = message_ids(batch.span(), header);
  core_.replicated(header, ids);
  write(header, std::move(batch), std::move(puts), awaited);
}

void Partition::start_moved(Offset start) {
  if (auto advanced = loop_.node().shard->advance_start(data_log(id_), start); !advanced)
    log::warn("log not shortened",
              {{"partition", describe()}, {"error", advanced.error().message}});
  core_.start_advanced(start);
}

// The note makes an interrupted cut whole at the next start: rows of delayed messages go with them.
ReplicatedLog::CutWork Partition::cut_work(const CutLog& cut, ByteSpan state) {
  ReplicatedLog::CutWork work;
  auto& shard = *loop_.node().shard;
  work.before = [&shard, id = id_, cut] { return note_cut(shard, id, cut); };
  if (cut.restart_at) {
    std::optional<std::string> producers;
    if (!state.empty()) producers.emplace(state.begin(), state.end());
    work.reset_puts.push_back(
        {storage::Table::kCursor, producer_snapshot_key(id_), std::move(producers)});
  }
  work.after = [self = shared_from_this(), &shard, id = id_, empty_at = cut.restart_at.value_or(0),
                window_ms = topic_->effective.dedup_window_ms]() -> Result<net::Task> {
    if (auto whole = finish_cut(shard, id); !whole) return std::unexpected(whole.error());
    auto recovered = recover(shard, id, window_ms, empty_at);
    if (!recovered) return std::unexpected(recovered.error());
    return net::Task([self, recovered = std::move(*recovered)]() mutable {
      self->core_.recovered(std::move(recovered));
      self->core_.dedup().set_window(self->topic_->effective.dedup_window_ms);
    });
  };
  return work;
}

// ---- Taken from this node ----

void Partition::close_removed() {
  if (is_main()) step_down();
  removed_ = true;
  const Error gone = not_main();
  fail_everybody(gone, gone);
  log_.stand_down();
  cursor_log_.close(gone);
  due_.close();
  cache_.clear();
  free_copy();
}

// Its ids stay usable: the copy may come back.
void Partition::free_copy() {
  const bool idle = writes_under_way_ == 0 && !log_.cutting() && !cursor_log_.log().cutting();
  if (!idle || std::exchange(freed_, true)) return;
  off_loop([self = shared_from_this(), rows = delete_rows()]() mutable {
    auto& shard = *self->loop_.node().shard;
    Status freed = shard.reset_log(data_log(self->id_), 0, std::move(rows));
    if (freed) freed = shard.reset_log(internal_log(self->id_), 0, {});
    if (freed) freed = drop_due_rows(shard, self->id_);
    if (!freed)
      log::warn("copy not freed",
                {{"partition", self->describe()}, {"error", freed.error().message}});
    auto& loop = self->loop_.net_loop();
    loop.post([self = std::move(self)] { self->loop_.copy_freed(self->id_); });
  });
}

}  // namespace andyx::server
