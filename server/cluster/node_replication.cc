#include "server/cluster/node_replication.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace andyx::server {
namespace {

constexpr std::size_t kMaxReportedFailing = 1'024;

}  // namespace

NodeReplication::NodeReplication(Controller& controller, std::function<std::uint64_t()> heard_ms,
                                 std::function<void()> turned_bad)
    : controller_(controller), heard_ms_(std::move(heard_ms)), turned_bad_(std::move(turned_bad)) {}

// What these come to is seen in the image; a main asks again until it is.
void NodeReplication::propose_in_sync(TopicId topic, std::uint32_t index,
                                      const SetProposal& proposal) {
  const auto which = std::pair(topic, index);
  {
    const std::lock_guard lock(asked_->mutex);
    const auto [open, is_new] = asked_->open.try_emplace(which, proposal);
    if (!is_new && open->second == proposal) return;
    open->second = proposal;
  }
  controller_.change_in_sync(topic, index, proposal,
                             [asked = asked_, which, proposal](const Status&) {
                               const std::lock_guard lock(asked->mutex);
                               const auto open = asked->open.find(which);
                               if (open != asked->open.end() && open->second == proposal)
                                 asked->open.erase(open);
                             });
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
  const auto count = std::min(failing_.size(), kMaxReportedFailing);
  return {failing_.begin(), std::next(failing_.begin(), static_cast<std::ptrdiff_t>(count))};
}

}  // namespace andyx::server
