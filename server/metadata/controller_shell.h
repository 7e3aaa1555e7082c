// What is inside of a Controller: the core and the relay on the control loop, and the log below.
// For controller*.cc only.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "server/metadata/controller.h"
#include "server/metadata/controller_core.h"
#include "server/metadata/proposal_relay.h"

namespace andyx::server {

inline constexpr std::uint64_t kProposalRetryMs = 50;  // until a proposal is passed on again

RegisterNodeCommand register_command(NodeSpec node);

// On the control loop, except image_ under its mutex, the atomics, and what starts a proposal.
struct Controller::Shell {
  using OnCompletion = std::move_only_function<void(ControllerCompletion)>;

  // What somebody waits for.
  struct Open {
    OnCompletion done;
    bool passed_on = false;  // by another node: never handed on again
  };

  Shell(net::Loop& loop, std::unique_ptr<MetadataLog> log, ControllerOptions options)
      : loop_(loop),
        options_(std::move(options)),
        core_({options_.max_pending, options_.snapshot_entries, options_.snapshot_bytes}),
        relay_(options_.patience_ms, kProposalRetryMs, options_.peer != nullptr),
        alive_(std::make_shared<Shell*>(this)),
        log_(std::move(log)) {}
  ~Shell() { *alive_ = nullptr; }

  void start(StatusDone ready);
  void enlist(StatusDone ready);  // registers this node
  void follow_log();
  void stop(std::move_only_function<void()> stopped);
  void propose(Wish wish, OnCompletion done, ControllerEpoch decided_in = 0);
  void propose_on_loop(Uuid command_id, Wish wish, Open open, bool lasting = false,
                       ControllerEpoch decided_in = 0);
  void propose_for(const Uuid& command_id, Wish wish, AnswerDone done);
  Error not_leading() const;
  void act();
  void act_once(ControllerActions actions);
  void hand_on(std::vector<Proposal> proposals);
  void relay_turn();
  void send(ProposalRelay::Send send);
  void complete(ControllerCompletion completion);
  void publish(std::shared_ptr<const Image> image);
  void ask_log(ControllerActions& actions);

  // A callback for the log: takes its answer to the loop, and there to `event`.
  template <typename T, typename Event>
  LogDone<T> on_loop(Event event) {
    return [this, event = std::move(event)](T answer) mutable {
      loop_.post([this, event = std::move(event), answer = std::move(answer)]() mutable {
        event(std::move(answer));
        act();
      });
    };
  }

  net::Loop& loop_;
  const ControllerOptions options_;
  ControllerCore core_;
  ProposalRelay relay_;
  bool stopping_ = false;
  std::uint64_t next_ticket_ = 1;
  std::unordered_map<std::uint64_t, Open> open_;  // bounded by max_pending
  std::unique_ptr<net::Loop::Timer> wake_timer_;
  std::unique_ptr<net::Loop::Timer> relay_timer_;
  bool relay_timer_runs_ = false;
  std::vector<ImageListener> on_image_;
  std::vector<std::function<void(bool)>> on_role_;
  std::vector<std::function<void(const Error&)>> on_failed_;
  std::vector<std::move_only_function<void()>> on_stopped_;

  mutable std::mutex image_mutex_;
  std::shared_ptr<const Image> image_ = std::make_shared<const Image>();
  std::atomic<bool> leading_ = false;
  std::atomic<ControllerEpoch> epoch_ = 0;
  std::atomic<NodeId> leader_ = 0;

  // Hints of the log, gathered until the loop has seen them.
  std::atomic<Position> hinted_ = 0;
  std::atomic<bool> hint_posted_ = false;

  std::shared_ptr<Shell*> alive_;     // for what peers answer
  std::unique_ptr<MetadataLog> log_;  // last: ends its callbacks before the rest goes
};

}  // namespace andyx::server
