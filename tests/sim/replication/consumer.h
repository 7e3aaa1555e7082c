// A consumer of a subscription: attaches, opens the streams that it is granted, answers what it
// gets, and now and then stops, dies, or is slow.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "server/metadata/image.h"
#include "tests/sim/replication/attachment.h"
#include "tests/sim/replication/options.h"
#include "tests/sim/replication/rng.h"

namespace andyx::server::sim {

class Node;
class World;

struct SubscriptionPlan {
  std::string name;
  protocol::SubscriptionType type{};
  protocol::SubscriptionMode mode{};
  protocol::StartKind start{};
};

class Consumer {
 public:
  Consumer(std::uint32_t index, const SubscriptionPlan& plan, World& world);

  void begin();
  std::string describe() const;
  void crash();  // and comes back after a while
  void pause(Time until) { paused_until_ = until; }
  void node_lost(NodeId node);  // its connection to it

  // A connection keeps the order of what nodes send: what `arrival` does comes behind the rest.
  void push(std::function<void()> arrival);
  // What may arrive, for one of its connections.
  void assigned(std::uint64_t connection, const Assignment& assignment);
  void detached(std::uint64_t connection, std::uint64_t attach_epoch, ErrorCode reason);
  void stream_closed(std::uint64_t connection, std::uint32_t partition, std::uint32_t stream);
  void delivered(std::uint64_t connection, NodeId by, const Delivery& delivery);

 private:
  struct Stream {
    std::uint32_t number = 0;
    NodeId node = 0;
    std::uint64_t epoch = 0;
  };

  void attach();
  void attach_later();
  void subscribed(std::uint64_t attempt, const SubscribeAnswer& answer);
  void take(const Assignment& assignment);
  void open(const PartitionGrant& grant);
  void opened(std::uint32_t partition, std::uint32_t number, ErrorCode outcome);
  void reopen_later(std::uint32_t partition);
  void close(std::uint32_t partition, NodeId node, std::uint32_t number);
  void answer(const Delivery& delivery, const Stream& stream);
  void send(NodeId node, Time& after, std::function<void(Node&)> what);
  // When it is awake, and the same consumer as now.
  void handle(std::uint64_t connection, std::function<void()> what);
  NodeId main_of(std::uint32_t partition) const;

  World& world_;
  Rng rng_;
  SubscriptionPlan plan_;
  std::string name_;
  std::uint64_t session_ = 0;
  std::uint64_t connection_ = 0;  // 0: it is down
  Time paused_until_ = 0;
  Time arrived_ = 0;
  std::uint64_t attempt_ = 0;  // of attaching; answers to others are dropped
  bool attaching_ = false;     // asked, and not answered yet
  std::uint64_t attach_epoch_ = 0;
  std::uint64_t version_ = 0;
  NodeId coordinator_ = 0;
  std::map<std::uint32_t, std::uint64_t> grants_;  // epoch of each partition
  std::map<std::uint32_t, Stream> streams_;
  std::map<NodeId, Time> pipes_;  // a connection keeps the order of what is sent
  std::uint32_t next_stream_ = 1;
  std::uint32_t refusals_ = 0;  // in a row
};

}  // namespace andyx::server::sim
