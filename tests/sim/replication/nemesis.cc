#include "tests/sim/replication/nemesis.h"

#include <algorithm>

#include "tests/sim/replication/world.h"

namespace andyx::server::sim {

Nemesis::Nemesis(World& world) : world_(world), rng_(world.options().seed, 3) {}

std::string Nemesis::history() const {
  std::string out;
  const std::size_t first = notes_.size() > 15 ? notes_.size() - 15 : 0;
  for (std::size_t i = first; i < notes_.size(); ++i) out += "  " + notes_[i] + "\n";
  return out;
}

void Nemesis::note(const std::string& what) {
  ++faults_;
  notes_.push_back(std::to_string(world_.schedule().now_ms()) + " ms: " + what);
}

Time Nemesis::a_while() { return rng_.one_in(3) ? rng_.below(6'000) * kMs : rng_.below(800) * kMs; }

void Nemesis::next() {
  // Those around changes of the set need the time to unfold.
  const Time pause = world_.options().set_changes_only
                         ? rng_.between(500, 2'500) * kMs
                         : rng_.below(2 * world_.options().fault_every);
  world_.schedule().after(pause, [this] {
    if (stopped_) return;
    strike();
    next();
  });
}

// The main as often as all others together.
Node& Nemesis::victim() {
  const NodeId main = world_.controller().partition(any_partition()).main;
  if (main != 0 && rng_.one_in(2)) return world_.node(main);
  return world_.node(any_node());
}

void Nemesis::strike() {
  if (world_.options().set_changes_only) return deafen();
  Node& node = victim();
  switch (rng_.below(17)) {
    case 0:
    case 1:
    case 2:
      return crash(node, world_.options().wiped_disks && rng_.one_in(3) && may_wipe(node));
    case 3:
      return lose_power();
    case 4:
      return pause(node);
    case 5:
    case 6:
      return cut_off(node);
    case 7:
      return one_way(node);
    case 8:
    case 9:
      return trouble_disk(node);
    case 10:
      world_.network().heal();
      return;
    case 11:
    case 12:
      return deafen();
    case 13:
    case 14:
      return trouble_consumer();
    case 15:
      return world_.controller().another_leads();
    default:
      return operate();
  }
}

void Nemesis::crash(Node& node, bool wiped) {
  if (!node.up()) return;
  note("node " + std::to_string(node.id()) + (wiped ? " loses its disk" : " crashes"));
  node.crash();
  if (wiped) node.wipe();
  world_.schedule().after(a_while(), [&node] {
    if (!node.up()) node.start();
  });
}

// A lost disk is no loss of what was committed as long as another member of the set has its own.
bool Nemesis::may_wipe(const Node& node) const {
  for (std::uint32_t partition = 0; partition < world_.options().partitions; ++partition) {
    const auto& in_sync = world_.controller().partition(partition).in_sync;
    if (std::ranges::none_of(in_sync, [&](NodeId other) { return other != node.id(); }))
      return false;
  }
  return true;
}

void Nemesis::lose_power() {
  note("all nodes lose power");
  for (NodeId id = 1; id <= world_.options().nodes; ++id) crash(world_.node(id), false);
}

void Nemesis::pause(Node& node) {
  if (!node.up() || node.paused()) return;
  note("node " + std::to_string(node.id()) + " stops for a while");
  node.pause();
  world_.schedule().after(a_while(), [&node] {
    if (node.paused()) node.resume();
  });
}

void Nemesis::cut_off(Node& node) {
  const bool nodes = rng_.one_in(2);
  const bool controller = !nodes || rng_.one_in(2);
  note("node " + std::to_string(node.id()) + " is cut off from " + (nodes ? "nodes " : "") +
       (controller ? "controller" : ""));
  world_.network().isolate(node.id(), nodes, controller, world_.options().nodes);
  world_.schedule().after(a_while(), [this] { world_.network().heal(); });
}

void Nemesis::one_way(Node& node) {
  const auto other = static_cast<NodeId>(rng_.between(0, world_.options().nodes));
  note("nothing arrives at node " + std::to_string(other) + " from node " +
       std::to_string(node.id()));
  if (rng_.one_in(2))
    world_.network().block(node.id(), other);
  else
    world_.network().block(other, node.id());
  world_.schedule().after(a_while(), [this] { world_.network().heal(); });
}

void Nemesis::trouble_disk(Node& node) {
  const Time until = world_.schedule().now() + a_while();
  const bool full = rng_.one_in(3);
  note("the disk of node " + std::to_string(node.id()) + (full ? " is full" : " is slow"));
  if (full)
    node.full_disk(until);
  else
    node.slow_disk(until);
}

void Nemesis::trouble_consumer() {
  auto& consumers = world_.consumers();
  if (consumers.empty()) return;
  Consumer& consumer = consumers[rng_.below(consumers.size())];
  const bool dies = rng_.one_in(2);
  note(std::string("a consumer ") + (dies ? "dies" : "stops for a while"));
  if (dies)
    consumer.crash();
  else
    consumer.pause(world_.schedule().now() + a_while());
}

void Nemesis::later(Time delay, std::function<void()> what) {
  world_.schedule().after(delay, [this, what = std::move(what)] {
    if (!stopped_) what();
  });
}

// Replicas have to join anew while the main does not hear what became of its proposals, or they do
// not arrive at first; then the main goes away. Random faults alone seldom meet in this order.
void Nemesis::deafen() {
  const NodeId main = world_.controller().partition(any_partition()).main;
  const NodeId joiner = any_node(), second = any_node();
  if (main == 0 || main == joiner || main == second) return;
  const bool wiped = world_.options().wiped_disks && rng_.one_in(3);
  const bool deaf = wiped || rng_.one_in(2), dumb = wiped || !deaf;
  note("main " + std::to_string(main) + " becomes" + (deaf ? " deaf" : "") + (dumb ? " dumb" : "") +
       " while nodes " + std::to_string(joiner) + " and " + std::to_string(second) + " join" +
       (wiped ? ", the first loses its disk" : ""));
  world_.node(joiner).pause();
  world_.node(second).pause();
  Time at = rng_.between(1'600, 2'600) * kMs;
  later(at, [this, joiner, second] {
    world_.node(joiner).resume();
    world_.node(second).resume();
  });
  at += rng_.between(20, 1'300) * kMs;
  later(at, [this, main, deaf, dumb] {
    if (deaf) world_.network().block(kController, main);
    if (dumb) world_.network().block(main, kController);
  });
  if (wiped || rng_.one_in(2)) {
    later(at + rng_.below(500) * kMs,
          [this, main, joiner] { world_.network().block(main, joiner); });
  }
  if (wiped) later(at + rng_.below(500) * kMs, [this, joiner] { replace_disk(joiner); });
  at += rng_.between(500, 1'400) * kMs;
  later(at, [this, main, dumb] {
    if (dumb) world_.network().unblock(main, kController);
  });
  later(at + rng_.below(1'500) * kMs, [this, main] { crash(world_.node(main), false); });
  later(at + rng_.below(3'000) * kMs, [this] { world_.network().heal(); });
}

void Nemesis::replace_disk(NodeId id) {
  Node& node = world_.node(id);
  if (!node.up() || !may_wipe(node)) return;
  node.crash();
  node.wipe();
  node.start();
}

NodeId Nemesis::any_node() { return static_cast<NodeId>(rng_.between(1, world_.options().nodes)); }

std::uint32_t Nemesis::any_partition() {
  return static_cast<std::uint32_t>(rng_.below(world_.options().partitions));
}

void Nemesis::operate() {
  const NodeId node = any_node();
  const std::uint32_t partition = any_partition();
  SimController& controller = world_.controller();
  const PartitionRecord& record = controller.partition(partition);
  if (world_.options().retention && rng_.one_in(2)) {
    if (record.main != 0 && world_.node(record.main).up()) retain(record);
    return;
  }
  if (world_.options().forced_elections && rng_.one_in(4)) {
    note("node " + std::to_string(node) + " is forced to be main");
    return controller.force(partition, node);
  }
  if (rng_.one_in(3)) {
    note("node " + std::to_string(node) + " drains");
    controller.drain(node, true);
    return world_.schedule().after(rng_.below(8'000) * kMs,
                                   [&controller, node] { controller.drain(node, false); });
  }
  const NodeId from = rng_.one_in(2) ? 0 : rng_.pick(record.replicas);
  note("partition " + std::to_string(partition) + " moves from node " + std::to_string(from) +
       " to node " + std::to_string(node));
  controller.move(partition, from, node);
}

void Nemesis::retain(const PartitionRecord& record) {
  Copy& main = world_.node(record.main).copy(record.index);
  const LocalCopy& copy = main.log(false).copy();
  const auto batches = main.log(false).log().range(copy.start, copy.committed);
  if (!batches.empty()) main.retain(rng_.pick(batches).header.base_offset);
}

}  // namespace andyx::server::sim
