// What goes wrong, and when: drawn from the seed.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/sim/options.h"
#include "tests/sim/rng.h"
#include "tests/sim/world.h"

namespace andyx::raft::sim {

class Nemesis {
 public:
  explicit Nemesis(World& world);

  Time pause();   // until the next strike()
  void strike();  // one fault, or the end of one

 private:
  using Fault = void (Nemesis::*)();
  struct Weighted {
    Fault fault;
    std::uint32_t weight;
    const char* name;
  };
  static const std::vector<Weighted>& faults();

  Node* any();            // a running one; null: none
  Node* leader_or_any();  // the leader more often than not
  std::vector<PeerId> all() const;

  void crash_one();
  void crash_in_storage();
  void crash_many();
  void pause_one();
  void slow_disk();
  void fail_disk();
  void lose_disk();
  void snapshot_not_ready();
  void isolate();
  void split();
  void cut_one_way();
  void bridge();
  void storm();
  void heal();
  void transfer();
  void forget();
  void campaign();
  void step_down();
  void unreachable();
  void drift();
  void deafen();         // the leader hears nobody
  void transfer_deaf();  // …and hands over
  void coup();           // one that the leader cannot reach will campaign; then as deafen()

  World& world_;
  bool deafen_next_ = false;
  Rng rng_;
};

}  // namespace andyx::raft::sim
