// Everything of a peer that lives on its raft thread: the core, its ticks, its storage work, its
// messages, what waits for it. RaftHost's calls arrive here as tasks.
#pragma once

#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "raft/core/raw_node.h"
#include "raft/host/proposals.h"
#include "raft/host/reads.h"
#include "raft/host/snapshots.h"
#include "raft/host/tick_clock.h"
#include "raft/host/transport.h"

namespace andyx::raft {

class HostCore final : public std::enable_shared_from_this<HostCore>,
                       public Transport::Events,
                       public Logger {
 public:
  // `stopped`: called once, on the raft thread, when the peer cannot go on. All outlive it.
  HostCore(net::Loop& loop, const HostOptions& options, StateMachine& machine, RaftStore& store,
           PeerBook& book, std::function<void(const Error&)> stopped);
  ~HostCore() override = default;

  // Bootstraps or restores, listens, begins to tick: the port. Blocks for the disk.
  Result<std::uint16_t> start();
  // Answers all that is open and falls silent.
  void stop(const Error& reason);

  void propose(SharedBytes data, RaftHost::ProposalDone done);
  void propose_conf_change(const ConfChange& change, RaftHost::ProposalDone done);
  void save_snapshot(std::move_only_function<void(Status)> done);
  void read_index(Reads::Done done);
  void transfer_leader(PeerId to);
  void add_peer(const PeerAddress& peer);
  void remove_peer(PeerId peer);
  void status(std::move_only_function<void(NodeStatus)> done);
  void on_leader_change(std::function<void(SoftState, Term)> changed);

 private:
  // Transport::Events
  void before_frames() override { deliver_ticks(); }
  Status on_messages(PeerId from, std::vector<Message> messages) override;
  void on_snapshot_sent(PeerId to, bool failed) override;
  void on_unreachable(PeerId peer) override;
  void on_read_end() override { drain(); }
  void log(LogLevel level, const std::string& line) override;
  // Logger
  bool enabled(LogLevel level) const override;
  void log(LogLevel level, std::string_view line) override;
  [[noreturn]] void panic(std::string_view line) override;

  Status restore();
  void stop_soon(const Error& reason);
  Config config();
  bool running() const { return node_ != nullptr; }

  // ---- Time ----
  void on_timer();
  void deliver_ticks();
  void watch_disk();
  bool admits(const Message& message) const;

  // ---- Ready ----
  void drain();
  void handle(Ready& ready);
  void handle_soft_state(const SoftState& soft);
  void storage_append(Message message, bool must_sync);
  void appended(std::vector<Message> responses, const SnapshotPtr& snapshot);
  void storage_apply(Message message);
  bool apply(const Entry& entry);
  void respond(std::vector<Message> responses);
  void send(Message message);
  void flush();
  bool send_snapshot(PeerId to, const Message& message);
  void maybe_snapshot();

  // ---- Proposals ----
  void propose_waiting();
  bool can_propose() const;
  bool leaves_voters(const ConfChange& change) const;
  void refuse(RaftHost::ProposalDone& done);

  net::Loop& loop_;
  const HostOptions options_;
  StateMachine& machine_;
  RaftStore& store_;
  std::function<void(const Error&)> stopped_;
  std::mt19937_64 random_;
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<RawNode> node_;  // null: not started, or stopped
  std::unique_ptr<net::Loop::Timer> timer_;
  TickClock clock_;
  bool disk_hangs_ = false;

  Ready ready_;
  bool draining_ = false;
  std::map<PeerId, std::vector<Message>> outbox_;
  SoftState soft_;
  Index applied_ = 0;
  Term applied_term_ = 0;

  Proposals proposals_;
  std::vector<SharedBytes> waiting_data_;  // proposed in this loop turn
  std::vector<RaftHost::ProposalDone> waiting_done_;
  std::size_t waiting_bytes_ = 0;
  Reads reads_;
  bool reads_begun_ = false;
  SnapshotSchedule snapshots_;
  std::vector<std::move_only_function<void(Status)>> snapshot_asked_;   // for the next one
  std::vector<std::move_only_function<void(Status)>> snapshot_saving_;  // for the one being saved
  bool failing_ = false;  // an entry could not be applied: ends with this turn
  std::vector<std::function<void(SoftState, Term)>> leader_watchers_;
};

}  // namespace andyx::raft
