// The internal log of a partition: the durable changes of its subscriptions, one record for all
// that changed while the last one was being written. Replicated as the messages are: a change is
// confirmed when its record is durable on the whole in-sync set. A snapshot is records too, the
// state of every subscription; when they are committed the log begins with them.
//
// Thread: the partition's loop. Owned by Partition.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/ids.h"
#include "server/replication/replicated_log.h"
#include "server/subscription/cursor_record.h"
#include "storage/storage_shard.h"

namespace andyx::server {

class CoreLoop;
class Partition;

class CursorLog final : private ReplicatedLog::Owner {
 public:
  using Confirmed = std::move_only_function<void(Status)>;

  CursorLog(CoreLoop& loop, Partition& partition, PartitionId id);

  // What storage holds of the log. Blocks.
  Status recover();
  // What it says, oldest change first. Any thread, blocks.
  static Result<std::vector<CursorChange>> read(storage::StorageShard& shard, PartitionId id);

  // What the last record below `committed` says of rows of the due index that are needed no more.
  // Any thread, blocks.
  static Result<DueKey> read_due_removed(storage::StorageShard& shard, PartitionId id,
                                         Offset committed);

  // ---- Roles, as its partition's. `record`: of internal_log_record().
  ReplicatedLog& log() { return log_; }
  const ReplicatedLog& log() const { return log_; }
  void lead(const ReplicationRecord& record) { log_.lead(record); }
  void follow(const ReplicationRecord& record) { log_.follow(record); }
  void image_moved(const ReplicationRecord& record) { log_.image_moved(record); }
  // Answers who waits; forgets what was not written.
  void stand_down(const Error& reason);
  // The subscriptions of the partition are there.
  void serving_begins_here();
  // The log alone says everything: no snapshot of an earlier version lies beside it.
  bool whole_in_log() const { return !old_snapshot_; }

  // The subscription has changes to be written. `confirmed` (may be empty) when everything that it
  // has changed up to now is durable.
  void changed(SubscriptionId subscription, Confirmed confirmed);
  void deleted(SubscriptionId subscription);
  // Rows of the due index were removed here up to `to`: the other copies are told, by a record of
  // its own where none has said it yet.
  void due_rows_removed(DueKey to);

  // The partition is gone from here: answers who waits, writes nothing more.
  void close(const Error& reason);

  bool idle() const {
    return !round_ && dirty_.empty() && deleted_.empty() && waiting_.empty() && !snapshot_due_ &&
           !tells_due_;
  }

 private:
  // What one write carries.
  struct Round {
    std::vector<CursorChange> changes;
    std::vector<SubscriptionId> subscriptions;
    std::vector<Confirmed> confirmed;
    std::uint64_t token = 0;
    std::optional<Offset> snapshot;  // where its records begin
    std::size_t bytes = 0, snapshot_bytes = 0;
  };

  void schedule();
  void write_round();
  void gather(Round& round);
  bool wants_snapshot(const Round& round) const;
  void append_records(std::span<const CursorChange> changes, bool last,
                      std::vector<storage::LogAppend>& appends,
                      std::vector<storage::StatePut>& puts);
  void add_record(std::span<const CursorChange> changes, protocol::Acks acks, std::uint64_t token,
                  std::vector<storage::LogAppend>& appends, std::vector<storage::StatePut>& puts);
  std::vector<CursorChange> states() const;
  void hand_over(Offset from, std::vector<storage::LogAppend> appends,
                 std::vector<storage::StatePut> puts);
  void written(Offset from, Offset to, ErrorCode error);
  void finish(ErrorCode error);
  void lost(const Error& error, Round& round);
  void trim(Offset start);

  // ReplicatedLog::Owner.
  std::shared_ptr<void> keep() override;
  std::string describe() const override;
  void committed_moved(Offset committed) override;
  void settled() override;
  void answer(std::uint64_t token, ErrorCode error) override;
  void serving_begins() override;
  void propose(const SetProposal& proposal) override;
  void ask_for_new_epoch(MainEpoch epoch) override;
  SharedBytes remembered(Offset) override { return {}; }
  std::vector<std::uint8_t> state_below(Offset) override { return {}; }
  void store(const batch::Header& header, SharedBytes batch, std::vector<storage::StatePut> puts,
             Awaited awaited) override;
  void start_moved(Offset start) override { trim(start); }
  // Both logs are pulled over the same link: the messages' log says it.
  void pulls_failing(bool) override {}
  ReplicatedLog::CutWork cut_work(const CutLog&, ByteSpan) override { return {}; }

  CoreLoop& loop_;
  Partition& partition_;
  PartitionId id_;
  ReplicatedLog log_;
  std::size_t bytes_since_snapshot_ = 0;
  std::size_t snapshot_bytes_ = 0;
  std::unordered_set<SubscriptionId> dirty_;
  std::vector<SubscriptionId> deleted_;
  std::vector<Confirmed> waiting_;
  std::optional<Round> round_;  // being written
  std::uint64_t next_token_ = 1;
  bool old_snapshot_ = false;
  bool snapshot_due_ = false;
  DueKey told_due_;         // by the last record that was appended here
  bool tells_due_ = false;  // a record has to
  bool scheduled_ = false;
  std::optional<Error> closed_;
};

}  // namespace andyx::server
