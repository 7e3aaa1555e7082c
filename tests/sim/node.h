// A peer in the simulator: the host of a core as a host has to be (what it does with a Ready, in
// which order), on a simulated disk. Storage work is done in steps between which it may crash.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "raft/core/raw_node.h"
#include "tests/sim/disk.h"
#include "tests/sim/environment.h"
#include "tests/sim/machine.h"

namespace andyx::raft::sim {

class Node {
 public:
  Node(PeerId id, Environment& environment);

  // A member of a new group, before its first start.
  void format(SnapshotPtr snapshot);
  void start();
  void crash();  // or kill: what is not synced is at stake
  void pause();
  void resume();

  // Events; of the present process only.
  void tick();
  void receive(Message message);
  void storage_done();  // the sync, or the application, that it waited for
  void apply_done();

  // Requests. Nothing happens where the node is down or paused.
  void request(const SharedBytes& command);
  void read(std::uint64_t context);
  void change(const ConfChange& change);
  void with_core(std::function<void(RawNode&)> act);

  PeerId id() const { return id_; }
  bool up() const { return core_ != nullptr; }
  bool running() const { return up() && !paused_; }
  // In the place of a node of the same id: its processes are later ones.
  void continue_from(std::uint32_t incarnation) { incarnation_ = incarnation; }
  std::uint32_t incarnation() const { return incarnation_; }
  Time tick_period() const { return tick_period_; }
  void set_tick_period(Time period) { tick_period_ = period; }
  const RawNode& core() const { return *core_; }
  Disk& disk() { return disk_; }
  const Disk& disk() const { return disk_; }
  const Machine& machine() const { return machine_; }
  const ConfState& conf() const { return conf_; }  // as applied
  void slow_disk(std::uint32_t factor) { disk_factor_ = factor; }
  void crash_at_step(std::uint32_t steps) { crash_in_ = steps; }
  void fail_disk() { disk_fails_ = true; }

 private:
  void step(Message message);
  void after_input();
  void observe();
  bool step_hits_crash();  // one storage step was done; true: the node is down now
  void flush_inbox();
  Time sync_time();

  // node_ready.cc
  void begin_ready();
  void persisted();
  void finish_ready();
  void pump_async();
  void run_append_thread();
  void append_written();
  void run_apply_thread();
  bool write(const std::vector<Entry>& entries, const std::optional<HardState>& hard,
             const SnapshotPtr& snapshot);
  bool sync();
  bool waits() const { return handling_ && !options_.step_during_ready; }
  void send(std::vector<Message>& messages);
  void restore(const Snapshot& snapshot);
  bool apply(const std::vector<Entry>& entries);
  void apply_change(const Entry& entry);
  bool save_state();
  bool take_snapshot();
  void read_states(const std::vector<ReadState>& states);
  void answer_reads();

  const PeerId id_;
  Environment& environment_;
  const Options& options_;
  Rng rng_;
  Disk disk_;
  std::unique_ptr<RawNode> core_;  // null: down
  Machine machine_;
  ConfState conf_;
  std::uint32_t incarnation_ = 0;
  Time tick_period_ = 0;
  bool paused_ = false;
  std::uint32_t missed_ticks_ = 0;
  std::uint64_t ticks_ = 0;       // of this process
  std::uint64_t heard_tick_ = 0;  // the newest message of a leader; 0: none yet
  // What came while paused, or while a ready is handled.
  std::deque<Message> inbox_;
  std::deque<std::function<void(RawNode&)>> requests_;
  std::uint32_t disk_factor_ = 1;
  std::uint32_t crash_in_ = 0;  // storage steps; 0: no such plan
  bool disk_fails_ = false;

  Ready ready_;
  bool handling_ = false;  // a ready, until advance()
  bool applying_ = false;  // …its entries
  std::deque<Message> append_queue_;
  std::vector<Message> appending_;  // written, being synced
  std::deque<Message> apply_queue_;
  bool apply_busy_ = false;
  Index restored_ = 0;            // the newest snapshot that replaced the machine
  std::vector<ReadState> reads_;  // wait for their index
};

}  // namespace andyx::raft::sim
