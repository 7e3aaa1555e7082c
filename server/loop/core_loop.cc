#include "server/loop/core_loop.h"

#include <algorithm>
#include <cstdlib>

#include "server/app/log.h"
#include "server/cluster/node_links.h"
#include "server/handlers/mains.h"
#include "server/partition/partition.h"

namespace andyx::server {
namespace {

constexpr std::uint64_t kShortTickMs = 20;
constexpr TimeUs kClockJumpUs = 100'000;         // of the wall clock against the steady one
constexpr std::size_t kBackgroundReads = 1'000;  // of retention, in a second
constexpr std::size_t kCursorShare =
    4;  // of what messages may have under way, for cursors beside it

}  // namespace

CoreLoop::CoreLoop(Node& node, std::uint32_t index, std::unique_ptr<net::Loop> loop)
    : node_(node),
      index_(index),
      loop_(std::move(loop)),
      cache_budget_(node.config.tail_cache_bytes / node.config.cores),
      writes_(*loop_, *node.shard, limits::kStorageQueueBytes / node.config.cores),
      cursor_writes_(*loop_, *node.shard,
                     limits::kStorageQueueBytes / kCursorShare / node.config.cores, true),
      pulls_(*this),
      image_(std::make_shared<const Image>()) {
  writes_.busy_poll(node.config.busy_poll_us);
  for (WriteQueue* queue : {&writes_, &cursor_writes_})
    queue->watch_ages([&pace = node_.catch_up_pace](std::uint64_t age_us) { pace.wrote(age_us); });
}

CoreLoop::~CoreLoop() = default;

void CoreLoop::run() {
  if (node_.make_links) pulls_.set_links(node_.make_links(*loop_, pulls_));
  second_timer_ = loop_->timer();
  second_timer_->start(1'000, 1'000, [this] { every_second(); });
  short_timer_ = loop_->timer();
  short_timer_->start(kShortTickMs, kShortTickMs, [this] {
    turned_ms_.store(net::boottime_ns() / 1'000'000, std::memory_order_relaxed);
    auto parked = std::exchange(parked_, {});
    for (auto id : parked) {
      if (auto* partition = find_partition(id)) partition->expire_reads(loop_->now_ms());
    }
    auto throttled = std::exchange(throttled_, {});
    for (auto id : throttled) {
      if (auto* connection = find_connection(id)) connection->try_resume();
    }
    deadlines_.run_due(loop_->now_ms());
    image_waiters_.expire(loop_->now_ms());
    const std::uint64_t oldest_us =
        std::max(writes_.oldest_awaited_us(), cursor_writes_.oldest_awaited_us());
    if (oldest_us > 0) node_.catch_up_pace.waits(oldest_us);
    pulls_.short_tick();
    for (auto id : std::exchange(growing_, {})) {
      if (auto* coordinator = find_coordinator(id)) coordinator->grow_again();
    }
    if (draining_) check_drained();
  });
  loop_->run();
  second_timer_.reset();
  short_timer_.reset();
  listener_.reset();
  connections_.clear();
  pulls_.set_links(nullptr);
}

void CoreLoop::set_links(std::unique_ptr<NodeLinks> links) {
  pulls_.set_links(std::move(links));
  if (pulls_.links() != nullptr) pulls_.links()->image_moved(*image_);
}

void CoreLoop::stop() { loop_->stop(); }

void CoreLoop::release() {
  writes_.abandon();
  cursor_writes_.abandon();
  coordinators_.clear();
  image_waiters_.clear();
  deadlines_.clear();
  partitions_.clear();
}

void CoreLoop::when_image(Position version, std::uint64_t until_ms, ImageWaiters::Done done) {
  if (image_->position >= version) return done(true);
  image_waiters_.add(version, until_ms, std::move(done));
}

Partition* CoreLoop::find_partition(PartitionId id) {
  Partition* const found = find_copy(id);
  return found != nullptr && found->is_main() ? found : nullptr;
}

void CoreLoop::off_loop(ReadPool::Job job) {
  if (node_.read_pool->submit(std::move(job))) return;
  loop_->post([this, job = std::move(job)]() mutable { off_loop(std::move(job)); });
}

Partition* CoreLoop::find_copy(PartitionId id) {
  auto found = partitions_.find(id);
  return found == partitions_.end() ? nullptr : found->second.get();
}

Status CoreLoop::listen(const net::Address& address) {
  auto listener = net::listen(*loop_, address,
                              [this](std::unique_ptr<net::Connection> c) { accept(std::move(c)); });
  if (!listener) return std::unexpected(listener.error());
  listener_ = std::move(*listener);
  return {};
}

void CoreLoop::accept(std::unique_ptr<net::Connection> connection) {
  auto id = node_.next_connection_id.fetch_add(1, std::memory_order_relaxed);
  bool full =
      node_.connections.fetch_add(1, std::memory_order_relaxed) >= node_.config.max_connections;
  auto client = std::make_unique<ClientConnection>(*this, id, std::move(connection));
  auto& placed = *connections_.emplace(id, std::move(client)).first->second;
  if (full) {
    placed.close_with_error(
        {ErrorCode::kTooManyConnections,
         "all " + std::to_string(node_.config.max_connections) + " connections are taken"});
  }
}

ClientConnection* CoreLoop::find_connection(std::uint64_t id) {
  auto found = connections_.find(id);
  return found == connections_.end() ? nullptr : found->second.get();
}

void CoreLoop::remove_connection(std::uint64_t id) {
  auto found = connections_.find(id);
  if (found == connections_.end()) return;
  auto connection = std::move(found->second);
  connections_.erase(found);
  node_.connections.fetch_sub(1, std::memory_order_relaxed);
  connection->release_streams();
  connection->release_producers();
  if (connections_.empty() && closed_) std::exchange(closed_, {})();
}

void CoreLoop::give_away(std::uint64_t id, CoreLoop& owner, MovingConnection moving) {
  connections_.erase(id);
  auto shared = std::make_shared<MovingConnection>(std::move(moving));
  owner.net_loop().post([&owner, shared] { owner.take_over(std::move(*shared)); });
  if (connections_.empty() && closed_) std::exchange(closed_, {})();
}

void CoreLoop::take_over(MovingConnection moving) {
  auto connection = net::take_over(*loop_, std::move(moving.socket));
  if (closing_ || !connection) {  // it ends here, as those of the loop did
    node_.connections.fetch_sub(1, std::memory_order_relaxed);
    return;
  }
  const auto id = node_.next_connection_id.fetch_add(1, std::memory_order_relaxed);
  auto client = std::make_unique<ClientConnection>(*this, id, std::move(*connection));
  auto& placed = *connections_.emplace(id, std::move(client)).first->second;
  log::debug("connection goes on at the loop that it produces to",
             {{"peer", placed.peer()}, {"loop", index_}});
  placed.arrived(std::move(moving.client_name), std::move(moving.frame));
}

void CoreLoop::answer(std::uint64_t connection_id, std::optional<frame::OutFrame> frame,
                      std::size_t charged_bytes) {
  node_.bytes_in_flight.fetch_sub(charged_bytes, std::memory_order_relaxed);
  if (loop_->on_loop_thread()) {
    if (auto* connection = find_connection(connection_id))
      connection->answer(std::move(frame), charged_bytes);
    return;
  }
  loop_->post([this, connection_id, frame = std::move(frame), charged_bytes]() mutable {
    if (auto* connection = find_connection(connection_id))
      connection->answer(std::move(frame), charged_bytes);
  });
}

void CoreLoop::push(const StreamTarget& target, frame::OutFrame frame) {
  if (loop_->on_loop_thread()) {
    if (auto* connection = find_connection(target.connection_id))
      connection->push(std::move(frame));
    return;
  }
  std::size_t bytes = frame.size_bytes();
  target.gate->in_transit.fetch_add(bytes, std::memory_order_relaxed);
  loop_->post([this, id = target.connection_id, frame = std::move(frame), bytes]() mutable {
    auto* connection = find_connection(id);
    if (connection == nullptr) return;
    connection->push(std::move(frame));
    connection->in_transit_arrived(bytes);
  });
}

void CoreLoop::wake_subscription(const StreamRoute& route) {
  auto wake = [owner = route.owner, partition = route.partition,
               subscription = route.subscription] {
    if (auto* found = owner->find_partition(partition)) found->wake_subscription(subscription);
  };
  if (route.owner == this)
    wake();
  else
    route.owner->net_loop().post(wake);
}

Result<Coordinator*> CoreLoop::coordinator(TopicId topic, const SubscriptionRecord& subscription) {
  if (auto* found = find_coordinator(subscription.id)) return found;
  const auto of = image_->find_topic(topic);
  const auto record = of ? of->subscriptions.find(std::string_view(subscription.name)) : nullptr;
  if (!record || record->id != subscription.id)
    return fail(ErrorCode::kUnknownSubscription, "the subscription was deleted");
  if (auto here = check_main(of->partitions()[record->coordinator], node_.config.node_id,
                             "the coordinator of subscription " + record->name);
      !here) {
    return std::unexpected(here.error());
  }
  auto made = std::make_unique<Coordinator>(*this, *of, *record);
  return coordinators_.emplace(record->id, std::move(made)).first->second.get();
}

Coordinator* CoreLoop::find_coordinator(SubscriptionId subscription) {
  auto found = coordinators_.find(subscription);
  return found == coordinators_.end() ? nullptr : found->second.get();
}

void CoreLoop::every_second() {
  std::vector<std::uint64_t> ids;
  ids.reserve(connections_.size());
  for (const auto& [id, connection] : connections_) ids.push_back(id);
  for (auto id : ids) {
    if (auto* connection = find_connection(id))
      connection->check_idle(loop_->now_ms(), node_.config.idle_timeout_ms);
  }
  watch_clock();
  load_.sample();
  tend_watched();
  // Producer snapshots follow storage's generations: what recovery replays stays within a few of
  // them.
  auto generation = node_.shard->status().generation;
  if (std::exchange(seen_generation_, generation) != generation) {
    for (auto& [id, partition] : partitions_) partition->snapshot_producers();
  }
}

// Delayed messages are due by the wall clock and waited for by the steady one: after a jump
// everybody looks again.
void CoreLoop::watch_clock() {
  const TimeUs difference_us =
      net::wall_time_us() - static_cast<TimeUs>(net::monotonic_ns() / 1'000);
  if (std::abs(difference_us - clock_difference_us_) < kClockJumpUs) return;
  clock_difference_us_ = difference_us;
  for (auto& [id, partition] : partitions_) partition->clock_moved();
}

// In turn: who finds the read pool's share used up comes first in the next second.
void CoreLoop::tend_watched() {
  const TimeUs now_us = net::wall_time_us();
  std::size_t reads_left = kBackgroundReads;
  std::vector<PartitionId> served, waiting;
  for (PartitionId id : std::exchange(watched_, {})) {
    auto* partition = find_copy(id);
    const bool had_reads = reads_left != 0;
    if (partition != nullptr && partition->every_second(now_us, reads_left))
      (had_reads ? served : waiting).push_back(id);
  }
  watched_.insert(watched_.begin(), served.begin(), served.end());
  watched_.insert(watched_.begin(), waiting.begin(), waiting.end());
}

void CoreLoop::drain(net::Task drained) {
  draining_ = true;
  drained_ = std::move(drained);
  listener_.reset();
  check_drained();
}

void CoreLoop::check_drained() {
  if (!drained_ || !writes_.idle() || !cursor_writes_.idle()) return;
  if (!std::exchange(final_snapshots_, true)) {
    for (auto& [id, partition] : partitions_) partition->snapshot_producers();
    if (!writes_.idle()) return;
  }
  std::exchange(drained_, {})();
}

void CoreLoop::close_connections(net::Task closed) {
  closed_ = std::move(closed);
  closing_ = true;
  for (auto& [id, connection] : connections_)
    connection->close({ErrorCode::kShuttingDown, "the node stops"});
  if (connections_.empty()) std::exchange(closed_, {})();
}

}  // namespace andyx::server
