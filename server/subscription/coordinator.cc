#include "server/subscription/coordinator.h"

#include <algorithm>
#include <utility>

#include "frame_generated.h"
#include "protocol/net/loop.h"
#include "server/handlers/subscription_start.h"
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
      main_epoch_(topic.partitions()[subscription.coordinator].main_epoch),
      core_(subscription.name, subscription.type,
            static_cast<std::uint32_t>(topic.partitions().size()),
            first_coordinator_epoch(main_epoch_)),
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

void Coordinator::detach_all(const Error& reason) {
  for (const auto& [attach_epoch, place] : std::exchange(places_, {})) {
    push_detached(attach_epoch, place, reason);
    core_.detach(attach_epoch);  // those who stay for now leave in this loop, too
  }
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
  if (!revokes_due_.empty()) {
    revoke(std::exchange(revokes_due_, {}),
           loop_.net_loop().now_ms() + limits::kDrainTimeoutMs + limits::kRevokeGraceMs);
  }
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
  const auto streams = reason.code == ErrorCode::kNotMain ? ClientConnection::Streams::kKeep
                                                          : ClientConnection::Streams::kEnd;
  home.net_loop().post([&home, id = id_, connection_id = place.connection, attach_epoch, streams,
                        frame = std::move(frame)]() mutable {
    auto* connection = home.find_connection(connection_id);
    if (connection == nullptr) return;
    connection->remove_attachment(id, attach_epoch, streams);
    connection->push(std::move(frame));
  });
}

// Each at the main that the image names now.
void Coordinator::revoke(const Revokes& revokes, std::uint64_t until_ms) {
  std::map<NodeId, Revokes> by_main;
  for (const auto& one : revokes) {
    const PartitionRecord* record = loop_.image().find_partition(topic_, one.partition);
    if (record != nullptr) by_main[record->main].push_back(one);  // else it is being deleted
  }
  for (const auto& [node, share] : by_main) {
    if (node == 0) {
      revoked(share, until_ms, fail(ErrorCode::kNotMain, "no node is main"));
    } else if (node != loop_.node().config.node_id) {
      revoke_on_node(node, share, until_ms);
    } else {
      for (const auto& one : share) {
        revoke_here(loop_, topic_, one.partition, id_, one.epoch,
                    [this, alive = std::weak_ptr(alive_), one, until_ms](Status outcome) {
                      if (!alive.expired()) revoked({one}, until_ms, outcome);
                    });
      }
    }
  }
}

// In so few calls that the connection of the two nodes has room for others; as a rule one for each
// partition, so that none waits for another.
void Coordinator::revoke_on_node(NodeId node, const Revokes& revokes, std::uint64_t until_ms) {
  const std::uint64_t now_ms = loop_.net_loop().now_ms();
  const std::size_t each = (revokes.size() - 1) / limits::kMaxRevokeCalls + 1;
  for (std::size_t first = 0; first < revokes.size(); first += each) {
    Revokes some(
        revokes.begin() + static_cast<std::ptrdiff_t>(first),
        revokes.begin() + static_cast<std::ptrdiff_t>(std::min(first + each, revokes.size())));
    std::vector<std::uint32_t> partitions;
    std::vector<std::uint64_t> epochs;
    for (const auto& one : some) {
      partitions.push_back(one.partition);
      epochs.push_back(one.epoch);
    }
    const auto fill = [&](flatbuffers::FlatBufferBuilder& builder) {
      return node_body(
          protocol::Body::SubscriptionRevoke,
          protocol::CreateSubscriptionRevokeDirect(builder, topic_, id_, &partitions, &epochs));
    };
    call_node(
        loop_, node, fill, static_cast<std::uint32_t>(until_ms > now_ms ? until_ms - now_ms : 1),
        [this, alive = std::weak_ptr(alive_), some, until_ms](const Result<NodeFrame>& answer) {
          if (alive.expired()) return;
          revoked(some, until_ms, answer ? Status{} : std::unexpected(answer.error()));
        });
  }
}

// A main that is lost is asked again, or the one after it, for as long as a drain may take. What
// then has not been heard of counts as drained. That is safe: a main delivers to streams of the
// newest epoch that it has seen and ends those before, so that two consumers never have the
// partition there at a time; what the old one holds is delivered again.
void Coordinator::revoked(const Revokes& revokes, std::uint64_t until_ms, const Status& outcome) {
  const std::uint64_t now_ms = loop_.net_loop().now_ms();
  if (outcome || !ask_again(outcome.error().code) || now_ms >= until_ms) {
    for (const auto& [partition, epoch] : revokes) run(core_.drained(partition, epoch));
    return;
  }
  loop_.deadlines().add(now_ms + limits::kMainsRetryMs, alive_,
                        [this, revokes, until_ms] { revoke(revokes, until_ms); });
}

// ---- More partitions ----

void Coordinator::grow(std::uint32_t partitions) {
  wanted_partitions_ = std::max(wanted_partitions_, partitions);
  grow_again();
}

void Coordinator::grow_again() {
  if (wanted_partitions_ > core_.partitions() && !growing_) look_for_partitions();
}

// A consumer may be told of a partition only when every loop of the node where its main is, the one
// of the consumer's connection there included, will know it.
void Coordinator::look_for_partitions() {
  growing_ = true;
  // Later: this loop may be in the middle of taking the image that has them.
  loop_.net_loop().post([this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    const std::uint32_t from = core_.partitions(), to = wanted_partitions_;
    when_ready_on_mains(loop_, topic_, id_, from, to, [this, alive, to](const Status& ready) {
      if (!alive.expired()) looked(to, ready.has_value());
    });
  });
}

void Coordinator::looked(std::uint32_t count, bool ready) {
  growing_ = false;
  if (ready) run(core_.set_partitions(count));
  if (wanted_partitions_ > core_.partitions()) loop_.grow_later(id_);
}

}  // namespace andyx::server
