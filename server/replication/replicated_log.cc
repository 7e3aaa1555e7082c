#include "server/replication/replicated_log.h"

#include <algorithm>
#include <cassert>

#include "common_generated.h"
#include "server/log_ids.h"
#include "server/loop/core_loop.h"
#include "server/partition/state_keys.h"
#include "server/replication/replication_control.h"

namespace andyx::server {

ReplicatedLog::ReplicatedLog(CoreLoop& loop, Owner& owner, PartitionId partition, bool internal,
                             MainOptions options)
    : loop_(loop), owner_(owner), partition_(partition), internal_(internal), options_(options) {}

// Records of the internal log are small, and no cache has them.
std::size_t ReplicatedLog::kept_batches() const { return internal_ ? 32 : 0; }

storage::LogId ReplicatedLog::log_id() const {
  return internal_ ? internal_log(partition_) : data_log(partition_);
}

std::string ReplicatedLog::epochs_key() const { return epochs_row_key(partition_, internal_); }

// ---- Recovery ----

Status ReplicatedLog::recover() {
  auto& shard = *loop_.node().shard;
  const auto state = shard.log_state(log_id());
  copy_ = {};
  if (!state) return {};
  copy_.start = copy_.committed = state->start_offset;
  copy_.end = copy_.durable = state->end_offset;
  const auto row = shard.get(storage::Table::kCursor, epochs_key());
  if (!row) return std::unexpected(row.error());
  if (!*row) return search_epochs();
  auto table =
      EpochTable::decode({reinterpret_cast<const std::uint8_t*>((*row)->data()), (*row)->size()});
  if (!table) return std::unexpected(table.error());
  copy_.epochs = std::move(*table);
  // A cut, or a move of the start, does not write the row.
  copy_.epochs.truncate(copy_.end);
  copy_.epochs.trim(copy_.start);
  return {};
}

// A log from before there was a row: epochs rise with the offsets, so that each begins where a
// search by halves finds it.
Status ReplicatedLog::search_epochs() {
  auto& shard = *loop_.node().shard;
  const auto header_at = [&](Offset offset) -> Result<batch::Header> {
    const auto batches = shard.read(log_id(), offset, 1);
    if (!batches) return std::unexpected(batches.error());
    if (batches->empty()) return fail(ErrorCode::kCorrupt, "the log ends before its end");
    return batch::read_header(batches->front().span());
  };
  for (Offset at = copy_.start; at < copy_.end;) {
    const auto first = header_at(at);
    if (!first) return std::unexpected(first.error());
    copy_.epochs.record(first->main_epoch, std::max(at, first->base_offset));
    // [at, low) is of this epoch, what lies from `high` on is not.
    Offset low = first->end_offset(), high = copy_.end;
    while (low < high) {
      const auto middle = header_at(low + (high - low) / 2);
      if (!middle) return std::unexpected(middle.error());
      if (middle->main_epoch == first->main_epoch)
        low = middle->end_offset();
      else
        high = middle->base_offset;
    }
    at = low;
  }
  return {};
}

storage::StatePut ReplicatedLog::epochs_row() const {
  const auto bytes = copy_.epochs.encode();
  return {storage::Table::kCursor, epochs_key(), std::string(bytes.begin(), bytes.end())};
}

// ---- Roles ----

void ReplicatedLog::lead(const ReplicationRecord& record) {
  assert(settled() && !main_);
  if (replica_) next_request_ = replica_->next_request();
  replica_.reset();
  leads_ = true;
  epoch_ = record.main_epoch;
  if (record.replicas.size() > 1) {
    const ReplicationControl* control = loop_.node().replication;
    main_ = std::make_unique<MainCore>(loop_.node().config.node_id, record, copy_,
                                       control != nullptr ? control->heard_controller_ms() : 0,
                                       replication_now_ms(), options_);
    loop_.pulls().watch(partition_);
  } else {
    copy_.committed = copy_.durable;
    owner_.committed_moved(copy_.committed);
  }
  act();
}

void ReplicatedLog::follow(const ReplicationRecord& record) {
  assert(settled() && !main_ && !leads_);
  if (!replica_) {
    replica_ = std::make_unique<ReplicaCore>(
        loop_.node().config.node_id, loop_.node().incarnation, copy_, next_request_,
        ReplicaOptions{.answer_timeout_ms = PullSessions::kAnswerTimeoutMs,
                       .parked_timeout_ms = PullSessions::kParkedTimeoutMs,
                       .failing_after_ms = PullSessions::kAnswerTimeoutMs});
  }
  const bool in_sync = record.is_in_sync(loop_.node().config.node_id);
  const bool too_few = record.in_sync.size() < record.min_in_sync;
  awaited_ = in_sync || too_few ? Awaited::kYes : Awaited::kNo;
  replica_->follow(record.main_epoch, record.main, replication_now_ms());
  loop_.pulls().watch(partition_);
  act();
}

void ReplicatedLog::image_moved(const ReplicationRecord& record) {
  if (!leads_) return;
  if (record.main_epoch > epoch_ && main_ == nullptr && record.main == loop_.node().config.node_id)
    epoch_ = record.main_epoch;  // alone: nobody else has written in between
  if (main_ == nullptr) {
    if (record.main_epoch > epoch_) return stood_down();
    // It gets other copies.
    if (record.replicas.size() > 1 && record.main == loop_.node().config.node_id && settled())
      lead(record);
    return;
  }
  main_->image_moved(record, replication_now_ms());
  loop_.pulls().wake(partition_);
  act();
  if (main_->resigned()) stood_down();
}

void ReplicatedLog::stand_down() {
  if (main_ && !main_->resigned()) {
    ReplicationRecord ended = main_->record();
    ended.main = 0;
    ++ended.main_epoch;
    main_->image_moved(ended, replication_now_ms());
    act();
  }
  stood_down();
}

void ReplicatedLog::stood_down() {
  main_.reset();
  if (replica_) next_request_ = replica_->next_request();
  replica_.reset();
  recent_.clear();
  leads_ = false;
}

bool ReplicatedLog::heard_controller() const {
  if (!main_) return true;
  if (const auto* control = loop_.node().replication)
    main_->controller_answered(control->heard_controller_ms());
  return main_->heard_controller(replication_now_ms());
}

// ---- Appends ----

Status ReplicatedLog::may_append(protocol::Acks level) {
  if (!leads_) return fail(ErrorCode::kNotMain, "this node is not the main");
  if (failed_) return fail(ErrorCode::kStorageFailed, "the storage shard has stopped");
  if (!main_) return {};
  heard_controller();
  return main_->may_append(level, replication_now_ms());
}

std::optional<storage::StatePut> ReplicatedLog::appended(const batch::Header& header,
                                                         const SharedBytes& batch,
                                                         protocol::Acks level,
                                                         std::uint64_t token) {
  ++writes_under_way_;
  const MainEpoch before = copy_.epochs.last_epoch();
  if (main_) {
    recent_.push_back({header, batch});
    main_->appended(header.end_offset(), level, token, replication_now_ms());
    loop_.pulls().wake(partition_);
  } else {
    copy_.epochs.record(header.main_epoch, header.base_offset);
    copy_.end = header.end_offset();
  }
  if (copy_.epochs.last_epoch() == before) return std::nullopt;
  return epochs_row();
}

void ReplicatedLog::duplicate(Offset end, protocol::Acks level, std::uint64_t token) {
  heard_controller();
  main_->duplicate(end, level, token, replication_now_ms());
  act();
}

void ReplicatedLog::start_advanced(Offset start) {
  if (main_) return main_->start_advanced(start);
  copy_.start = std::max(copy_.start, start);
  copy_.epochs.trim(copy_.start);
}

void ReplicatedLog::written(Offset from, Offset to, ErrorCode error) {
  --writes_under_way_;
  if (error == ErrorCode::kOk) {
    while (recent_.size() > kept_batches() && recent_.front().header.end_offset() <= to)
      recent_.pop_front();
    if (main_) {
      heard_controller();
      main_->durable(to, replication_now_ms());
    } else if (replica_) {
      replica_->durable(to, replication_now_ms());
    } else {
      copy_.durable = std::max(copy_.durable, to);
      if (leads_) {
        copy_.committed = copy_.durable;
        owner_.committed_moved(copy_.committed);
      }
    }
    return settle();
  }
  if (error == ErrorCode::kStorageFailed) {  // its owner tells everybody
    failed_ = true;
    main_.reset();
    replica_.reset();
    recent_.clear();
    return;
  }
  const bool first = !refused_from_ && from < copy_.end;
  if (first) refused_from_ = from;
  while (!recent_.empty() && recent_.back().header.end_offset() > from) recent_.pop_back();
  if (first && main_) main_->append_refused(from, replication_now_ms());
  if (first && !main_ && !replica_) {
    copy_.end = from;
    copy_.epochs.truncate(from);
  }
  settle();
}

// A refused write is over with the last one under way, which may have been stored: what storage
// refuses at once is answered before what it has taken.
void ReplicatedLog::settle() {
  const bool refusal_ends = writes_under_way_ == 0 && refused_from_;
  if (refusal_ends) {
    if (replica_) replica_->store_refused(*refused_from_, replication_now_ms());
    refused_from_.reset();
  }
  act();
  if (refusal_ends && settled()) owner_.settled();
}

// ---- Time ----

bool ReplicatedLog::lively() const {
  if (main_) {
    // Somebody who is there and not in sync may join: but not while nothing is heard of him.
    const ReplicationRecord& record = main_->record();
    const auto may_join = [&](const ReplicaMember& member) {
      return !member.observer && member.alive && !record.is_in_sync(member.node) &&
             main_->durable_of(member.node);
    };
    return copy_.committed < copy_.end || main_->pending() || !main_->serving() ||
           std::ranges::any_of(record.replicas, may_join);
  }
  if (!replica_) return false;
  const bool asks = replica_->main() != 0 && (!replica_->matched() || replica_->in_doubt());
  return asks || copy_.durable < copy_.end || cutting_ || replication_now_ms() < lively_until_ms_;
}

bool ReplicatedLog::tick() {
  const std::uint64_t now_ms = replication_now_ms();
  if (main_) {
    heard_controller();
    main_->tick(now_ms);
  }
  if (replica_) replica_->tick(now_ms);
  act();
  return lively();
}

}  // namespace andyx::server
