// What partitions ask of the controller, over this node's Controller and heartbeats. Any loop;
// outlives them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "server/metadata/controller.h"
#include "server/replication/replication_control.h"

namespace andyx::server {

class NodeReplication final : public ReplicationControl {
 public:
  // `heard_ms`: as ReplicationControl, any thread. `turned_bad`: any thread; there is something
  // that the controller should hear at once.
  NodeReplication(Controller& controller, std::function<std::uint64_t()> heard_ms,
                  std::function<void()> turned_bad);

  void propose_in_sync(TopicId topic, std::uint32_t index, const SetProposal& proposal) override;
  void ask_new_epoch(TopicId topic, std::uint32_t index, MainEpoch epoch) override;
  void pulls_failing(PartitionId partition, bool failing) override;
  std::uint64_t heard_controller_ms() const override { return heard_ms_(); }

  // For heartbeats: some of them, where there are many. What the controller hears of is replaced,
  // and then the others have their turn.
  std::vector<PartitionId> failing() const;

 private:
  Controller& controller_;
  const std::function<std::uint64_t()> heard_ms_;
  const std::function<void()> turned_bad_;
  mutable std::mutex mutex_;
  std::set<PartitionId> failing_;  // at most the partitions of this node
  // Proposals for sets that the controller has not answered yet: a main asks again twice a second,
  // which would bury a controller that has thousands to decide. Shared with who waits for answers.
  struct Asked {
    std::mutex mutex;
    std::map<std::pair<TopicId, std::uint32_t>, SetProposal> open;
  };
  const std::shared_ptr<Asked> asked_ = std::make_shared<Asked>();
};

}  // namespace andyx::server
