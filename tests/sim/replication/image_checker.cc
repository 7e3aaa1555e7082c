#include "tests/sim/replication/image_checker.h"

#include <algorithm>
#include <string>

#include "tests/sim/replication/checker.h"

namespace andyx::server::sim {

namespace {

bool holds(const std::vector<NodeId>& nodes, NodeId node) {
  return std::ranges::find(nodes, node) != nodes.end();
}

std::string text(const PartitionRecord& record) {
  std::string out = "partition " + std::to_string(record.index) + " version " +
                    std::to_string(record.version) + " main " + std::to_string(record.main);
  const auto list = [&out](const char* what, const std::vector<NodeId>& nodes) {
    out += std::string(" ") + what;
    for (const NodeId node : nodes) out += " " + std::to_string(node);
  };
  list("copies", record.replicas);
  list("in sync", record.in_sync);
  list("eligible", record.eligible);
  return out;
}

}  // namespace

void ImageChecker::check(const Image& before, const Image& after, const Wish& wish) {
  const auto* elect = std::get_if<PartitionElect>(&wish);
  for (const Topic& topic : after.topics_by_id) {
    const auto was = before.find_topic(topic.id);
    for (const PartitionRecord& record : topic.partitions()) {
      check_record(after, record);
      const bool forced = elect != nullptr && elect->forced && elect->partition == record.index;
      if (was) check_step(was->partitions()[record.index], record, forced);
    }
  }
}

// Who is lost leads nothing and is waited for by nobody.
void ImageChecker::check_record(const Image& image, const PartitionRecord& record) const {
  if (record.main != 0 && !holds(record.in_sync, record.main))
    violated("the main is in sync", text(record));
  for (const NodeId node : record.in_sync) {
    if (!holds(record.replicas, node) || holds(record.observers, node))
      violated("members hold copies", text(record));
    if (!image.find_node(node)->alive)
      violated("the lost leave every set", text(record) + ", lost is " + std::to_string(node));
  }
}

void ImageChecker::check_step(const PartitionRecord& was, const PartitionRecord& is, bool forced) {
  if (was == is) return;
  if (is.version <= was.version || is.main_epoch < was.main_epoch)
    violated("versions rise", text(was) + " became " + text(is));
  const bool elected = is.main != 0 && is.main_epoch != was.main_epoch;
  if (elected && !forced && !holds(was.in_sync, is.main) && !holds(was.eligible, is.main))
    violated("elected from the set", text(was) + " became " + text(is));
  if (is.main != was.main && is.main != 0 && is.main_epoch == was.main_epoch)
    violated("a new main has a new epoch", text(was) + " became " + text(is));
  // A move ends when the one that takes the place is in sync.
  if (was.moving_from == 0 || holds(is.replicas, was.moving_from)) return;
  ++moves_;
  const NodeId target = was.replicas.back();
  const bool arrived =
      holds(was.in_sync, target) || holds(was.observers, target) || was.joining == 0;
  if (!arrived) violated("a move ends in sync", text(was) + " became " + text(is));
}

}  // namespace andyx::server::sim
