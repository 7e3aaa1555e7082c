// The shell of a producer. Callers append to a batch for each partition under the mutex; a finished
// batch goes to the client's thread, where one ProducerCore for each partition decides.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "andyx/producer.h"
#include "clients/cpp/src/client_impl.h"
#include "clients/cpp/src/partition_route.h"
#include "clients/cpp/src/partition_turns.h"
#include "clients/cpp/src/producer_core.h"
#include "protocol/batch/batch_builder.h"

namespace andyx::client {

class ProducerImpl final : public Part,
                           public LinkUser,
                           public std::enable_shared_from_this<ProducerImpl> {
 public:
  static Result<std::shared_ptr<ProducerImpl>> open(const std::shared_ptr<ClientImpl>& client,
                                                    ProducerOptions options);

  std::uint32_t partitions() const;
  enum class WhenFull { kWait, kRefuse };
  Status send(const OutMessage& message, SendCallback callback, WhenFull when_full);
  Status flush();
  Status close();
  void abandon();  // waits until nothing is called any more
  ProducerStats stats() const;
  void seal_everything();

 private:
  struct Batch {
    SharedBytes bytes;
    std::uint32_t partition = 0;
    std::uint32_t count = 0;
    std::size_t charged_bytes = 0;
    TimeUs first_time_us = 0;
    std::vector<std::pair<std::uint32_t, SendCallback>> callbacks;  // by index in the batch
    bool resolved = false;
  };
  // The callers' side of a partition; under the mutex.
  struct Slot {
    batch::BatchBuilder builder;
    batch::ProducerStamp stamp;  // of the next batch
    TimeUs first_time_us = 0;
    std::size_t charged_bytes = 0;   // of the batch that is filled
    std::size_t buffered_bytes = 0;  // of everything that is not answered
    std::vector<std::pair<std::uint32_t, SendCallback>> callbacks;
    std::uint64_t sealed = 0, resolved = 0;  // batches; resolved without a gap
    bool unsealed = false;                   // it is in unsealed_
  };
  // The thread's side of a partition.
  struct Lane {
    ProducerCore core;
    std::deque<Batch> batches;  // unresolved; the first one has number first_id
    BatchId first_id = 0;
    PartitionRoute route;
    NodeId node = 0;  // that `link` leads to
    NodeLink* link = nullptr;
    std::uint64_t resent = 0;      // as the core counts, already in the statistics
    std::uint64_t stored = 0;      // batches, since the sequences began
    std::uint64_t generation = 0;  // answers to sends of an earlier one are dropped
  };

  ProducerImpl(std::shared_ptr<ClientImpl> client, ProducerOptions options, std::string topic);

  // Opening; the thread.
  void begin(std::move_only_function<void(Result<bool>)> done);
  void opened(const TopicMetadata& topic);
  void grow(std::size_t partitions);
  using OnIdentity = std::move_only_function<void(Result<batch::ProducerStamp>)>;
  void open_anonymous(OnIdentity done);

  // The place of a producer with a name; the thread. In producer_place.cc.
  bool named() const { return !options_.name.empty(); }
  bool single() const { return named() && options_.instance == ProducerInstance::kSingle; }
  void open_named(OnIdentity done);
  void reclaim();
  void leave(std::move_only_function<void()> done);
  void renumber(std::uint32_t partition, const ProducerCore::Reopen& action);

  // Callers, under the mutex.
  Status admit(std::unique_lock<std::mutex>& lock, WhenFull when_full);
  Result<std::uint32_t> choose(const OutMessage& message);
  std::uint32_t next_in_turn();
  void seal(std::uint32_t partition);
  void seal_all();
  void linger();

  // The thread.
  void linger_is_over();
  void take_ready();
  void run(std::uint32_t partition);
  void act(std::uint32_t partition, const ProducerCore::Send& action);
  void act(std::uint32_t partition, const ProducerCore::Stored& action);
  void act(std::uint32_t partition, const ProducerCore::Absorbed& action);
  void act(std::uint32_t partition, const ProducerCore::Failed& action);
  void act(std::uint32_t partition, const ProducerCore::Reopen& action);
  void act(std::uint32_t partition, const ProducerCore::Refresh& action);
  void replied(std::uint32_t partition, BatchId id, Reply reply);
  bool drop_repeated(std::uint32_t partition, BatchId id,
                     const std::vector<ReplyError::Duplicate>& duplicates);
  void restamp(std::uint32_t partition, const batch::ProducerStamp& stamp);
  void resolve(std::uint32_t partition, BatchId id, const SendOutcome& outcome);
  void refresh(const NodeLink* doubted = nullptr);
  void refresh_later();
  void refreshed(const TopicMetadata& topic);
  void place(std::uint32_t partition);
  void place_all();
  void watch(NodeLink& link);
  void unwatch_unused();
  void give_up(const Error& reason, bool for_good);
  void fail_for_good(const Error& reason);
  void arm_timer_for(const ProducerCore& core);
  void tick();

  void link_up(NodeLink& link) override;
  void link_down(NodeLink& link, const Error& reason) override;
  void link_silent(NodeLink& link) override;
  void end(const Error& reason) override;

  const std::shared_ptr<ClientImpl> client_;
  const ProducerOptions options_;
  const std::string topic_;  // the full path

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Slot> slots_;              // their number only grows
  std::vector<Batch> ready_;             // sealed, not yet taken by the thread
  PartitionTurns turns_;                 // of messages without a key
  std::vector<std::uint32_t> unsealed_;  // partitions that may have an open batch
  bool linger_armed_ = false;
  std::optional<Error> closed_;
  std::optional<Error> failed_;       // for good: fenced, or its place cannot be had again
  std::optional<Error> first_error_;  // since the last flush
  ProducerStats stats_;
  std::size_t waiters_ = 0;

  std::deque<Lane> lanes_;         // never moved
  batch::ProducerStamp identity_;  // of partitions that begin; sequence 0
  TopicId topic_id_ = 0;
  std::uint64_t refreshed_at_ms_ = 0;
  bool refreshing_ = false;
  std::set<NodeLink*> links_;      // those that tell this object when they come and go
  NodeId home_ = 0;                // main of partition 0 when the place was asked for
  NodeLink* home_link_ = nullptr;  // where a producer with a name has its place
  std::uint64_t session_ = 0;
  bool place_held_ = true;  // without it nothing is sent; anonymous: always
  bool reclaiming_ = false;
  bool left_ = false;
  bool ended_ = false;
  std::unique_ptr<net::Loop::Timer> linger_timer_, timer_, refresh_timer_, reclaim_timer_;
  std::uint64_t timer_at_ms_ = ~0ull;
};

}  // namespace andyx::client
