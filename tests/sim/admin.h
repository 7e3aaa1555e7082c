// Who administers the group: adds, promotes, demotes and removes members, replaces those whose disk
// is lost, and shuts down who was removed.
#pragma once

#include <cstdint>

#include "tests/sim/options.h"
#include "tests/sim/rng.h"
#include "tests/sim/world.h"

namespace andyx::raft::sim {

class Admin {
 public:
  explicit Admin(World& world);

  Time pause();  // until the next act()
  void act();

 private:
  void propose(ConfChange change);
  ConfChange draw_change();
  ConfChangeSingle draw_single(const ConfState& conf);
  PeerId outsider(const ConfState& conf);  // a peer to add, made where there is none
  void retire_removed();

  World& world_;
  Rng rng_;
};

}  // namespace andyx::raft::sim
