// What goes wrong in a run, and when.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "protocol/base/ids.h"
#include "server/metadata/partition_record.h"
#include "tests/sim/replication/options.h"
#include "tests/sim/replication/rng.h"

namespace andyx::server::sim {

class Node;
class World;

class Nemesis {
 public:
  explicit Nemesis(World& world);

  void start() { next(); }
  void stop() { stopped_ = true; }
  std::uint64_t faults() const { return faults_; }
  std::string history() const;  // the newest faults, one a line

 private:
  void next();
  void strike();
  void crash(Node& node, bool wiped);
  void lose_power();
  void pause(Node& node);
  void cut_off(Node& node);
  void one_way(Node& node);
  void trouble_disk(Node& node);
  void trouble_consumer();
  void operate();
  void retain(const PartitionRecord& record);
  void deafen();
  void replace_disk(NodeId id);
  NodeId any_node();
  std::uint32_t any_partition();
  void later(Time delay, std::function<void()> what);
  bool may_wipe(const Node& node) const;
  Node& victim();
  void note(const std::string& what);
  Time a_while();

  World& world_;
  Rng rng_;
  bool stopped_ = false;
  std::uint64_t faults_ = 0;
  std::vector<std::string> notes_;
};

}  // namespace andyx::server::sim
