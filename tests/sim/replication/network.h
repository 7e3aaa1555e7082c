// Messages between nodes, the controller and producers: late, out of order, lost, twice, or cut off
// in one direction. A message is what its delivery does.
#pragma once

#include <array>
#include <functional>

#include "protocol/base/ids.h"
#include "tests/sim/replication/options.h"
#include "tests/sim/replication/rng.h"

namespace andyx::server::sim {

inline constexpr NodeId kController = 0;
inline constexpr NodeId kClients = 9;  // all of them, as far as the network cares
inline constexpr std::size_t kPlaces = 10;

class Schedule;

class Network {
 public:
  Network(const Options& options, Schedule& schedule)
      : options_(options), schedule_(schedule), rng_(options.seed, 2) {}

  void send(NodeId from, NodeId to, std::function<void()> deliver);
  // Behind what was sent before with the same `last`: over one connection.
  void send_in_order(Time& last, std::function<void()> deliver);
  void block(NodeId from, NodeId to) { blocked_[from][to] = true; }
  void unblock(NodeId from, NodeId to) { blocked_[from][to] = false; }
  void isolate(NodeId node, bool from_nodes, bool from_controller, std::uint32_t nodes);
  void heal();
  bool healed() const { return healed_; }

 private:
  const Options& options_;
  Schedule& schedule_;
  Rng rng_;
  std::array<std::array<bool, kPlaces>, kPlaces> blocked_{};
  bool healed_ = false;  // nothing is lost from here on
  friend class World;
};

// What happens when.
class Schedule {
 public:
  Time now() const { return now_; }
  std::uint64_t now_ms() const { return now_ / kMs; }
  void after(Time delay, std::function<void()> what);
  bool run_next();  // false: nothing is left
  std::uint64_t events() const { return events_; }

 private:
  struct Event {
    Time at;
    std::uint64_t order;
    std::function<void()> what;
    bool operator<(const Event& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };
  Time now_ = 0;
  std::uint64_t order_ = 0, events_ = 0;
  std::vector<Event> heap_;
};

}  // namespace andyx::server::sim
