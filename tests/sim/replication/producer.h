// A producer: the real retries (ProducerCore, PartitionRoute of the C++ client), and around them
// what its shell does: connections, stamps, a look at the metadata.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "clients/cpp/src/partition_route.h"
#include "clients/cpp/src/producer_core.h"
#include "tests/sim/replication/copy.h"
#include "tests/sim/replication/rng.h"

namespace andyx::server::sim {

class World;

class Producer {
 public:
  Producer(std::uint32_t index, World& world);

  void begin();
  void node_lost(NodeId node);  // its connection to it
  // Everybody has healed: counts what is stored at quorum from here on.
  void count_from_here() {
    stored_since_ = 0;
    quorum_only_ = true;
  }
  std::uint64_t stored_since() const { return stored_since_; }
  std::uint64_t resent() const { return core_.resent(); }
  std::string describe() const;

 private:
  using Core = client::ProducerCore;

  struct Operation {
    OperationId id = 0;
    std::uint32_t count = 1;
    protocol::Acks acks{};
    ProducerId producer = 0;
    std::uint64_t sequence = 0;
    Time sent = 0;  // unanswered since; 0: it is not under way
    bool resolved = false;
  };

  void next_operation();
  void run();
  void act(const Core::Send& action);
  void act(const Core::Stored& action);
  void act(const Core::Failed& action);
  void act(const Core::Reopen& action);
  void act(const Core::Refresh& action);
  void act(const Core::Absorbed&) {}  // there are no message ids here
  void answered(std::uint64_t generation, client::BatchId id, NodeId by,
                const ProduceAnswer& answer);
  void resolve(client::BatchId id);
  void refresh();
  void place();
  void disconnect(const Error& reason);
  void tick();
  std::uint64_t now_ms() const;

  World& world_;
  Rng rng_;
  std::uint32_t partition_;
  Core core_;
  client::PartitionRoute route_;
  std::deque<Operation> operations_;  // unresolved; the first one has number first_
  client::BatchId first_ = 0;
  ProducerId producer_id_ = 0;
  std::uint64_t next_sequence_ = 0;
  NodeId node_ = 0;               // that it is connected to
  std::uint64_t generation_ = 0;  // answers to what was sent over another connection are dropped
  Time pipe_ = 0;                 // a connection keeps the order of what is sent
  bool refreshing_ = false;
  std::uint64_t stored_since_ = 0;
  bool quorum_only_ = false;
};

}  // namespace andyx::server::sim
