// A partition's copy on a node: what the server's Partition does around the two logs, the real
// PartitionCore, and, where it is main, its subscriptions, their cursors in the internal log, and
// the coordinators that it is the place of.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "server/partition/partition_core.h"
#include "tests/sim/replication/coordinator.h"
#include "tests/sim/replication/replica_log.h"
#include "tests/sim/replication/subscription.h"

namespace andyx::server::sim {

struct ProduceAnswer {
  ErrorCode error = ErrorCode::kOk;
  MainEpoch epoch = 0;
  Offset base = 0;
  NodeId main = 0;  // kNotMain: who is, as far as this node knows
};

class Copy {
 public:
  Copy(Node& node, std::uint32_t partition);

  Node& node() { return node_; }
  std::uint32_t partition() const { return partition_; }
  ReplicaLog& log(bool internal) { return internal ? internal_ : messages_; }
  const ReplicaLog& log(bool internal) const { return internal ? internal_ : messages_; }
  MainEpoch epoch() const { return messages_.epoch(); }
  bool serving() const { return serving_ && messages_.main() != nullptr; }
  bool pulls_failing() const;
  std::string describe() const;

  void start();
  void crash();
  void wipe();
  void tick();
  void adopt(const ReplicationRecord& record);
  void controller_answered(std::uint64_t asked_ms);

  // What may arrive.
  using Reply = std::function<void(ProduceAnswer)>;
  void produce(Batch batch, protocol::Acks acks, Reply reply);
  void retain(Offset from);
  void when_ready(SubscriptionId id, Done ready);
  bool may_attach() const;  // a coordinator here may take consumers
  void attach(SubscriptionId id, const SubscribeRequest& request, const SubscribeReply& reply);
  void revoke(SubscriptionId id, std::uint64_t epoch, Done drained);
  void connection_lost(std::uint64_t connection);
  SimSubscription* subscription(SubscriptionId id);
  SimCoordinator* coordinator(SubscriptionId id);

  // Of its logs.
  void answer(ReplicaLog& log, std::uint64_t token, ErrorCode error);
  void propose(ReplicaLog& log, const SetProposal& proposal);
  void ask_for_new_epoch(MainEpoch epoch);
  void committed_moved(ReplicaLog& log);
  void serve_if_ready();
  void stored(ReplicaLog& log, const batch::Header& header);
  void durable(ReplicaLog& log, Offset end);
  void refused(ReplicaLog& log, Offset from);
  void was_cut(ReplicaLog& log);

  // Of its subscriptions: what has changed is written; `confirmed` when it is durable.
  void changed(SubscriptionId id, Done confirmed);
  Now now() const;

 private:
  struct Waiting {
    protocol::Acks acks;
    MainEpoch epoch = 0;
    Offset base = 0;
    Reply reply;
  };
  // What one write of cursors carries.
  struct Round {
    std::vector<SubscriptionId> subscriptions;
    std::vector<Done> confirmed;
    std::uint64_t token = 0;
    std::optional<Offset> snapshot;  // where its records begin
  };

  void become_main();
  void step_down();
  void recover();
  ProducerTable recovered_producers() const;
  ReplicationRecord internal_record() const;
  void consider_growth();
  void send_proposal(const SetProposal& proposal);
  void serve();
  void restore_subscriptions();
  void sync_subscriptions();
  void write_round();
  void append_record(const std::vector<CursorChange>& changes, std::uint64_t token);
  void finish(ErrorCode error);
  void lose(Round round, ErrorCode error);

  Node& node_;
  std::uint32_t partition_;
  ReplicaLog messages_, internal_;
  std::optional<PartitionCore> core_;
  ReplicationRecord record_;
  bool serving_ = false;
  std::uint64_t next_token_ = 1;
  std::unordered_map<std::uint64_t, Waiting> waiting_;

  std::map<SubscriptionId, SimSubscription> subscriptions_;
  std::map<SubscriptionId, SimCoordinator> coordinators_;
  std::vector<std::pair<SubscriptionId, Done>> when_serving_;
  std::set<SubscriptionId> dirty_;
  std::vector<Done> confirms_;  // of the next round
  std::optional<Round> round_;  // being written
  std::uint32_t records_ = 0;   // since the last snapshot
};

}  // namespace andyx::server::sim
