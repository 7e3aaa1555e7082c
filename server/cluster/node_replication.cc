#include "server/cluster/node_replication.h"

#include <utility>

namespace andyx::server {

NodeReplication::NodeReplication(Controller& controller, std::function<std::uint64_t()> heard_ms,
                                 std::function<void()> turned_bad)
    : controller_(controller), heard_ms_(std::move(heard_ms)), turned_bad_(std::move(turned_bad)) {}

// What these come to is seen in the image; a main asks again until it is.
void NodeReplication::propose_in_sync(TopicId topic, std::uint32_t index,
                                      const SetProposal& proposal) {
  controller_.change_in_sync(topic, index, proposal, [](const Status&) {});
}

void NodeReplication::ask_new_epoch(TopicId topic, std::uint32_t index, MainEpoch epoch) {
  controller_.ask_for_new_epoch(topic, index, epoch, [](const Status&) {});
}

void NodeReplication::pulls_failing(PartitionId partition, bool failing) {
  {
    const std::lock_guard lock(mutex_);
    if (!failing) {
      failing_.erase(partition);
      return;
    }
    if (!failing_.insert(partition).second) return;
  }
  turned_bad_();
}

std::vector<PartitionId> NodeReplication::failing() const {
  const std::lock_guard lock(mutex_);
  return {failing_.begin(), failing_.end()};
}

}  // namespace andyx::server
