// Tells the controller that this node lives and how it is, and remembers when the controller was
// last heard of: what rule 5 of replication asks (design, "Cut off from the controller"). The
// control loop; heard_controller_ms() from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include "server/cluster/metadata_peers.h"
#include "server/cluster/node_sessions.h"

namespace andyx::server {

struct HeartbeatsOptions {
  NodeId self = 0;
  std::uint64_t incarnation = 0;
  std::uint32_t interval_ms = 300;
  std::uint32_t timeout_ms = 1'000;  // of each node that is asked
};

class Heartbeats {
 public:
  struct Inputs {
    std::function<NodeReport()> report;
    std::function<NodeId()> leader;  // the controller, as far as the local metadata knows; 0: not
    // Asked first: it answers where this node is the controller. Null: it never is.
    NodeSessions* local = nullptr;
    // Each answer, as the controller's own tail, which is a hint of what to read.
    std::function<void(const NodeSessions::Answer&)> heard;
    // This node is not, or no more, what the controller knows: kNodeConflict, kUnknownNode. It
    // should register again, or stop.
    std::function<void(const Error&)> refused;
  };

  Heartbeats(net::Loop& loop, std::shared_ptr<MetadataPeers> peers, HeartbeatsOptions options,
             Inputs inputs);
  ~Heartbeats();

  void start();
  void beat_now();  // something in the report has turned bad

  // When the last heartbeat that was answered was SENT, in ms of BOOTTIME: the controller keeps the
  // session from then on at least. 0: none yet.
  std::uint64_t heard_controller_ms() const {
    return state_->heard_ms.load(std::memory_order_relaxed);
  }

 private:
  // Outlives this while answers are under way.
  struct State {
    std::atomic<std::uint64_t> heard_ms{0};
    Inputs inputs;
    NodeId controller = 0;  // that answered last
    std::uint32_t in_flight = 0;
    bool ended = false;
  };
  void beat();
  static void answered(State& state, std::uint64_t sent_ms,
                       const Result<NodeSessions::Answer>& answer);

  std::shared_ptr<MetadataPeers> peers_;
  const HeartbeatsOptions options_;
  std::shared_ptr<State> state_ = std::make_shared<State>();
  std::unique_ptr<net::Loop::Timer> timer_;
};

}  // namespace andyx::server
