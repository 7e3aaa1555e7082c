#include "server/handlers/routing.h"

namespace andyx::server {
OnLastRelease::~OnLastRelease() {
  if (home_.net_loop().on_loop_thread())
    done_();
  else
    home_.net_loop().post(std::move(done_));
}

void with_partition(CoreLoop& here, TopicId topic, std::uint32_t partition, Reply reply,
                    PartitionWork work) {
  const PartitionRecord* record = here.image().find_partition(topic, partition);
  if (record == nullptr) {
    if (here.image().find_topic(topic) == nullptr) {
      return reply.error(
          {ErrorCode::kUnknownTopic, "no topic has the id " + std::to_string(topic)});
    }
    return reply.error(
        {ErrorCode::kUnknownPartition, "the topic has no partition " + std::to_string(partition)});
  }
  if (record->main != here.node().config.node_id) {
    return reply.error({ErrorCode::kNotMain,
                        record->main == 0 ? "the partition has no main at present"
                                          : "the main is node " + std::to_string(record->main),
                        record->main});
  }
  CoreLoop& owner = here.node().loop_of(record->partition_id);
  auto run = [&owner, id = record->partition_id, known_at = here.image().position,
              work = std::move(work)](Reply owed) mutable {
    if (auto* found = owner.find_partition(id)) return work(*found, std::move(owed));
    // Images reach the loops one after the other: the partition may be newer than this loop's.
    if (owner.image().position < known_at)
      return owed.error({ErrorCode::kNotMain, "the partition is being opened"});
    if (auto* copy = owner.find_copy(id)) return owed.error(copy->not_main());
    owed.error({ErrorCode::kUnknownPartition, "the partition is not open on this node"});
  };
  if (&owner == &here) return run(std::move(reply));
  // A full mailbox drops the task, and the reply in it would say "shutting down": hold it outside.
  auto owed = std::make_shared<Reply>(std::move(reply));
  if (!owner.net_loop().try_post(
          [owed, run = std::move(run)]() mutable { run(std::move(*owed)); })) {
    owed->error({ErrorCode::kOverloaded, "the mailbox of the partition's loop is full"});
  }
}

void on_control_loop(CoreLoop& here, Reply reply, ControlWork work) {
  Node& node = here.node();
  auto owed = std::make_shared<Reply>(std::move(reply));
  if (!node.control_loop->try_post(
          [&node, owed, work = std::move(work)]() mutable { work(node, std::move(*owed)); })) {
    owed->error({ErrorCode::kOverloaded, "the mailbox of the control loop is full"});
  }
}

std::shared_ptr<const Topic> find_topic(CoreLoop& here, std::string_view name, Reply& reply) {
  auto parsed = TopicName::parse(name);
  if (!parsed) {
    reply.error(parsed.error());
    return nullptr;
  }
  auto topic = here.image().find_topic(*parsed);
  if (topic == nullptr)
    reply.error({ErrorCode::kUnknownTopic, "there is no topic " + parsed->url()});
  return topic;
}

Status check_active(const Topic& topic) {
  if (topic.effective.tenant_active) return {};
  return fail(ErrorCode::kTenantInactive, "tenant " + topic.name.tenant + " is deactivated");
}

void for_each_partition(CoreLoop& here, const std::shared_ptr<const Topic>& topic,
                        std::function<void(Partition&, std::uint32_t)> visit, net::Task done) {
  auto countdown = std::make_shared<OnLastRelease>(here, std::move(done));
  for (auto& loop : here.node().loops) {
    auto run = [owner = loop.get(), topic, visit, countdown] {
      for (const PartitionRecord& record : topic->partitions()) {
        if (&owner->node().loop_of(record.partition_id) != owner) continue;
        const PartitionRecord* now = owner->image().find_partition(topic->id, record.index);
        if (now == nullptr || now->main != owner->node().config.node_id) continue;
        if (auto* partition = owner->find_partition(record.partition_id))
          visit(*partition, record.index);
      }
    };
    if (loop.get() == &here)
      run();
    else
      loop->net_loop().post(std::move(run));
  }
}

void after_all_loops(Node& node, CoreLoop& home, net::Task done) {
  auto countdown = std::make_shared<OnLastRelease>(home, std::move(done));
  for (auto& loop : node.loops) loop->net_loop().post([countdown] {});
}

}  // namespace andyx::server
