#include "tests/sim/replication/coordinator.h"

#include <utility>

#include "protocol/base/limits.h"
#include "tests/sim/replication/consumer.h"
#include "tests/sim/replication/copy.h"
#include "tests/sim/replication/node.h"
#include "tests/sim/replication/world.h"

namespace andyx::server::sim {

namespace {

constexpr std::uint64_t kAskAgainMs = 200;

}  // namespace

SimCoordinator::SimCoordinator(Copy& copy, const SubscriptionRecord& record, MainEpoch epoch,
                               std::uint32_t partitions)
    : copy_(copy),
      id_(record.id),
      core_(record.name, record.type, partitions, first_coordinator_epoch(epoch)),
      holders_(partitions) {}

std::uint64_t SimCoordinator::now_ms() const { return copy_.node().world().schedule().now_ms(); }

Result<SubscribeAnswer> SimCoordinator::attach(const SubscribeRequest& request) {
  auto decided = core_.attach({.name = request.name,
                               .session = request.session,
                               .connection = request.from.connection,
                               .priority = request.priority,
                               .take_over = request.take_over});
  if (!decided) return std::unexpected(decided.error());
  const std::uint64_t epoch = decided->attach_epoch;
  places_.emplace(epoch, request.from);
  run(std::move(decided->actions));
  return SubscribeAnswer{
      .error = ErrorCode::kOk, .attach_epoch = epoch, .grants = core_.grants(epoch)};
}

void SimCoordinator::detach(std::uint64_t attach_epoch) {
  places_.erase(attach_epoch);
  run(core_.detach(attach_epoch));
}

void SimCoordinator::connection_lost(std::uint64_t connection) {
  run(core_.connection_lost(connection));
  std::erase_if(places_, [this](const auto& each) { return !core_.attached(each.first); });
}

void SimCoordinator::detach_all() {
  for (const auto& [epoch, place] : std::exchange(places_, {})) {
    place.consumer->push(
        [place, epoch] { place.consumer->detached(place.connection, epoch, ErrorCode::kNotMain); });
  }
}

void SimCoordinator::run(CoordinatorCore::Actions actions) {
  check_holders();
  for (const auto& ended : actions.ended) {
    const auto place = places_.extract(ended.consumer.attach_epoch);
    place.mapped().consumer->push(
        [place = place.mapped(), epoch = place.key(), code = ended.reason.code] {
          place.consumer->detached(place.connection, epoch, code);
        });
  }
  for (const std::uint64_t epoch : actions.assigned) assign(epoch);
  for (const CoordinatorCore::Revoke& revoke : actions.revokes) {
    auto& state = revoking_[{revoke.partition, revoke.epoch}];
    state.until_ms = now_ms() + limits::kDrainTimeoutMs + limits::kRevokeGraceMs;
    ask(revoke, state);
  }
}

void SimCoordinator::assign(std::uint64_t attach_epoch) {
  const auto place = places_.find(attach_epoch);
  if (place == places_.end()) return;
  Assignment assignment{
      .attach_epoch = attach_epoch, .version = ++version_, .grants = core_.grants(attach_epoch)};
  place->second.consumer->push([place = place->second, assignment = std::move(assignment)] {
    place.consumer->assigned(place.connection, assignment);
  });
}

// A partition goes to another consumer when the one that has it has drained it, or is gone.
void SimCoordinator::check_holders() {
  for (std::uint32_t at = 0; at < holders_.size() && !core_.shared(); ++at) {
    const std::uint64_t before = std::exchange(holders_[at], core_.active(at));
    if (before != 0 && before != holders_[at] && core_.attached(before))
      violated("drained before it is granted", "partition " + std::to_string(at) + " goes from " +
                                                   std::to_string(before) + " to " +
                                                   std::to_string(holders_[at]));
  }
}

// At the main that the image names now; again until it has said so, or the time of a drain is over.
void SimCoordinator::ask(CoordinatorCore::Revoke revoke, Revoking& state) {
  state.asked_ms = now_ms();
  Node& here = copy_.node();
  const auto topic = here.image()->topics_by_id.begin();
  const NodeId main = topic->partitions()[revoke.partition].main;
  if (main == 0) return;
  const auto done = [&here, at = copy_.partition(), id = id_, revoke](ErrorCode outcome) {
    if (outcome != ErrorCode::kOk) return;
    if (SimCoordinator* self = here.copy(at).coordinator(id))
      self->drained(revoke.partition, revoke.epoch);
  };
  if (main == here.id()) return here.copy(revoke.partition).revoke(id_, revoke.epoch, done);
  here.send(main, [from = here.id(), id = id_, revoke, done](Node& there) {
    there.copy(revoke.partition).revoke(id, revoke.epoch, [&there, from, done](ErrorCode outcome) {
      there.send(from, [done, outcome](Node&) { done(outcome); });
    });
  });
}

void SimCoordinator::drained(std::uint32_t partition, std::uint64_t epoch) {
  if (revoking_.erase({partition, epoch}) == 0) return;
  holders_[partition] = 0;
  run(core_.drained(partition, epoch));
}

void SimCoordinator::tick() {
  const auto present = revoking_;  // what is asked here may be answered at once
  for (const auto& [key, state] : present) {
    if (now_ms() >= state.until_ms)
      drained(key.first, key.second);
    else if (now_ms() >= state.asked_ms + kAskAgainMs)
      ask({key.first, key.second}, revoking_[key]);
  }
}

}  // namespace andyx::server::sim
