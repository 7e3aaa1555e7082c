// One run: the peers, the network between them, clients, faults, and virtual time. Single-threaded;
// everything follows from the options, whose seed it prints when something is wrong.
#pragma once

#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <vector>

#include "tests/sim/environment.h"
#include "tests/sim/network.h"
#include "tests/sim/node.h"
#include "tests/sim/violation.h"

namespace andyx::raft::sim {

struct RunResult {
  Options options;
  Counts counts;
  std::uint64_t elections = 0;
  std::uint64_t commits = 0;
  std::uint64_t answered = 0;  // operations of clients
  Time virtual_time = 0;
  std::uint64_t trace_hash = 0;
  bool stranded = false;  // wiped peers left no quorum: no liveness to be shown
  bool helped = false;    // see World::help
  std::optional<Violation> violation;
  std::string trace;  // its end, when violated
};

RunResult run_seed(const Options& options, std::size_t trace_lines = 60);

class World final : public Environment {
 public:
  explicit World(const Options& options);
  ~World() override;

  void run();  // throws Violation
  RunResult result() const;
  std::string describe_peers() const;  // a line for each that is up

  // Environment.
  Time now() const override { return now_; }
  void later(Later what, const Node& node, Time delay) override;
  void send(Message message) override;
  void went_down(Node& node) override;
  void changed(Index index, const ConfState& conf) override;
  const Options& options() const override { return options_; }
  Checker& checker() override { return checker_; }
  Clients& clients() override { return clients_; }
  Trace& trace() override { return trace_; }
  Counts& counts() override { return counts_; }
  Logger& logger() override { return *logger_; }

  // For faults and for who administers the group.
  Network& network() { return network_; }
  Node* node(PeerId id) { return id < peers_.size() ? peers_[id].node.get() : nullptr; }
  bool gone(PeerId id) const { return id >= peers_.size() || peers_[id].gone; }
  PeerId last_id() const { return peers_.size() - 1; }
  std::vector<PeerId> running() const;
  Node* leader();                                  // of the highest term; null: none
  const ConfState& conf() const { return conf_; }  // the newest that was applied anywhere
  Index conf_index() const { return conf_index_; }
  // Its disk is there, and tells it that the newest membership is committed also after a crash
  // (when there can be none any more: it knows).
  bool knows_membership(PeerId id) const;
  bool was_member(PeerId id) const { return peers_[id].member; }
  PeerId add_peer();                  // a new id, an empty disk, started
  void crash(Node& node, Time down);  // and starts again after `down`
  void pause(Node& node, Time length);
  void remove(Node& node);  // for good: never comes back under its id
  void wipe(Node& node);    // its disk is lost: likewise
  bool healing() const { return healing_; }

 private:
  enum class Kind : std::uint8_t {
    kTick,
    kStorageDone,
    kApplyDone,
    kDeliver,
    kSnapshotReport,
    kRestart,
    kResume,
    kClient,
    kAudit,
    kFault,
    kAdmin,
  };
  struct Event {
    Time at = 0;
    std::uint64_t order = 0;
    Kind kind = Kind::kTick;
    bool failed = false;  // a snapshot report
    PeerId peer = kNone;
    std::uint32_t incarnation = 0;
    std::uint64_t more = 0;  // a message's slot, a client, another peer
    bool operator<(const Event& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };
  struct Peer {
    std::unique_ptr<Node> node;
    std::unique_ptr<Node> former;  // of a wiped peer that came back
    bool gone = false;
    bool member = false;  // was, at some time
    Time resume_at = 0;
  };
  class PanicLogger;

  void push(Event event, Time delay);
  void handle(const Event& event);
  void deliver(const Event& event);
  void client_turn(const Event& event);
  void run_until(Time end);
  void heal();
  bool settled();
  bool stranded() const;
  void help();
  void audit_leaders();

  Options options_;
  std::unique_ptr<Logger> logger_;
  Rng rng_;
  Trace trace_;
  Counts counts_;
  Checker checker_;
  Clients clients_;
  Network network_;
  std::unique_ptr<class Nemesis> nemesis_;
  std::unique_ptr<class Admin> admin_;
  std::vector<Peer> peers_;  // by id
  std::vector<std::uint32_t> client_turns_;
  std::priority_queue<Event> events_;
  std::uint64_t order_ = 0;
  std::vector<Message> messages_;  // under way
  std::vector<std::size_t> free_messages_;
  Time now_ = 0;
  ConfState conf_;
  Index conf_index_ = 0;
  bool healing_ = false;
  bool stranded_ = false;
  bool helped_ = false;
  std::uint32_t probes_ = 0;
};

}  // namespace andyx::raft::sim
