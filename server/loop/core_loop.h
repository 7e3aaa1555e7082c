// One event loop = one thread: its listener, its connections, and the partitions that it owns. What
// belongs to another loop is reached by that loop's mailbox, never by a lock.
//
// Life: made by Server, run() on its own thread; drain() then stop(). Every call on its thread
// unless marked otherwise.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "protocol/net/loop.h"
#include "protocol/net/tcp.h"
#include "server/app/node.h"
#include "server/loop/client_connection.h"
#include "server/loop/deadlines.h"
#include "server/loop/image_waiters.h"
#include "server/loop/loop_load.h"
#include "server/loop/producer_places.h"
#include "server/loop/write_queue.h"
#include "server/partition/tail_cache.h"
#include "server/replication/pull_sessions.h"
#include "server/subscription/coordinator.h"

namespace andyx::server {

class NodeLinks;
class Partition;

class CoreLoop {
 public:
  CoreLoop(Node& node, std::uint32_t index, std::unique_ptr<net::Loop> loop);
  ~CoreLoop();

  void run();   // the thread's body; returns after stop()
  void stop();  // any thread
  // After every loop of the node has stopped, from any thread: lets go of the partitions and of
  // what still waited for the disk. These may owe answers to connections of other loops, so no loop
  // ends before all have done this.
  void release();

  // Opens the partitions of the image that this loop owns: reads what recovery needs. Before run().
  Status open_partitions(std::shared_ptr<const Image> image);
  Status listen(const net::Address& address);

  // Takes no new work; `drained` when everything under way is durable and answered.
  void drain(net::Task drained);
  // Sends what is queued, then closes; `closed` when no connection is left.
  void close_connections(net::Task closed);

  Node& node() { return node_; }
  std::uint32_t index() const { return index_; }
  net::Loop& net_loop() { return *loop_; }
  WriteQueue& writes() { return writes_; }
  // For changes of subscriptions: answers go on while a full disk refuses messages.
  WriteQueue& cursor_writes() { return cursor_writes_; }
  TailCacheBudget& cache_budget() { return cache_budget_; }
  Deadlines& deadlines() { return deadlines_; }
  PullSessions& pulls() { return pulls_; }
  const Image& image() const { return *image_; }
  std::shared_ptr<const Image> image_pointer() const { return image_; }
  bool draining() const { return draining_; }
  // BOOTTIME milliseconds of its last short tick; 0: none yet. Any thread.
  std::uint64_t turned_ms() const { return turned_ms_.load(std::memory_order_relaxed); }
  const LoopLoad& load() const { return load_; }
  // To the other nodes; null until they are set, and on a node that has none.
  NodeLinks* links() { return pulls_.links(); }
  void set_links(std::unique_ptr<NodeLinks> links);

  // The loop's part of a new image: opens, changes and closes partitions.
  void apply_image(std::shared_ptr<const Image> image);
  // The partition, where this node is its main; it may not serve yet.
  Partition* find_partition(PartitionId id);
  // Whatever this node's copy is.
  Partition* find_copy(PartitionId id);
  // A copy that was taken from this node has left nothing here: it may come back.
  void copy_freed(PartitionId id);
  // Whom this node coordinates there is sent elsewhere.
  void main_lost(TopicId topic, std::uint32_t partition, const Error& reason);
  const std::unordered_map<PartitionId, std::shared_ptr<Partition>>& partitions() const {
    return partitions_;
  }

  // `done(true)` when the loop's image is at `version` or behind it, perhaps at once.
  void when_image(Position version, std::uint64_t until_ms, ImageWaiters::Done done);

  // The one place that knows who is attached to a subscription; on its coordinator's loop only.
  // As this loop's image has it: kUnknownSubscription where it was deleted, kNotMain with the node
  // where another one coordinates it.
  Result<Coordinator*> coordinator(TopicId topic, const SubscriptionRecord& subscription);
  Coordinator* find_coordinator(SubscriptionId subscription);
  // Its topic has grown, and not everybody was ready: looked at again at the next short tick.
  void grow_later(SubscriptionId subscription) { growing_.insert(subscription); }

  // Of the topics whose first partition is this loop's, and has its main here.
  ProducerPlaces& producer_places() { return producer_places_; }

  // Connections of this loop.
  ClientConnection* find_connection(std::uint64_t id);
  void remove_connection(std::uint64_t id);
  // One of this loop's goes on at another one.
  void give_away(std::uint64_t id, CoreLoop& owner, MovingConnection moving);
  // Looked at again at the next short tick.
  void add_parked(PartitionId partition) { parked_.insert(partition); }
  // A partition that wants its every_second; until it says that it needs no more.
  void watch(PartitionId partition) { watched_.push_back(partition); }
  void add_throttled(std::uint64_t id) { throttled_.insert(id); }
  // To the read pool; while that is full, once more at each turn of the loop.
  void off_loop(ReadPool::Job job);
  std::size_t connection_count() const { return connections_.size(); }

  // Any thread: the answer to a request of a connection of this loop.
  void answer(std::uint64_t connection_id, std::optional<frame::OutFrame> frame,
              std::size_t charged_bytes);
  // Any loop's thread: a frame that nobody asked for, to a connection of this loop.
  void push(const StreamTarget& target, frame::OutFrame frame);
  // Tells the owner of a stream that its connection takes frames again.
  void wake_subscription(const StreamRoute& route);

 private:
  void open_topic(const std::shared_ptr<const Topic>& topic);
  void change_topic(const Topic& before, const std::shared_ptr<const Topic>& topic);
  void end_attached(const Topic& topic, const Error& reason);
  void close_topic(const Topic& topic);
  void end_coordinators(TopicId topic, const Topic* present);
  std::optional<Error> end_of(const Coordinator& coordinator, const Topic* present) const;
  void accept(std::unique_ptr<net::Connection> connection);
  void take_over(MovingConnection moving);
  void every_second();
  void tend_watched();
  void watch_clock();
  void check_drained();
  bool holds(const PartitionRecord& record) const;
  void change_partition(const std::shared_ptr<const Topic>& topic, const PartitionRecord& record);
  void nodes_changed(const Image& before);
  Status free_leftover(const PartitionRecord& record);
  Status open_partition(std::shared_ptr<const Topic> topic, const PartitionRecord& record);

  Node& node_;
  std::uint32_t index_;
  std::unique_ptr<net::Loop> loop_;
  TailCacheBudget cache_budget_;  // outlives the partitions that the queues may keep
  WriteQueue writes_, cursor_writes_;
  Deadlines deadlines_;
  PullSessions pulls_;
  std::shared_ptr<const Image> image_;
  std::unordered_map<PartitionId, std::shared_ptr<Partition>> partitions_;
  std::unordered_map<SubscriptionId, std::unique_ptr<Coordinator>> coordinators_;
  ProducerPlaces producer_places_;
  std::unordered_map<std::uint64_t, std::unique_ptr<ClientConnection>> connections_;
  std::unordered_set<std::uint64_t> throttled_;
  std::unordered_set<PartitionId> parked_;  // have reads that wait
  std::unordered_set<SubscriptionId> growing_;
  ImageWaiters image_waiters_;
  std::vector<PartitionId> watched_;  // have retention, or delayed messages
  std::unique_ptr<net::Listener> listener_;
  std::unique_ptr<net::Loop::Timer> second_timer_, short_timer_;
  TimeUs clock_difference_us_ = 0;  // wall less steady clock, when it was last looked at closely
  std::uint32_t seen_generation_ = 0;
  std::atomic<std::uint64_t> turned_ms_{0};
  LoopLoad load_{*this};
  net::Task drained_, closed_;
  bool draining_ = false;
  bool closing_ = false;
  bool final_snapshots_ = false;
};

}  // namespace andyx::server
