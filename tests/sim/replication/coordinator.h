// The coordinator of a subscription, in one main epoch of its coordinating partition: what the
// server's Coordinator does around the real core.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "server/metadata/image.h"
#include "tests/sim/replication/attachment.h"

namespace andyx::server::sim {

class Copy;

class SimCoordinator {
 public:
  SimCoordinator(Copy& copy, const SubscriptionRecord& record, MainEpoch epoch,
                 std::uint32_t partitions);

  Result<SubscribeAnswer> attach(const SubscribeRequest& request);
  void detach(std::uint64_t attach_epoch);
  void connection_lost(std::uint64_t connection);
  void detach_all();  // another node coordinates from now on
  void tick();

 private:
  struct Revoking {
    std::uint64_t asked_ms = 0;
    std::uint64_t until_ms = 0;
  };

  void run(CoordinatorCore::Actions actions);
  void assign(std::uint64_t attach_epoch);
  void ask(CoordinatorCore::Revoke revoke, Revoking& state);
  void drained(std::uint32_t partition, std::uint64_t epoch);
  void check_holders();
  std::uint64_t now_ms() const;

  Copy& copy_;
  SubscriptionId id_;
  CoordinatorCore core_;
  std::map<std::uint64_t, ConsumerRef> places_;  // by attach epoch
  std::map<std::pair<std::uint32_t, std::uint64_t>, Revoking> revoking_;
  std::vector<std::uint64_t> holders_;  // by partition, until they have drained
  std::uint64_t version_ = 0;           // of assignments
};

}  // namespace andyx::server::sim
