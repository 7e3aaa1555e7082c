// A few nodes in one process, each with one event loop on a thread of its own and a disk that
// outlives it, and one partition of which they hold copies. No sockets: frames between the nodes
// are built and parsed as on the wire, and handed from loop to loop; pairs of nodes can be cut
// apart. The controller is a record under a lock that the real rules (record_rules.h) change.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "data_generated.h"
#include "protocol/batch/batch_builder.h"
#include "server/app/node.h"
#include "server/loop/core_loop.h"
#include "server/partition/partition.h"
#include "server/replication/record_rules.h"
#include "server/replication/replication_control.h"
#include "tests/integration/support/wait_until.h"
#include "tests/server/replication/kept_disk.h"

namespace andyx::server::testing {

inline constexpr PartitionId kPartition = 5;
inline constexpr TopicId kTopic = 3;
inline constexpr SubscriptionId kSubscription = 9;
inline constexpr ProducerId kProducer = kInternalProducers + 1;

struct Copies {
  std::vector<NodeId> replicas;  // the first one is main
  std::vector<NodeId> in_sync;
  std::vector<NodeId> observers;
  std::uint32_t min_in_sync = 1;
};

class TestCluster final : public ReplicationControl {
 public:
  TestCluster(NodeId nodes, Copies copies, DiskKind kind);
  ~TestCluster();

  // ---- Nodes.
  void start(NodeId id);  // another incarnation; `wiped` disks are not intact
  void kill(NodeId id);   // at once: nothing is drained, what the disk has not taken is lost
  void wipe(NodeId id);   // while it is down
  KeptDisk& disk(NodeId id) { return *disks_.at(id); }
  void cut(NodeId a, NodeId b);
  void heal();

  // ---- The controller.
  ReplicationRecord record();
  void lose(NodeId id);  // its session; may elect another main
  void find(NodeId id);  // its session stands again
  void elect(NodeId id);
  void change(const std::function<void(PartitionRecord&)>& change);
  void subscribe(protocol::StartKind from);
  std::size_t proposals() const { return proposals_; }
  bool says_failing(NodeId) { return failing_; }

  // ---- What goes on there. `work` runs on the node's loop.
  void run(NodeId id, const std::function<void(CoreLoop&)>& work);
  // On the node's loop, until it holds. False at last.
  bool until(NodeId id, const std::function<bool(Partition&)>& condition);
  bool until_serving(NodeId id) {
    return until(id, [](Partition& p) { return p.serving(); });
  }
  NodeId main() { return record().main; }

  // A batch of one message from the idempotent producer, at quorum. Its status.
  Status produce(NodeId id, std::uint64_t sequence, std::size_t bytes = 100);
  Status produce_delayed(NodeId id, std::uint64_t sequence, TimeUs deliver_at_us);
  // Handed over with acks main, its outcome is nobody's.
  void produce_lightly(NodeId id, std::uint64_t sequence);
  Status begin_produce(NodeId id, std::uint64_t sequence, std::shared_future<Status>& stored);
  // Every message of the log there, from its start: their payloads.
  std::vector<std::string> log(NodeId id, storage::LogId log);
  LocalCopy copy(NodeId id, bool internal = false);
  // Of the due index there.
  std::size_t due_rows(NodeId id);
  static SharedBytes batch(std::uint64_t sequence, std::size_t bytes = 100,
                           TimeUs deliver_at_us = 0);
  static std::string payload(std::uint64_t sequence, std::size_t bytes = 100);

  // ---- ReplicationControl.
  void propose_in_sync(TopicId topic, std::uint32_t index, const SetProposal& proposal) override;
  void ask_new_epoch(TopicId topic, std::uint32_t index, MainEpoch epoch) override;
  void pulls_failing(PartitionId partition, bool failing) override;
  std::uint64_t heard_controller_ms() const override { return replication_now_ms(); }

  // ---- The network (any loop).
  bool fetch(NodeId from, NodeId to, SharedBytes frame);
  void push(NodeId from, NodeId to, SharedBytes frame);

 private:
  Status produce_batch(NodeId id, SharedBytes batch);
  struct Member {
    Node node;
    std::thread thread;
    std::shared_ptr<void> alive = std::make_shared<int>();
    CoreLoop& loop() { return *node.loops.front(); }
  };

  Member* reach(NodeId from, NodeId to);  // with mutex_ held; null: cut off, or down
  ReplicationRecord record_locked();
  void store_locked(const ReplicationRecord& record);
  void publish_locked();
  void links_up_locked();
  std::shared_ptr<const Image> image_locked();

  const DiskKind kind_;
  mutable std::mutex mutex_;
  std::map<NodeId, std::unique_ptr<KeptDisk>> disks_;
  std::map<NodeId, std::unique_ptr<Member>> members_;
  std::map<NodeId, NodeRecord> nodes_;
  std::set<NodeId> wiped_;
  std::set<std::pair<NodeId, NodeId>> cuts_;
  PartitionRecord partition_;
  Topic topic_;
  Position position_ = 0;
  std::uint64_t next_incarnation_ = 1'000;
  std::size_t proposals_ = 0;
  bool failing_ = false;
};

}  // namespace andyx::server::testing
