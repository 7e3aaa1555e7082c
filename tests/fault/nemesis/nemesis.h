// Faults in rounds, drawn from a seed: one or two at a time, held for a while, ended; then the
// cluster has to recover before the next round. One thread: the cluster's.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tests/fault/cluster/cluster.h"
#include "tests/fault/nemesis/faults.h"
#include "tests/fault/trial.h"

namespace andyx::test::fault {

// After healing everything has to be writable, with full in-sync sets, within this.
inline constexpr Millis kRecoverWithin{30'000};

struct NemesisOptions {
  std::uint32_t faults = 60;
  Millis at_most{600'000};       // then it ends, whatever it has reached
  std::vector<FaultKind> kinds;  // those that may come; each comes about as often
};

class Nemesis {
 public:
  Nemesis(Cluster& cluster, std::deque<Trial>& trials, NemesisOptions options, std::uint64_t seed);

  // Until all faults have been, time is up, the cluster does not recover or a process ends by
  // itself. How many faults there were.
  std::uint32_t run();
  const std::string& trouble() const { return trouble_; }  // why it ended early; empty: it did not

  // Waits until the cluster is whole; written down. False: not in time.
  bool recover();

 private:
  std::vector<ActiveFault> begin_round();
  void end_round(std::vector<ActiveFault>& faults);
  std::optional<ActiveFault> begin_one(bool beside_another);
  FaultKind draw();
  std::string missing();
  void hold(std::uint32_t ms);
  void note(const std::string& text);  // in all histories

  Cluster& cluster_;
  std::deque<Trial>& trials_;
  const NemesisOptions options_;
  std::mt19937_64 random_;
  Faults faults_;
  std::vector<FaultKind> bag_;
  std::uint32_t begun_ = 0;
  std::string trouble_;
};

}  // namespace andyx::test::fault
