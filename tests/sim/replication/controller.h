// An idealised controller: one record, changed by the rules of record_rules.h one after the other,
// and the nodes' sessions. It never fails; nodes lose contact to it.
#pragma once

#include <map>
#include <set>

#include "server/replication/replication_record.h"
#include "tests/sim/replication/options.h"

namespace andyx::server::sim {

class World;

using DiskId = std::uint64_t;

struct Heartbeat {
  NodeId node = 0;
  Incarnation incarnation = 0;
  DiskId disk = 0;
  bool clean = true;  // nothing that was durable before this start is missing
  Time sent = 0;
  MainEpoch failing_epoch = 0;  // its pulls from the main of that epoch fail; 0: they do not
};

struct KnownImage {
  std::uint64_t position = 0;
  ReplicationRecord record;
};

class SimController {
 public:
  explicit SimController(World& world);

  const KnownImage& image() const { return image_; }
  const ReplicationRecord& record() const { return image_.record; }

  void heartbeat(const Heartbeat& heartbeat);
  void proposal(const SetProposal& proposal);
  void asked_for_new_epoch(NodeId node, MainEpoch epoch);
  void expire_sessions();
  // The operator's.
  void move_main(NodeId node);
  void force(NodeId node);
  bool nobody_can_lead() const;

 private:
  struct Session {
    Incarnation incarnation = 0;
    DiskId disk = 0;
    Time heard = 0;
  };

  template <typename Change>
  void change(Change&& change);  // of the record; tells everybody
  void replace_failing_main();

  World& world_;
  KnownImage image_;
  std::map<NodeId, Session> sessions_;
  std::set<NodeId> failing_;  // report failed pulls in the present epoch
  Time replaced_ = 0;
};

}  // namespace andyx::server::sim
