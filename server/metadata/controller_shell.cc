#include "server/metadata/controller_shell.h"

#include <string>

#include "protocol/base/limits.h"
#include "server/metadata/snapshot.h"
#include "server/metadata/wish.h"

namespace andyx::server {

namespace {

constexpr std::size_t kReadBytes = limits::kMaxReadBytes;
constexpr std::uint64_t kWakeMs = 50;  // until the log is asked again for what it did not have

}  // namespace

RegisterNodeCommand register_command(NodeSpec node) {
  return {node.node_id, node.disk_id,   node.incarnation, std::move(node.host),
          node.port,    node.peer_port, node.roles,       node.intact};
}

void Controller::Shell::start(StatusDone ready) {
  wake_timer_ = loop_.timer();
  relay_timer_ = loop_.timer();
  follow_log();
  core_.start();
  if (options_.bootstrap_cluster.is_zero()) return enlist(std::move(ready));
  // What waits for a leader is tried again each at its own time: only what is done comes first.
  auto shared = std::make_shared<StatusDone>(std::move(ready));
  propose_on_loop(Uuid::random(), BootstrapCommand{options_.bootstrap_cluster},
                  {[this, shared](ControllerCompletion c) {
                    if (!c.status && c.status.error().code == ErrorCode::kShuttingDown)
                      return (*shared)(std::move(c.status));
                    loop_.post([this, shared] { enlist(std::move(*shared)); });
                  }},
                  true);
}

void Controller::Shell::enlist(StatusDone ready) {
  propose_on_loop(
      Uuid::random(), register_command(options_.node),
      {[ready = std::move(ready)](ControllerCompletion c) mutable { ready(std::move(c.status)); }},
      true);
}

void Controller::Shell::follow_log() {
  log_->watch([this](Position tail) {
    Position seen = hinted_;
    while (seen < tail && !hinted_.compare_exchange_weak(seen, tail)) {
    }
    if (hint_posted_.exchange(true)) return;
    loop_.post([this] {
      hint_posted_ = false;
      core_.on_hint(hinted_);
      act();
    });
  });
  log_->on_leader([this](LogLeader leader) {
    loop_.post([this, leader] {
      leader_ = leader.here ? options_.node.node_id : leader.node;
      core_.on_leader(leader);
      relay_.on_leader_changed();
      act();
    });
  });
}

void Controller::Shell::stop(std::move_only_function<void()> stopped) {
  on_stopped_.push_back(std::move(stopped));
  stopping_ = true;
  relay_.stop({ErrorCode::kShuttingDown, "the controller is stopping"});
  relay_turn();
  core_.stop();
  act();
}

// Any thread. `done` is shared with the task, because a task that is refused is lost.
void Controller::Shell::propose(Wish wish, OnCompletion done, ControllerEpoch decided_in) {
  auto shared = std::make_shared<OnCompletion>(std::move(done));
  const bool posted = loop_.try_post([this, wish = std::move(wish), shared, decided_in]() mutable {
    propose_on_loop(Uuid::random(), std::move(wish), {std::move(*shared)}, false, decided_in);
  });
  if (posted) return;
  (*shared)({.status = fail(ErrorCode::kOverloaded,
                            "the control loop has too much to do, or has stopped")});
}

void Controller::Shell::propose_on_loop(Uuid command_id, Wish wish, Open open, bool lasting,
                                        ControllerEpoch decided_in) {
  if (open_.size() >= options_.max_pending) {
    return open.done({.status = fail(ErrorCode::kOverloaded,
                                     std::to_string(open_.size()) +
                                         " changes of the metadata are waiting, the most that the "
                                         "controller takes"),
                      .image = core_.image()});
  }
  const std::uint64_t ticket = next_ticket_++;
  open_.emplace(ticket, std::move(open));
  if (lasting) relay_.never_give_up(ticket);
  core_.propose({ticket, command_id, net::wall_time_us(), std::move(wish), decided_in});
  act();
}

// Any thread, as propose().
void Controller::Shell::propose_for(const Uuid& command_id, Wish wish, AnswerDone done) {
  auto answer = std::make_shared<AnswerDone>(std::move(done));
  const bool posted = loop_.try_post([this, command_id, wish = std::move(wish), answer]() mutable {
    const auto to_answer = [answer](ControllerCompletion c) {
      if (!c.status) return (*answer)(std::unexpected(std::move(c.status.error())));
      (*answer)(ProposalAnswer{c.image->position, c.result});
    };
    if (!core_.leader().here) return (*answer)(std::unexpected(not_leading()));
    propose_on_loop(command_id, std::move(wish), {to_answer, true});
  });
  if (posted) return;
  (*answer)(fail(ErrorCode::kOverloaded, "the control loop has too much to do, or has stopped"));
}

Error Controller::Shell::not_leading() const {
  const NodeId node = core_.leader().here ? 0 : core_.leader().node;
  if (node == 0) {
    return {ErrorCode::kNoController,
            "node " + std::to_string(options_.node.node_id) + " knows of no controller now"};
  }
  return {ErrorCode::kNotController, "node " + std::to_string(node) + " is the controller", node};
}

// Carries out what the core and the relay want. Listeners may propose again: that goes through the
// loop's mailbox, never back into here.
void Controller::Shell::act() {
  act_once(core_.take_actions());
  relay_turn();
}

// In the order of the fields.
void Controller::Shell::act_once(ControllerActions actions) {
  if (actions.publish) publish(std::move(actions.publish));
  epoch_ = core_.leading() ? core_.epoch() : 0;
  leading_ = core_.leading();
  if (actions.role) {
    for (const auto& listener : on_role_) listener(*actions.role);
  }
  for (ControllerCompletion& completion : actions.completions) {
    relay_.forget(completion.ticket);
    complete(std::move(completion));
  }
  hand_on(std::move(actions.hand_on));
  if (actions.failed) {
    relay_.stop(*actions.failed);
    for (const auto& listener : on_failed_) listener(*actions.failed);
  }
  ask_log(actions);
  if (actions.wake) {
    wake_timer_->start(kWakeMs, 0, [this] {
      core_.on_wake();
      act();
    });
  }
  if (!actions.stopped) return;
  for (auto& stopped : std::exchange(on_stopped_, {})) stopped();
}

void Controller::Shell::publish(std::shared_ptr<const Image> image) {
  {
    const std::lock_guard lock(image_mutex_);
    image_ = image;
  }
  for (const ImageListener& listener : on_image_) listener(image);
}

void Controller::Shell::complete(ControllerCompletion completion) {
  auto open = open_.extract(completion.ticket);
  if (open.empty()) return;  // the relay has given it up
  open.mapped().done(std::move(completion));
}

// The node that passed it on finds the one that leads itself: no proposal goes in circles.
void Controller::Shell::hand_on(std::vector<Proposal> proposals) {
  for (Proposal& proposal : proposals) {
    const auto open = open_.find(proposal.ticket);
    if (open == open_.end()) continue;
    if (open->second.passed_on) {
      complete({.ticket = proposal.ticket, .status = std::unexpected(not_leading())});
    } else if (stopping_) {
      complete({.ticket = proposal.ticket,
                .status = fail(ErrorCode::kShuttingDown, "the controller is stopping"),
                .image = core_.image()});
    } else {
      relay_.hand_on(std::move(proposal), loop_.now_ms());
    }
  }
}

void Controller::Shell::relay_turn() {
  auto turn = relay_.turn(loop_.now_ms(), core_.leader(), core_.image());
  for (ControllerCompletion& completion : turn.completions) complete(std::move(completion));
  for (ProposalRelay::Send& one : turn.sends) send(std::move(one));
  for (Proposal& proposal : turn.propose) core_.propose(std::move(proposal));
  if (relay_.idle() == relay_timer_runs_) {
    relay_timer_runs_ = !relay_.idle();
    if (relay_timer_runs_) {
      relay_timer_->start(kProposalRetryMs, kProposalRetryMs, [this] { act(); });
    } else {
      relay_timer_->stop();
    }
  }
  if (!turn.propose.empty()) act_once(core_.take_actions());
}

void Controller::Shell::send(ProposalRelay::Send send) {
  options_.peer->propose(
      send.to, send.command_id, encode_wish(send.wish),
      [&loop = loop_, alive = alive_, ticket = send.ticket](Result<ProposalAnswer> answer) mutable {
        loop.post([alive = std::move(alive), ticket, answer = std::move(answer)]() mutable {
          Shell* shell = *alive;
          if (shell == nullptr) return;
          shell->relay_.on_answer(ticket, std::move(answer), shell->loop_.now_ms());
          shell->act();
        });
      });
}

void Controller::Shell::ask_log(ControllerActions& actions) {
  if (actions.campaign) {
    log_->campaign(options_.node.node_id, options_.ttl_ms,
                   on_loop<Result<ControllerEpoch>>([this](auto r) { core_.on_campaign(r); }));
  }
  if (actions.get_snapshot) {
    log_->get_snapshot(on_loop<Result<std::optional<ImageSnapshotBytes>>>(
        [this](auto r) { core_.on_get_snapshot(std::move(r)); }));
  }
  if (actions.tail) {
    log_->tail(on_loop<Result<Position>>([this](auto r) { core_.on_tail(r); }));
  }
  if (actions.read) {
    log_->read(*actions.read, kReadBytes, on_loop<Result<std::vector<LogEntry>>>([this](auto r) {
      core_.on_read(std::move(r));
    }));
  }
  if (actions.append) {
    log_->append(actions.append->expected, actions.append->epoch,
                 std::move(actions.append->entries),
                 on_loop<AppendResult>([this](auto r) { core_.on_append(r); }));
  }
  if (actions.trim) log_->trim(*actions.trim, [](const Status&) {});
  if (actions.put_snapshot) {
    const Position position = actions.put_snapshot->position;
    log_->put_snapshot(
        {position, encode_snapshot(*actions.put_snapshot)},
        on_loop<Status>([this, position](auto r) { core_.on_put_snapshot(position, r); }));
  }
}

}  // namespace andyx::server
