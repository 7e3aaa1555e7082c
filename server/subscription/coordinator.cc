#include "server/subscription/coordinator.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "frame_generated.h"
#include "protocol/net/loop.h"
#include "server/handlers/routing.h"
#include "server/loop/core_loop.h"

namespace andyx::server {
namespace {

// A frame that nobody asked for; `fill(builder)` returns the table's offset.
template <typename Fill>
frame::OutFrame pushed_frame(protocol::Body type, Fill fill) {
  return frame_writer().write(0, [&](flatbuffers::FlatBufferBuilder& builder) {
    return frame::Body{static_cast<std::uint8_t>(type), fill(builder).Union()};
  });
}

}  // namespace

Coordinator::Coordinator(CoreLoop& loop, const Topic& topic, const SubscriptionRecord& subscription)
    : loop_(loop),
      topic_(topic.id),
      id_(subscription.id),
      name_(subscription.name),
      // Above every epoch of an earlier start: incarnations are microseconds of the wall clock at
      // start.
      core_(subscription.name, subscription.type,
            static_cast<std::uint32_t>(topic.partitions().size()), loop.node().incarnation),
      wanted_partitions_(core_.partitions()) {}

Result<Coordinator::Attached> Coordinator::attach(AttachRequest request, Place place) {
  auto decided = core_.attach(std::move(request));
  if (!decided) return std::unexpected(decided.error());
  places_.emplace(decided->attach_epoch, std::move(place));
  run(std::move(decided->actions));
  return Attached{decided->attach_epoch, core_.grants(decided->attach_epoch)};
}

void Coordinator::detach(std::uint64_t attach_epoch) {
  places_.erase(attach_epoch);
  run(core_.detach(attach_epoch));
}

void Coordinator::connection_lost(std::uint64_t connection) {
  run(core_.connection_lost(connection));
  std::erase_if(places_, [this](const auto& entry) { return !core_.attached(entry.first); });
}

void Coordinator::end(const Error& reason) {
  for (const auto& [attach_epoch, place] : places_) push_detached(attach_epoch, place, reason);
}

// ---- Actions ----

void Coordinator::run(CoordinatorCore::Actions actions) {
  for (const auto& ended : actions.ended) {
    auto place = places_.extract(ended.consumer.attach_epoch);
    push_detached(place.key(), place.mapped(), ended.reason);
  }
  assigned_due_.insert(assigned_due_.end(), actions.assigned.begin(), actions.assigned.end());
  revokes_due_.insert(revokes_due_.end(), actions.revokes.begin(), actions.revokes.end());
  if (assigned_due_.empty() && revokes_due_.empty()) return;
  if (std::exchange(flush_scheduled_, true)) return;
  loop_.net_loop().at_end_of_turn([&loop = loop_, id = id_] {
    if (auto* self = loop.find_coordinator(id)) self->flush();
  });
}

// Assigned goes first: a client then knows that a stream which ends was taken from it.
void Coordinator::flush() {
  flush_scheduled_ = false;
  auto due = std::exchange(assigned_due_, {});
  std::ranges::sort(due);
  due.erase(std::ranges::unique(due).begin(), due.end());
  for (const std::uint64_t attach_epoch : due) push_assigned(attach_epoch);
  revoke(std::exchange(revokes_due_, {}));
}

void Coordinator::push_assigned(std::uint64_t attach_epoch) const {
  const auto place = places_.find(attach_epoch);
  if (place == places_.end()) return;  // it has gone meanwhile
  std::vector<std::uint32_t> partitions;
  std::vector<std::uint64_t> epochs;
  for (const PartitionGrant& grant : core_.grants(attach_epoch)) {
    partitions.push_back(grant.partition);
    epochs.push_back(grant.epoch);
  }
  auto frame = pushed_frame(protocol::Body::Assigned, [&](flatbuffers::FlatBufferBuilder& builder) {
    return protocol::CreateAssignedDirect(builder, id_, attach_epoch, &partitions, &epochs);
  });
  CoreLoop& home = *place->second.home;
  home.net_loop().post([&home, id = place->second.connection, frame = std::move(frame)]() mutable {
    if (auto* connection = home.find_connection(id)) connection->push(std::move(frame));
  });
}

void Coordinator::push_detached(std::uint64_t attach_epoch, const Place& place,
                                const Error& reason) const {
  auto frame = pushed_frame(protocol::Body::Detached, [&](flatbuffers::FlatBufferBuilder& builder) {
    const auto error = make_error(builder, reason);
    return protocol::CreateDetached(builder, id_, attach_epoch, error);
  });
  CoreLoop& home = *place.home;
  home.net_loop().post([&home, id = id_, connection_id = place.connection, attach_epoch,
                        frame = std::move(frame)]() mutable {
    auto* connection = home.find_connection(connection_id);
    if (connection == nullptr) return;
    connection->remove_attachment(id, attach_epoch);
    connection->push(std::move(frame));
  });
}

void Coordinator::revoke(const std::vector<CoordinatorCore::Revoke>& revokes) {
  for (const auto& [index, epoch] : revokes) {
    auto drained = [&loop = loop_, id = id_, index, epoch] {
      loop.net_loop().post([&loop, id, index, epoch] {
        if (auto* self = loop.find_coordinator(id)) self->run(self->core_.drained(index, epoch));
      });
    };
    const PartitionRecord* record = loop_.image().find_partition(topic_, index);
    if (record == nullptr) continue;  // the topic is being deleted
    CoreLoop& owner = loop_.node().loop_of(record->partition_id);
    owner.net_loop().post([&owner, partition = record->partition_id, id = id_, epoch, drained] {
      auto* found = owner.find_partition(partition);
      auto* subscription = found == nullptr ? nullptr : found->find_subscription(id);
      if (subscription == nullptr) return drained();
      subscription->revoke(epoch, drained);
    });
  }
}

// ---- More partitions ----

void Coordinator::grow(std::uint32_t partitions) {
  wanted_partitions_ = std::max(wanted_partitions_, partitions);
  grow_again();
}

void Coordinator::grow_again() {
  if (wanted_partitions_ > core_.partitions() && !growing_) look_for_partitions();
}

// A consumer may be told of a partition only when its connection's loop, whichever that is, and the
// partition's own will know it.
void Coordinator::look_for_partitions() {
  growing_ = true;
  const std::uint32_t from = core_.partitions(), to = wanted_partitions_;
  auto ready = std::make_shared<std::atomic<bool>>(true);
  auto done = std::make_shared<OnLastRelease>(loop_, [&loop = loop_, id = id_, to, ready] {
    if (auto* self = loop.find_coordinator(id)) self->looked(to, ready->load());
  });
  for (auto& loop : loop_.node().loops) {
    loop->net_loop().post([owner = loop.get(), topic_id = topic_, id = id_, from, to, ready, done] {
      const auto topic = owner->image().find_topic(topic_id);
      if (topic == nullptr || topic->partitions().size() < to) return ready->store(false);
      for (std::uint32_t index = from; index < to; ++index) {
        const PartitionId partition = topic->partitions()[index].partition_id;
        if (&owner->node().loop_of(partition) != owner) continue;
        auto* found = owner->find_partition(partition);
        if (found == nullptr) return ready->store(false);
        found->when_ready(id, [ready, done](Status status) {
          if (!status) ready->store(false);
        });
      }
    });
  }
}

void Coordinator::looked(std::uint32_t count, bool ready) {
  growing_ = false;
  if (ready) run(core_.set_partitions(count));
  if (wanted_partitions_ > core_.partitions()) loop_.grow_later(id_);
}

}  // namespace andyx::server
