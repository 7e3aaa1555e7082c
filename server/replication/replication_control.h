// What the partitions of a node ask of its side of the controller, and learn from it. Implemented
// over the controller; tests have their own.
//
// Called on any event loop; answers come as images. Outlives the loops.
#pragma once

#include "protocol/base/ids.h"
#include "server/replication/replication_record.h"

namespace andyx::server {

class ReplicationControl {
 public:
  // Compare-and-set: may be lost, may arrive twice; asked again until the image shows an outcome.
  virtual void propose_in_sync(TopicId topic, std::uint32_t index, const SetProposal& proposal) = 0;
  // The main of this epoch cannot go on in it.
  virtual void ask_new_epoch(TopicId topic, std::uint32_t index, MainEpoch epoch) = 0;
  // For the next heartbeat: this node cannot pull the partition from its main, or can again.
  virtual void pulls_failing(PartitionId partition, bool failing) = 0;
  // BOOTTIME milliseconds at which the newest question was asked that the controller has answered.
  virtual std::uint64_t heard_controller_ms() const = 0;

 protected:
  ~ReplicationControl() = default;
};

}  // namespace andyx::server
