// The coordinator of one subscription: the shell around CoordinatorCore. Tells connections what
// their consumers have (Assigned, Detached) and partitions, on this node and on others, what they
// have to take back.
//
// Thread: the loop of the coordinating partition, on the node that is its main, for as long as it
// is that in one main epoch. Owned by CoreLoop.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "server/metadata/image.h"
#include "server/subscription/coordinator_core.h"

namespace andyx::server {

class CoreLoop;

class Coordinator {
 public:
  Coordinator(CoreLoop& loop, const Topic& topic, const SubscriptionRecord& subscription);

  // Where a consumer is.
  struct Place {
    CoreLoop* home = nullptr;  // the loop of its connection
    std::uint64_t connection = 0;
    std::string address;
    TimeUs attached_us = 0;
  };
  struct Attached {
    std::uint64_t attach_epoch = 0;
    std::vector<PartitionGrant> grants;
  };
  // As CoordinatorCore. Whoever is displaced is told before the caller can answer this one.
  Result<Attached> attach(AttachRequest request, Place place);
  void detach(std::uint64_t attach_epoch);
  void connection_lost(std::uint64_t connection);
  // The topic has more partitions now: given out as soon as every loop knows them and the
  // subscription is ready on them.
  void grow(std::uint32_t partitions);
  void grow_again();  // what did not succeed
  // Everybody is detached with this reason; on kNotMain they come again, and their streams go on.
  void detach_all(const Error& reason);

  const CoordinatorCore& core() const { return core_; }
  const Place& place(std::uint64_t attach_epoch) const { return places_.at(attach_epoch); }
  TopicId topic() const { return topic_; }
  SubscriptionId id() const { return id_; }
  MainEpoch main_epoch() const { return main_epoch_; }  // of the coordinating partition
  const std::string& name() const { return name_; }

 private:
  void run(CoordinatorCore::Actions actions);
  void flush();
  void push_assigned(std::uint64_t attach_epoch) const;
  void push_detached(std::uint64_t attach_epoch, const Place& place, const Error& reason) const;
  using Revokes = std::vector<CoordinatorCore::Revoke>;
  void revoke(const Revokes& revokes, std::uint64_t until_ms);
  void revoke_on_node(NodeId node, const Revokes& revokes, std::uint64_t until_ms);
  void revoked(const Revokes& revokes, std::uint64_t until_ms, const Status& outcome);
  void look_for_partitions();
  void looked(std::uint32_t count, bool ready);

  CoreLoop& loop_;
  TopicId topic_;
  SubscriptionId id_;
  std::string name_;
  MainEpoch main_epoch_;
  CoordinatorCore core_;
  std::map<std::uint64_t, Place> places_;  // by attach epoch
  // Gathered over a turn of the loop: many partitions may change at once.
  std::vector<std::uint64_t> assigned_due_;
  std::vector<CoordinatorCore::Revoke> revokes_due_;
  bool flush_scheduled_ = false;
  std::uint32_t wanted_partitions_;
  bool growing_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // what is under way looks at it
};

}  // namespace andyx::server
