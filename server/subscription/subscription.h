// One subscription on one partition: the shell around SubscriptionCore. Finds the batches that the
// core wants in the tail cache or in storage, and frames them for the streams.
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

#include "server/loop/client_connection.h"
#include "server/loop/reply.h"
#include "server/metadata/image.h"
#include "server/subscription/stream_key.h"
#include "server/subscription/subscription_core.h"

namespace andyx::server {

class Partition;

class Subscription {
 public:
  Subscription(Partition& partition, std::shared_ptr<const SubscriptionRecord> record);
  ~Subscription();

  const SubscriptionRecord& record() const { return *record_; }
  SubscriptionCore& core() { return core_; }
  const SubscriptionCore& core() const { return core_; }

  // Its start is fixed; `ready`: and durable. Until then nothing attaches.
  bool started() const { return started_; }
  bool ready() const { return ready_; }
  void recovered();              // its state came from the log
  void start_at(Offset offset);  // new: makes that durable, then is ready
  void start_failed(const Error& error);
  // Told once, when the start is fixed and durable or has failed. After a failure (a full disk)
  // this starts anew.
  void when_ready(std::move_only_function<void(Status)> ready);

  void open_stream(StreamTarget target, std::uint64_t attach_epoch, std::uint64_t credit_bytes,
                   std::uint64_t credit_messages, Reply reply);
  void close_stream(StreamKey key);
  void credit(StreamKey key, std::uint64_t bytes, std::uint64_t messages);
  void answer(StreamKey key, protocol::AnswerKind kind, std::span<const OffsetRange> ranges,
              Reply reply);
  void reset(Offset to, std::move_only_function<void(Status)> done);
  void end_all_streams(const Error& reason);
  // The partition goes to another consumer: streams of this attach epoch and older ones get nothing
  // more, and none is opened. `drained` when they hold nothing any more.
  void revoke(std::uint64_t attach_epoch, std::move_only_function<void()> drained);

  void committed(Offset offset);
  // Delivers what it can, up to a budget for each turn of the loop.
  void pump();

 private:
  struct Stream {
    StreamTarget target;
  };
  struct Outgoing;  // the Deliver frame under construction

  void end_stream(StreamId id, const Error& reason);
  StreamId find_stream(StreamKey key) const;  // 0: none
  void pump_later();
  void make_start_durable();
  void become_ready(Status status);
  void note_changes();
  static bool gate_open(DeliveryGate& gate);
  SharedBytes find_batch(
      const SubscriptionCore::Want& want);  // empty: neither cached nor read ahead
  std::size_t deliver(const SubscriptionCore::Want& want, SharedBytes batch, Outgoing& out);
  void flush(Outgoing& out);
  void fetch(const SubscriptionCore::Want& want);
  void fetched(const SubscriptionCore::Want& want, Result<std::vector<SharedBytes>> read);

  Partition& partition_;
  std::shared_ptr<const SubscriptionRecord> record_;
  SubscriptionCore core_;
  bool started_ = false;
  bool ready_ = false;
  bool start_failed_ = false;  // and nobody has asked since
  std::vector<std::move_only_function<void(Status)>> when_ready_;
  std::unordered_map<StreamId, Stream> streams_;
  std::unordered_map<StreamKey, StreamId, StreamKeyHash> stream_ids_;
  StreamId next_stream_id_ = 1;
  std::uint64_t newest_epoch_ = 0;   // of a stream
  std::uint64_t revoked_epoch_ = 0;  // up to here
  // Batches from storage, ascending, one read's worth; of fresh messages, and of redeliveries.
  std::array<std::deque<SharedBytes>, 2> read_ahead_;
  std::vector<SubscriptionCore::DeliveredRange> taken_;         // reused
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // reads under way look at it
  bool pump_scheduled_ = false;
};

}  // namespace andyx::server
