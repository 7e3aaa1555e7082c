// Who is in a partition's in-sync set, and who is main.
#include <map>

#include "server/metadata/apply_partitions.h"
#include "server/replication/record_rules.h"

namespace andyx::server {
namespace {

// Spreads the mains that leave a node: to the members of the set that lead the fewest by then.
class Successors {
 public:
  Successors(const Image& image, NodeId away_from, std::vector<NodeId> avoid)
      : image_(image), away_from_(away_from), avoid_(std::move(avoid)) {
    for (const NodeLoad& load : image.loads.all()) mains_[load.node] = load.mains;
  }

  // Elects one, and says whether there was one.
  bool elect(ReplicationRecord& record) {
    const ReplicaMember* best = nullptr;
    for (const ReplicaMember& member : record.replicas) {
      if (may_lead(record, member) && (best == nullptr || better(member.node, best->node))) {
        best = &member;
      }
    }
    if (best == nullptr) return false;
    const NodeId node = best->node;
    if (!elect_main(record, node)) return false;
    ++mains_[node];
    --mains_[away_from_];
    return true;
  }

 private:
  bool may_lead(const ReplicationRecord& record, const ReplicaMember& member) const {
    return member.node != away_from_ && member.alive && record.is_in_sync(member.node) &&
           std::ranges::find(avoid_, member.node) == avoid_.end();
  }
  bool better(NodeId one, NodeId other) {
    const bool one_drains = image_.find_node(one)->draining;
    const bool other_drains = image_.find_node(other)->draining;
    if (one_drains != other_drains) return other_drains;
    return mains_[one] < mains_[other];
  }

  const Image& image_;
  const NodeId away_from_;
  const std::vector<NodeId> avoid_;
  std::map<NodeId, std::uint32_t> mains_;
};

// The same main under a new epoch where nobody else could lead.
Status elect_another(const Image& image, ReplicationRecord& record) {
  if (Successors(image, record.main, {}).elect(record)) return {};
  return elect_main(record, record.main);
}

}  // namespace

Result<FoundPartition> find_partition(const Image& image, TopicId topic, std::uint32_t index) {
  FoundPartition found{.topic = image.find_topic(topic)};
  if (!found.topic) {
    return fail(ErrorCode::kUnknownTopic, "there is no topic with id " + std::to_string(topic));
  }
  const auto& partitions = found.topic->partitions();
  if (index >= partitions.size()) {
    return fail(ErrorCode::kBadArgument,
                "topic " + found.topic->name.path() + " has " + std::to_string(partitions.size()) +
                    " partitions, and none with index " + std::to_string(index));
  }
  found.record = &partitions[index];
  return found;
}

void put_partition(Image& image, const Topic& topic, PartitionRecord partition) {
  Topic changed = topic;
  changed.put_partition(std::move(partition));
  put_topic(image, std::move(changed));
}

Outcome apply_command(Image& image, const wire::ChangeInSync& command, TimeUs) {
  const auto found = find_partition(image, command.topic_id(), command.partition());
  if (!found) return {.status = std::unexpected(found.error())};
  SetProposal proposal{.main = command.main(),
                       .main_epoch = command.main_epoch(),
                       .version = command.version(),
                       .in_sync = {}};
  for (const wire::ProposedMember* member : *command.in_sync()) {
    proposal.in_sync.push_back({member->node(), member->incarnation()});
  }
  ReplicationRecord record = replication_record(image, *found->record);
  if (auto status = change_in_sync(record, proposal); !status) return {.status = status};
  want_min_in_sync(record, found->topic->wanted_min_in_sync());
  PartitionRecord changed = *found->record;
  store_record(record, changed);
  put_partition(image, *found->topic, std::move(changed));
  return {};
}

Outcome apply_command(Image& image, const wire::ElectMain& command, TimeUs) {
  const auto found = find_partition(image, command.topic_id(), command.partition());
  if (!found) return {.status = std::unexpected(found.error())};
  const bool same_epoch = command.main_epoch() == found->record->main_epoch;
  if (command.main_epoch() != 0 && !same_epoch) {
    return refused(ErrorCode::kNotMain, "partition " + std::to_string(command.partition()) +
                                            " of " + found->topic->name.path() + " is in epoch " +
                                            std::to_string(found->record->main_epoch) +
                                            " by now, not " + std::to_string(command.main_epoch()));
  }
  // Wanted as it is: only who names the epoch wants a new one of the same main.
  if (command.node() != 0 && command.node() == found->record->main && !same_epoch) return {};
  ReplicationRecord record = replication_record(image, *found->record);
  const Status elected = command.forced()      ? force_main(record, command.node())
                         : command.node() == 0 ? elect_another(image, record)
                                               : elect_main(record, command.node());
  if (!elected) return {.status = elected};
  PartitionRecord changed = *found->record;
  store_record(record, changed);
  put_partition(image, *found->topic, std::move(changed));
  return {};
}

Outcome apply_command(Image& image, const wire::ElectMains& command, TimeUs) {
  const NodeId from = command.away_from();
  if (!image.find_node(from)) {
    return refused(ErrorCode::kUnknownNode, "the cluster has no node " + std::to_string(from));
  }
  std::vector<NodeId> avoid;
  if (command.avoid() != nullptr) avoid.assign(command.avoid()->begin(), command.avoid()->end());
  Successors successors(image, from, std::move(avoid));
  std::uint64_t moved = 0;
  change_partitions(
      image, [&](const PartitionRecord& partition) { return partition.main == from; },
      [&](const Topic&, ReplicationRecord& record) { moved += successors.elect(record); });
  return {.status = {}, .result = moved};
}

}  // namespace andyx::server
