// A subscription on one partition: the shell around SubscriptionCore. Finds the batches that the
// core wants in the tail cache or in storage, frames them for the streams, and does what the core
// asks for in time: ack timeouts, delayed messages, dead letters.
//
// Thread: the partition's loop. Owned by Partition.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "protocol/batch/batch_reader.h"
#include "server/loop/client_connection.h"
#include "server/loop/reply.h"
#include "server/metadata/image.h"
#include "server/subscription/dead_letters.h"
#include "server/subscription/outgoing.h"
#include "server/subscription/stream_key.h"
#include "server/subscription/subscription_core.h"

namespace andyx::server {

class Partition;

class Subscription {
 public:
  Subscription(Partition& partition, std::shared_ptr<const SubscriptionRecord> record);
  ~Subscription();

  const SubscriptionRecord& record() const { return *record_; }
  // As of the partition's committed offset: a subscription without streams is not told of each.
  SubscriptionCore& core();

  // Its start is fixed; `ready`: and durable. Until then nothing attaches.
  bool started() const { return started_; }
  bool ready() const { return ready_; }
  void recovered();              // its state came from the log
  void start_at(Offset offset);  // new: makes that durable, then is ready
  void start_failed(const Error& error);
  // Told once, when the start is fixed and durable or has failed. After a failure (a full disk)
  // this starts anew.
  void when_ready(std::move_only_function<void(Status)> ready);

  void open_stream(StreamTarget target, SubscriptionCore::StreamOptions options, Reply reply);
  void close_stream(StreamKey key);
  void credit(StreamKey key, std::uint64_t bytes, std::uint64_t messages);
  void answer(StreamKey key, protocol::AnswerKind kind, std::span<const OffsetRange> ranges,
              std::uint64_t delay_ms, Reply reply);
  void reset(Offset to, std::move_only_function<void(Status)> done);
  void end_all_streams(const Error& reason);
  // It is not served here any more: ends its streams, answers who waits for anything.
  void end(const Error& reason);
  // The partition passes to another consumer: streams up to this epoch get nothing more; `drained`
  // when what they hold is answered, after limits::kDrainTimeoutMs at the latest.
  void revoke(std::uint64_t attach_epoch, std::move_only_function<void()> drained);

  void committed(Offset offset);          // while there are streams
  void log_start_advanced(Offset start);  // retention
  // Delivers what it can, up to a budget for each turn of the loop.
  void pump();
  void clock_moved() { wake(); }
  // A congested connection may take frames again.
  void resume();

 private:
  struct Stream {
    StreamTarget target;
    Outgoing out;
    bool paused = false;
  };
  struct Drain {
    std::uint64_t attach_epoch = 0;
    std::uint64_t until_ms = 0;
    std::move_only_function<void()> drained;
  };

  Now now() const;
  void streams_changed();
  void end_stream(StreamId id, const Error& reason);
  StreamId find_stream(StreamKey key) const;  // 0: none
  void pump_later();
  void make_start_durable();
  void become_ready(Status status);
  void note_changes();

  // Time (subscription_time.cc).
  void arm();
  void wake();
  void check_drains();
  void end_retired();
  void mature();
  void matured(DueKey cursor, Result<std::vector<DueKey>> due);
  void make_matured_durable();
  void due_passed_by_all();
  void later(std::function<void()> run);

  // Delivering (subscription_delivery.cc).
  SharedBytes find_batch(
      const SubscriptionCore::Want& want);  // empty: neither cached nor read ahead
  std::size_t deliver(const SubscriptionCore::Want& want, const SharedBytes& batch);
  Status hand_over(Stream& stream, const batch::Header& header, const SharedBytes& batch);
  void flush(StreamId id, Stream& stream);
  void flush_all();
  void fetch(const SubscriptionCore::Want& want);
  void fetched(const SubscriptionCore::Want& want, Result<std::vector<SharedBytes>> read);

  Partition& partition_;
  std::shared_ptr<const SubscriptionRecord> record_;
  SubscriptionCore core_;
  DeadLetters dead_letters_;
  bool started_ = false;
  bool ready_ = false;
  bool start_failed_ = false;  // and nobody has asked since
  std::vector<std::move_only_function<void(Status)>> when_ready_;
  std::unordered_map<StreamId, Stream> streams_;
  std::unordered_map<StreamKey, StreamId, StreamKeyHash> stream_ids_;
  StreamId next_stream_id_ = 1;
  std::vector<StreamId> filled_;  // streams with a frame under construction
  std::vector<StreamId> paused_;
  std::vector<Drain> drains_;
  // Batches from storage, ascending, one read's worth; of fresh messages, and of redeliveries.
  std::array<std::deque<SharedBytes>, 2> read_ahead_;
  std::vector<SubscriptionCore::DeliveredRange> taken_;         // reused
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // reads under way look at it
  std::uint64_t wake_at_ms_ = ~std::uint64_t{0};                // the earliest entry of Deadlines
  DueKey durable_due_cursor_;
  bool pump_scheduled_ = false;
  bool scanning_due_ = false;
};

}  // namespace andyx::server
