// A partition on its loop: the shell around PartitionCore. Patches and stores batches, answers
// producers and readers, holds the tail cache and the subscriptions' shells.
//
// Thread: its loop. Life: shared, because writes and reads under way keep it; closed when its topic
// is deleted.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "server/loop/read_pool.h"
#include "server/loop/reply.h"
#include "server/metadata/image.h"
#include "server/partition/partition_core.h"
#include "server/partition/producer_fence.h"
#include "server/partition/tail_cache.h"
#include "server/subscription/cursor_log.h"
#include "server/subscription/subscription.h"

namespace andyx::protocol {
enum class Acks : std::uint8_t;
}

namespace andyx::server {

class CoreLoop;

class Partition : public std::enable_shared_from_this<Partition> {
 public:
  // Recovers what storage holds of it; blocks on the disk where there is something (at start).
  static Result<std::shared_ptr<Partition>> open(CoreLoop& loop,
                                                 const std::shared_ptr<const Topic>& topic,
                                                 const PartitionRecord& record);
  Partition(CoreLoop& loop, const Topic& topic, const PartitionRecord& record, PartitionCore core);
  ~Partition();

  CoreLoop& loop() { return loop_; }
  PartitionId id() const { return id_; }
  TopicId topic_id() const { return topic_id_; }
  std::uint32_t index() const { return index_; }
  std::string describe() const;  // "tenant/…/topic partition 3", for messages
  const PartitionCore& core() const { return core_; }
  std::uint64_t stored_bytes() const;

  // Subscriptions come and go with their topic's record, and epochs of named producers rise.
  void apply_topic(const Topic& topic);
  // The topic is gone: answers everybody, frees the space.
  void close_deleted();

  // `batch` is verified and is the caller's only use of those bytes: they are patched in place.
  void produce(const batch::Header& header, SharedBytes batch, MainEpoch epoch, protocol::Acks acks,
               Reply reply);

  struct ReadRequest {
    Offset offset = 0;
    std::size_t max_bytes = 0;
    std::uint64_t deadline_ms = 0;  // long poll until then; 0: answer at once
  };
  void read(ReadRequest request, Reply reply);
  void expire_reads(std::uint64_t now_ms);
  // The offset that a start position means now; `found` on this loop, perhaps at once.
  void resolve(protocol::StartKind kind, std::int64_t value,
               std::function<void(Result<Offset>)> found);

  // What a consumer may be given from memory: the batch that holds `offset`; null: read it from
  // storage.
  const CachedBatch* cached(Offset offset) const;
  using Fetched = std::move_only_function<void(Result<std::vector<SharedBytes>>)>;
  void fetch(Offset offset, std::size_t max_bytes, Fetched fetched);

  Subscription* find_subscription(SubscriptionId id);
  const std::unordered_map<SubscriptionId, std::unique_ptr<Subscription>>& subscriptions() const {
    return subscriptions_;
  }
  void wake_subscription(SubscriptionId id);
  void close_stream(SubscriptionId id, StreamKey key);
  // Calls `ready` when the subscription's start is fixed and durable here.
  void when_ready(SubscriptionId id, std::move_only_function<void(Status)> ready);
  // Finds the offset where a new subscription starts, and starts it there.
  void start_subscription(const Subscription& subscription);
  CursorLog& cursor_log() { return cursor_log_; }

  void snapshot_producers();

  // Writes of the internal log count as well: a deleted partition frees its space behind the last
  // one.
  void write_begins();
  void write_ended();

 private:
  struct Waiter {
    Reply reply;
    PartitionCore::Produced produced;
  };
  struct ParkedRead {
    ReadRequest request;
    Reply reply;
  };

  static Result<PartitionCore::Recovered> recover(CoreLoop& loop, PartitionId id,
                                                  std::uint32_t dedup_window_ms);
  Status recover_subscriptions(const Topic& topic);
  void add_subscription(std::shared_ptr<const SubscriptionRecord> record);
  void append(const PartitionCore::Produced& produced, const batch::Header& header,
              SharedBytes batch);
  void written(Offset from, Offset to, ErrorCode error);
  void committed_moved();
  void answer_read(const ReadRequest& request, Reply reply);
  void send_read(std::vector<SharedBytes> batches, Reply reply);
  void answer_produce(Waiter waiter);
  void refuse_repeated(Waiter waiter);
  void drop_uncommitted(std::vector<SharedBytes>& batches) const;
  void off_loop(ReadPool::Job job);
  void free_space();

  CoreLoop& loop_;
  PartitionId id_;
  TopicId topic_id_;
  std::uint32_t index_;
  std::string topic_name_;
  PartitionCore core_;
  ProducerFences fences_;  // of the topic's named producers; shared with its record
  TailCache cache_;
  AckQueue<Waiter> waiters_;
  std::vector<ParkedRead> parked_;
  CursorLog cursor_log_;
  std::unordered_map<SubscriptionId, std::unique_ptr<Subscription>> subscriptions_;
  std::uint32_t writes_under_way_ = 0;
  bool producers_changed_ = false;
  bool deleted_ = false;
};

}  // namespace andyx::server
