// From a request to the loop that owns what it is about, and back.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "server/loop/core_loop.h"
#include "server/loop/reply.h"
#include "server/partition/partition.h"

namespace andyx::server {

// Runs `work(partition, reply)` on the loop of a topic's partition, where this node is its main;
// answers kUnknownTopic, kUnknownPartition, kNotMain (with the main's node) or kOverloaded itself.
// Called on the connection's loop. Work for the same
// partition keeps its order.
using PartitionWork = std::move_only_function<void(Partition&, Reply)>;
void with_partition(CoreLoop& here, TopicId topic, std::uint32_t partition, Reply reply,
                    PartitionWork work);

// The topic of a name, in this loop's image; answers the reply with kBadName or kUnknownTopic
// otherwise.
std::shared_ptr<const Topic> find_topic(CoreLoop& here, std::string_view name, Reply& reply);

// kTenantInactive while the topic's tenant is deactivated.
Status check_active(const Topic& topic);

// Runs `work(node, reply)` on the control loop, for what the nodes of a cluster ask of each other;
// answers kOverloaded itself.
using ControlWork = std::move_only_function<void(Node&, Reply)>;
void on_control_loop(CoreLoop& here, Reply reply, ControlWork work);

// Runs `visit(partition, index)` on its loop for each partition of the topic that has its main here
// (not for those that are gone), then `done` on `here`.
void for_each_partition(CoreLoop& here, const std::shared_ptr<const Topic>& topic,
                        std::function<void(Partition&, std::uint32_t)> visit, net::Task done);

// Runs `done` on a loop when the last holder lets go of it: for work that is spread over loops.
class OnLastRelease {
 public:
  OnLastRelease(CoreLoop& home, net::Task done) : home_(home), done_(std::move(done)) {}
  ~OnLastRelease();
  OnLastRelease(const OnLastRelease&) = delete;
  OnLastRelease& operator=(const OnLastRelease&) = delete;

 private:
  CoreLoop& home_;
  net::Task done_;
};

// Control loop, or any: `done` runs on `home` when every loop has applied the images published
// before.
void after_all_loops(Node& node, CoreLoop& home, net::Task done);

}  // namespace andyx::server
