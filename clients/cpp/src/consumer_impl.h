// The shell of a consumer. Attaching, streams and answers on the client's thread; received messages
// wait under the mutex for poll(), or for the handler's thread.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "andyx/consumer.h"
#include "clients/cpp/src/answer_queue.h"
#include "clients/cpp/src/client_impl.h"
#include "clients/cpp/src/held_ranges.h"
#include "clients/cpp/src/partition_route.h"

namespace andyx::client {

class ConsumerImpl final : public Part,
                           public LinkUser,
                           public StreamSink,
                           public AttachmentSink,
                           public std::enable_shared_from_this<ConsumerImpl> {
 public:
  static Result<std::shared_ptr<ConsumerImpl>> open(const std::shared_ptr<ClientImpl>& client,
                                                    ConsumerOptions options);
  ~ConsumerImpl();

  Result<MessageBatch> poll(std::uint32_t timeout_ms);
  void answer(AnswerKind kind, std::uint32_t partition, OffsetRange range, std::uint32_t delay_ms);
  Status flush_answers();
  Status close();
  void abandon();  // detaches; nothing is called afterwards
  ConsumerStats stats() const;

 private:
  struct Received {
    std::uint32_t partition;
    SharedBytes batches;
    std::vector<OffsetRange> ranges;
    std::vector<MessageBatch::Redelivery> redeliveries;
    std::uint64_t credit_bytes, credit_messages;
  };
  // The callers' side of a partition; under the mutex.
  struct Slot {
    AnswerQueue answers;
    HeldRanges held;  // failover only: a partition is given up when they are answered
    std::uint64_t credit_bytes = 0, credit_messages = 0;  // taken, not yet granted back
    std::uint32_t waiting = 0;                            // received, not yet taken
    bool answers_due = false, credit_due = false;         // in the lists below
  };
  // The thread's side of a partition that is attached.
  struct Stream {
    std::uint32_t id = 0;
    std::uint64_t epoch = 0;  // of the partition
    NodeLink* link = nullptr;
    NodeId node = 0;        // that `link` leads to
    bool open = false;      // the server has confirmed it
    bool retiring = false;  // the partition was taken away; what is held is answered first
    std::uint64_t next_answer = 1;
    std::unordered_map<std::uint64_t, AnswerQueue::Group> unconfirmed;
  };

  // A partition that is ours and could not be opened.
  struct Retry {
    std::uint32_t failures = 0;
    std::uint64_t not_before_ms = 0;
  };

  ConsumerImpl(std::shared_ptr<ClientImpl> client, ConsumerOptions options, std::string topic);
  bool coalesce_credit(const Slot& slot) const;
  Result<Received> take(std::uint32_t timeout_ms);
  void handle_messages();
  void join_handler();

  // Attaching; the thread. `attempt` tells callbacks of an earlier attempt apart.
  void begin(std::move_only_function<void(Result<bool>)> done);
  void attach();
  void subscribe(std::uint64_t attempt);
  void subscribed(NodeLink& coordinator, const protocol::SubscribeReply& reply);
  void check_complete();
  void attach_failed(std::uint64_t attempt, const Error& error, bool retriable);
  void attachment_lost(const Error& reason);
  void forget_attachment();
  void start_over(const Error& error, bool retriable);
  void detach(std::move_only_function<void()> done);
  void drop_streams();
  void stop(const Error& reason);
  void sign_of_life();

  // The partitions that are ours; the thread.
  void assigned(const protocol::Assigned& body) override;
  void detached(const Error& error) override;
  template <typename Body>
  void take_assignment(const Body& body);
  void apply_assignment();
  void learn_partitions();
  void open_missing();
  void open_stream(std::uint32_t partition, std::uint64_t epoch, NodeLink& link);
  void stream_opened(std::uint32_t partition, std::uint32_t id, const Reply& reply);
  void reopen_later(std::uint32_t partition, const Error& error);
  void lose_stream(std::uint32_t partition, const Error& error);
  void retire(std::uint32_t partition);
  void close_if_retired(std::uint32_t partition);
  enum class Answers { kKeep, kDrop };
  void forget_stream(std::uint32_t partition, Answers answers);
  void close_stream(std::uint32_t partition, Answers answers);
  void drop_received(std::uint32_t partition);
  void forget_answers(std::uint64_t messages);
  void all_answers_due();

  // Where the mains are; the thread. In consumer_route.cc.
  void refresh();
  void leave_replaced();
  void take_metadata(const TopicMetadata& topic);
  NodeLink* link_of(std::uint32_t partition) const;
  void watch(NodeLink& link);
  void unwatch_unused();

  // The thread.
  void deliver(std::uint32_t stream, const SharedBytes& frame,
               const protocol::Deliver& body) override;
  void stream_closed(std::uint32_t stream, const Error& error) override;
  void link_up(NodeLink& link) override;
  void link_down(NodeLink& link, const Error& reason) override;
  void link_silent(NodeLink& link) override;
  void end(const Error& reason) override;
  void work_off();
  void grant(std::uint32_t partition);
  void send_answers(std::uint32_t partition);
  void answered(std::uint32_t partition, std::uint64_t id, const Reply& reply);
  void settle(std::uint64_t messages);
  void due(std::uint32_t partition, bool Slot::* flag, std::vector<std::uint32_t>& list);

  const std::shared_ptr<ClientImpl> client_;
  const ConsumerOptions options_;
  const std::string topic_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Slot> slots_;
  std::deque<Received> queue_;
  std::vector<std::uint32_t> answers_due_, credit_due_;  // partitions the thread has to look at
  bool work_posted_ = false;
  std::optional<Error> failed_;
  std::uint64_t unconfirmed_ = 0;  // messages answered
  std::uint64_t confirmations_ = 0;
  ConsumerStats stats_;
  std::uint64_t credit_bytes_ = 0, credit_messages_ = 0;  // of each partition

  std::uint64_t session_ = 0;
  std::string name_;
  std::uint64_t attempt_ = 0;
  std::uint32_t failures_ = 0;
  std::uint64_t detached_at_ms_ = 0;
  Error last_error_{ErrorCode::kTimedOut, "a partition could not be opened"};
  bool complete_ = false;  // attached, and everything that was assigned is open
  bool ended_ = false;
  TopicId topic_id_ = 0;
  std::vector<PartitionRoute> routes_;  // of each partition of the topic
  bool refreshing_ = false;
  std::uint32_t subscription_id_ = 0;
  std::uint64_t attach_epoch_ = 0;
  NodeLink* coordinator_ = nullptr;  // the connection of the attachment; null: there is none
  NodeId coordinator_node_ = 0;      // whom to ask first; 0: any
  std::unordered_map<std::uint32_t, Retry> retries_;          // by partition
  std::map<std::uint32_t, std::uint64_t> assignment_;         // partition -> epoch
  std::unordered_map<std::uint32_t, std::uint32_t> refused_;  // how often in a row, as stale
  bool learning_ = false;                                     // partitions that are new to us
  std::unordered_map<std::uint32_t, std::uint32_t> partition_of_stream_;
  std::unordered_map<std::uint32_t, Stream> streams_;  // by partition
  std::vector<NodeLink*> links_;
  std::unique_ptr<net::Loop::Timer> retry_timer_, answer_timer_, reopen_timer_, ping_timer_;
  std::move_only_function<void(Result<bool>)> on_attached_;

  std::thread handler_thread_;
};

}  // namespace andyx::client
