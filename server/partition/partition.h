// A copy of a partition on its loop: the shell around PartitionCore. As main it patches and stores
// batches, answers producers and readers, holds the tail cache and the subscriptions' shells; as
// replica it stores what the main sends and keeps what is derived from it ready for the day that it
// becomes main. Roles come from the image (partition_roles.cc).
//
// Thread: its loop. Life: shared, because writes and reads under way keep it; closed when its topic
// is deleted, or the copy is taken from this node.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "server/loop/read_pool.h"
#include "server/loop/reply.h"
#include "server/metadata/image.h"
#include "server/partition/due_index.h"
#include "server/partition/partition_core.h"
#include "server/partition/producer_fence.h"
#include "server/partition/retention.h"
#include "server/partition/tail_cache.h"
#include "server/partition/traffic_meter.h"
#include "server/replication/replicated_log.h"
#include "server/subscription/cursor_log.h"
#include "server/subscription/subscription.h"

namespace andyx::protocol {
enum class Acks : std::uint8_t;
}

namespace andyx::server {

class CoreLoop;

class Partition final : public std::enable_shared_from_this<Partition>,
                        private ReplicatedLog::Owner {
 public:
  // Recovers what storage holds of it; blocks on the disk where there is something (at start).
  // `replication`: of `record`; names this node among the copies.
  static Result<std::shared_ptr<Partition>> open(CoreLoop& loop,
                                                 const std::shared_ptr<const Topic>& topic,
                                                 const PartitionRecord& record,
                                                 const ReplicationRecord& replication);
  Partition(CoreLoop& loop, std::shared_ptr<const Topic> topic, const PartitionRecord& record,
            PartitionCore core);
  ~Partition();

  CoreLoop& loop() { return loop_; }
  PartitionId id() const { return id_; }
  TopicId topic_id() const { return topic_id_; }
  std::uint32_t index() const { return index_; }
  std::string describe() const override;  // "tenant/…/topic partition 3", for messages
  const std::string& topic_name() const { return topic_name_; }  // tenant/…/topic
  const PartitionCore& core() const { return core_; }
  std::uint64_t stored_bytes() const;
  // Of clients, while it is main.
  TrafficMeter& traffic() { return traffic_; }

  // ---- Roles (partition_roles.cc).
  // The partition's record as the image has it now, and the state of its copies' nodes.
  void adopt(const ReplicationRecord& record);
  bool is_main() const { return role_ == Role::kMain; }
  // Committed messages may be read, consumers may attach. A main that takes over serves only when
  // its log end at election is committed; until then, and elsewhere, answer not_main().
  bool serving() const { return serving_; }
  Error not_main() const;
  bool replicated() const { return record_.replicas.size() > 1; }
  const ReplicationRecord& replication() const { return record_; }
  // How far each copy is durable, in the order of the record's; kNoOffset: not known.
  std::vector<Offset> replica_offsets() const;
  ReplicatedLog& replicated_log(bool internal) { return internal ? cursor_log_.log() : log_; }
  bool tick_replication();
  // The copy is taken from this node: everything of it is freed, then CoreLoop::copy_freed.
  void close_removed();
  bool removed() const { return removed_; }

  // Subscriptions come and go with their topic's record, and epochs of named producers rise.
  void apply_topic(const std::shared_ptr<const Topic>& topic);
  // Called while it asks for that (watch). `reads_left`: jobs that the read pool may still be given
  // in this second. False: not needed again for now.
  bool every_second(TimeUs now_us, std::size_t& reads_left);
  // The topic is gone: answers everybody, frees the space.
  void close_deleted();

  // `batch` is verified and is the caller's only use of those bytes: they are patched in place.
  // `epoch`: as the client knows it; 0: any.
  void produce(const batch::Header& header, SharedBytes batch, MainEpoch epoch, protocol::Acks acks,
               Reply reply);

  // A batch of the server's own (producer id from kInternalProducers on); `stored` on this loop
  // when it is committed, also when it was stored before.
  void append_internal(SharedBytes batch, std::function<void(const Status&)> stored);

  struct ReadRequest {
    Offset offset = 0;
    std::size_t max_bytes = 0;
    std::uint64_t deadline_ms = 0;  // long poll until then; 0: answer at once
    MainEpoch epoch = 0;            // as the client knows it; 0: any
  };
  void read(ReadRequest request, Reply reply);
  void expire_reads(std::uint64_t now_ms);
  // The offset that a start position means now; `found` on this loop, perhaps at once.
  void resolve(protocol::StartKind kind, std::int64_t value,
               std::function<void(Result<Offset>)> found);

  // What a consumer may be given from memory: the batch that holds `offset`; null: read it from
  // storage with fetch. From the start of the log on where retention has passed `offset` meanwhile.
  const CachedBatch* cached(Offset offset) const;
  using Fetched = std::move_only_function<void(Result<std::vector<SharedBytes>>)>;
  void fetch(Offset offset, std::size_t max_bytes, Fetched fetched);

  // For descriptions of lag; on this loop, perhaps at once. The append time of the batch that
  // holds `offset`; and an estimate of the bytes that are stored from `offset` to the end.
  void age_of(Offset offset, std::function<void(Result<TimeUs>)> found);
  void bytes_from(Offset offset, std::function<void(Result<std::uint64_t>)> found);

  // Delayed messages. A new subscription's due cursor begins at due_index().removed_to().
  const DueIndex& due_index() const { return due_; }
  void read_due(DueKey after, TimeUs until_us, std::size_t max, DueIndex::ReadDue done) {
    due_.read(after, until_us, max, std::move(done));
  }
  // The durable due cursor of every subscription is there or behind it.
  void due_passed(DueKey everybody) { due_.passed(everybody); }
  Offset oldest_delayed() const { return due_.oldest_delayed(); }

  // The wall clock has jumped: what is due by it may be so now.
  void clock_moved();

  // Retention: messages below `to` are gone. Never back, never past what is committed.
  void advance_start(Offset to);

  Subscription* find_subscription(SubscriptionId id);
  const std::unordered_map<SubscriptionId, std::unique_ptr<Subscription>>& subscriptions() const {
    return subscriptions_;
  }
  // It has streams, and is told when the committed offset moves; or has none any more.
  void set_flowing(Subscription& subscription, bool flowing);
  void wake_subscription(SubscriptionId id);
  void close_stream(SubscriptionId id, StreamKey key);
  // Calls `ready` when the subscription's start is fixed and durable here.
  void when_ready(SubscriptionId id, std::move_only_function<void(Status)> ready);
  // Finds the offset where a new subscription starts, and starts it there.
  void start_subscription(const Subscription& subscription);
  CursorLog& cursor_log() { return cursor_log_; }

  void snapshot_producers();

  // To the read pool; while that is full, once more at each turn of the loop.
  void off_loop(ReadPool::Job job);

  // Writes of the internal log count as well: a deleted partition frees its space behind the last
  // one.
  void write_begins();
  void write_ended();

  // Of the internal log (CursorLog): its proposals, and whether it serves.
  void internal_serving_begins() { serve_if_ready(); }
  void propose_internal(const SetProposal& proposal);
  void cursors_settled() { settle_role(); }
  void ask_for_new_epoch(MainEpoch epoch) override;
  void pulls_failing(bool failing) override;

 private:
  enum class Role : std::uint8_t { kNone, kMain, kReplica };
  struct Waiter {
    std::optional<Reply> reply;  // none: of append_internal()
    protocol::Acks acks = protocol::Acks::quorum;
    PartitionCore::Produced produced;
    std::function<void(const Status&)> stored;

    void fail(const Error& error);
  };
  struct ParkedRead {
    ReadRequest request;
    Reply reply;
  };

  // Roles.
  void settle_role();
  void become_main();
  void serve_if_ready();
  void serve();
  void step_down();
  ReplicationRecord internal_record() const;
  void consider_growth();
  void send_proposal(const SetProposal& proposal);
  void recover_cursors();
  // ReplicatedLog::Owner.
  std::shared_ptr<void> keep() override { return shared_from_this(); }
  void committed_moved(Offset committed) override;
  void settled() override { settle_role(); }
  void answer(std::uint64_t token, ErrorCode error) override;
  void serving_begins() override { serve_if_ready(); }
  void propose(const SetProposal& proposal) override;
  SharedBytes remembered(Offset offset) override;
  std::vector<std::uint8_t> state_below(Offset start) override;
  void store(const batch::Header& header, SharedBytes batch, std::vector<storage::StatePut> puts,
             Awaited awaited) override;
  void start_moved(Offset start) override;
  ReplicatedLog::CutWork cut_work(const CutLog& cut, ByteSpan state) override;

  static Result<PartitionCore::Recovered> recover(storage::StorageShard& shard, PartitionId id,
                                                  std::uint32_t dedup_window_ms,
                                                  Offset empty_at = 0);
  void restore_subscriptions(std::span<const CursorChange> changes);
  void sync_subscriptions();
  void add_subscription(std::shared_ptr<const SubscriptionRecord> record);
  void append(const PartitionCore::Produced& produced, const batch::Header& header,
              SharedBytes batch, protocol::Acks acks, std::uint64_t token);
  Status may_take(const batch::Header& header, protocol::Acks acks);
  // A batch on its way to storage.
  struct Writing {
    Offset from = 0, to = 0;
    TimeUs append_time_us = 0;
    std::size_t size_bytes = 0;
    std::vector<DueKey> due;
  };
  void write(const batch::Header& header, SharedBytes batch, std::vector<storage::StatePut> puts,
             Awaited awaited);
  void written(const Writing& batch, ErrorCode error);
  std::uint64_t wait_for(Waiter waiter, bool append_it);
  void watch();
  void answer_read(const ReadRequest& request, Reply reply);
  void send_read(std::vector<SharedBytes> batches, Reply reply);
  std::uint8_t copies(protocol::Acks acks) const;
  void answer_produce(Waiter waiter);
  void refuse_repeated(Waiter waiter);
  void drop_uncommitted(std::vector<SharedBytes>& batches) const;
  void read_log(Offset offset, std::size_t max_bytes, Fetched fetched);
  void free_space();
  void free_copy();
  std::vector<storage::StatePut> delete_rows() const;
  void fail_everybody(const Error& waiters, const Error& others);

  CoreLoop& loop_;
  PartitionId id_;
  TopicId topic_id_;
  std::uint32_t index_;
  std::string topic_name_;
  std::shared_ptr<const Topic> topic_;
  PartitionCore core_;
  ReplicationRecord record_;
  ReplicatedLog log_;
  Role role_ = Role::kNone;
  bool serving_ = false;
  // Of a main that takes over: what its internal log says, once that was read.
  std::optional<std::vector<CursorChange>> cursors_;
  bool reading_cursors_ = false;
  std::uint64_t mains_ = 0;  // so often this copy has become main
  std::vector<std::pair<SubscriptionId, std::move_only_function<void(Status)>>> when_serving_;
  ProducerFences fences_;  // of the topic's named producers; shared with its record
  TailCache cache_;
  AckQueue<Waiter> waiters_;                           // of a main without other copies
  std::unordered_map<std::uint64_t, Waiter> waiting_;  // by token, of others
  std::uint64_t next_token_ = 1;
  std::vector<ParkedRead> parked_;
  CursorLog cursor_log_;
  std::vector<Subscription*> flowing_;  // have streams
  std::unordered_map<SubscriptionId, std::unique_ptr<Subscription>> subscriptions_;
  DueIndex due_;
  Retention retention_;
  TrafficMeter traffic_;
  bool watched_ = false;
  std::uint32_t writes_under_way_ = 0;
  bool producers_changed_ = false;
  bool deleted_ = false;
  bool removed_ = false;
  bool freed_ = false;
};

}  // namespace andyx::server
