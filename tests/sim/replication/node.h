// A node with one copy of the partition: what the server's shell will do around the cores, with a
// simulated disk, and producers' state as the real table keeps it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>

#include "server/partition/producer_table.h"
#include "server/replication/main_core.h"
#include "server/replication/replica_core.h"
#include "tests/sim/replication/batch.h"
#include "tests/sim/replication/controller.h"
#include "tests/sim/replication/rng.h"

namespace andyx::server::sim {

class World;

struct ProduceAnswer {
  ErrorCode error = ErrorCode::kOk;
  MainEpoch epoch = 0;
  Offset base = 0;
};

class Node {
 public:
  Node(NodeId id, World& world);

  NodeId id() const { return id_; }
  bool up() const { return up_; }
  bool paused() const { return paused_; }
  const SimLog& log() const { return log_; }
  const LocalCopy& copy() const { return copy_; }
  const MainCore* main() const { return main_ && !main_->resigned() ? main_.get() : nullptr; }
  MainEpoch epoch() const;
  std::string describe() const;

  void start();
  void crash();
  void wipe();  // while it is down
  void pause();
  void resume();
  void slow_disk(Time until) { slow_until_ = until; }
  void full_disk(Time until) { full_until_ = until; }
  void retain(Offset from);

  // Delivered to the process: at once, or when it goes on after a pause; lost while it is down.
  void deliver(std::function<void()> what);
  // What may arrive.
  void told(const KnownImage& image, Time asked);
  void fetch(const FetchEntry& entry, bool at_once);
  void fetched(const FetchAnswer& answer, const std::vector<Batch>& batches);
  using Reply = std::function<void(ProduceAnswer)>;
  void produce(Batch batch, protocol::Acks acks, Reply reply);

 private:
  struct Waiting {
    protocol::Acks acks;
    MainEpoch epoch = 0;
    Offset base = 0;
    Reply reply;
  };

  void every(Time interval, std::function<void()> what);
  void heartbeat();
  void tick();
  void adopt();
  void become_main();
  void follow();

  void act();
  void act_on(const MainAction& action);
  void act_on(const ReplicaAction& action);
  void answer_fetch(const AnswerFetch& action);
  void answer_producer(const AnswerProducer& action);
  void cut(const CutLog& cut);
  void append(const Batch& batch);
  void rebuild_producers();
  void write();
  void written(Offset end);
  void refuse_unsynced();

  NodeId id_;
  World& world_;
  Rng rng_;
  bool up_ = false, paused_ = false;
  std::uint64_t life_ = 0;
  std::vector<std::function<void()>> inbox_;  // of a paused process
  Incarnation incarnation_ = 0;
  DiskId disk_;
  bool clean_ = true;
  KnownImage image_;
  SimLog log_;
  Offset synced_ = 0;  // survives a crash
  bool writing_ = false;
  Time slow_until_ = 0, full_until_ = 0;
  LocalCopy copy_;
  ProducerTable producers_;
  std::unique_ptr<MainCore> main_;
  std::unique_ptr<ReplicaCore> replica_;
  std::vector<Batch> arrived_;  // with the answer that is being taken
  std::uint64_t next_request_ = 1;
  std::uint64_t heard_ms_ = 0;
  MainEpoch failing_epoch_ = 0;
  std::uint64_t next_token_ = 1;
  std::unordered_map<std::uint64_t, Waiting> waiting_;
};

}  // namespace andyx::server::sim
