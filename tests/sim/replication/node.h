// A node: the process that holds copies of partitions, its disk's troubles, its heartbeats, and
// what arrives there.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "server/metadata/image.h"
#include "tests/sim/replication/controller.h"
#include "tests/sim/replication/copy.h"
#include "tests/sim/replication/rng.h"

namespace andyx::server::sim {

class World;

class Node {
 public:
  Node(NodeId id, World& world);

  NodeId id() const { return id_; }
  World& world() { return world_; }
  Rng& rng() { return rng_; }
  bool up() const { return up_; }
  bool paused() const { return paused_; }
  Incarnation incarnation() const { return incarnation_; }
  std::uint64_t heard_ms() const { return heard_ms_; }
  Time slow_until() const { return slow_until_; }
  Time full_until() const { return full_until_; }
  const std::shared_ptr<const Image>& image() const { return image_; }  // null: none yet
  Copy& copy(std::uint32_t partition) { return copies_[partition]; }
  const Copy& copy(std::uint32_t partition) const { return copies_[partition]; }
  std::string describe() const;

  void start();
  void crash();
  void wipe();  // while it is down
  void pause();
  void resume();
  void slow_disk(Time until) { slow_until_ = until; }
  void full_disk(Time until) { full_until_ = until; }

  // Delivered to the process: at once, or when it goes on after a pause; lost while it is down.
  void deliver(std::function<void()> what);
  // `what` at another node, over the network.
  void send(NodeId to, std::function<void(Node&)> what);
  // `what` here, in the same life of the process.
  void later(Time delay, std::function<void()> what);

  // What may arrive.
  void told(const std::shared_ptr<const Image>& image, Time asked);
  void subscribe(const SubscribeRequest& request, SubscribeReply reply);
  void connection_lost(std::uint64_t connection);

 private:
  void every(Time interval, std::function<void()> what);
  void report();
  void tick();
  void adopt();

  NodeId id_;
  World& world_;
  Rng rng_;
  bool up_ = false, paused_ = false;
  std::uint64_t life_ = 0;
  std::vector<std::function<void()>> inbox_;  // of a paused process
  Incarnation incarnation_ = 0;
  bool intact_ = true;  // nothing that was durable before this start is missing
  std::shared_ptr<const Image> image_;
  std::uint64_t heard_ms_ = 0;
  Time slow_until_ = 0, full_until_ = 0;
  std::deque<Copy> copies_;  // by partition
};

}  // namespace andyx::server::sim
