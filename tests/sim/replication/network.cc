#include "tests/sim/replication/network.h"

#include <algorithm>

namespace andyx::server::sim {

void Network::send(NodeId from, NodeId to, std::function<void()> deliver) {
  const bool faulty = !healed_ && from != kClients && to != kClients;
  if (faulty && (blocked_[from][to] || rng_.permille(options_.loss_permille))) return;
  Time delay = rng_.between(50, 1'000);
  if (faulty && rng_.permille(options_.late_permille)) delay += rng_.below(options_.late_by);
  if (faulty && rng_.permille(options_.twice_permille))
    schedule_.after(delay + rng_.below(options_.late_by), deliver);
  schedule_.after(delay, std::move(deliver));
}

void Network::send_in_order(Time& last, std::function<void()> deliver) {
  last = std::max(last + 1, schedule_.now() + rng_.between(50, 1'000));
  schedule_.after(last - schedule_.now(), std::move(deliver));
}

void Network::isolate(NodeId node, bool from_nodes, bool from_controller, std::uint32_t nodes) {
  for (NodeId other = 0; other <= nodes; ++other) {
    if (other == node || !(other == kController ? from_controller : from_nodes)) continue;
    block(node, other);
    block(other, node);
  }
}

void Network::heal() {
  for (auto& row : blocked_) row.fill(false);
}

void Schedule::after(Time delay, std::function<void()> what) {
  heap_.push_back({now_ + delay, order_++, std::move(what)});
  std::push_heap(heap_.begin(), heap_.end());
}

bool Schedule::run_next() {
  if (heap_.empty()) return false;
  std::pop_heap(heap_.begin(), heap_.end());
  const Event event = std::move(heap_.back());
  heap_.pop_back();
  now_ = event.at;
  ++events_;
  event.what();
  return true;
}

}  // namespace andyx::server::sim
