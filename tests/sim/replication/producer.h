// An idempotent producer: one batch after the other, each sent again until it is stored, refused
// for good, or given up.
#pragma once

#include "tests/sim/replication/node.h"

namespace andyx::server::sim {

class Producer {
 public:
  Producer(std::uint32_t index, World& world);

  void begin() { next_operation(); }
  // Everybody has healed: counts what is stored at quorum from here on.
  void count_from_here() {
    stored_since_ = 0;
    quorum_only_ = true;
  }
  std::uint64_t stored_since() const { return stored_since_; }

 private:
  void next_operation();
  void attempt();
  void answered(std::uint64_t attempt, const ProduceAnswer& answer);
  void timed_out(std::uint64_t attempt);
  void again();
  void give_up_or_again();
  void finish(bool stored);
  void begin_anew();

  World& world_;
  Rng rng_;
  ProducerId producer_id_ = 0;
  std::uint64_t sequence_ = 0;
  OperationId operation_ = 0;
  std::uint32_t count_ = 1;
  protocol::Acks acks_{};
  bool maybe_stored_ = false;  // some attempt was not answered with "not stored"
  std::uint64_t attempt_ = 0;  // the one that is waited for; 0: none
  std::uint64_t last_attempt_ = 0;
  NodeId target_ = 1;
  std::uint64_t stored_since_ = 0;
  bool quorum_only_ = false;
};

}  // namespace andyx::server::sim
