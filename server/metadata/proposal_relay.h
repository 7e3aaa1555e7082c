// What this node proposes while it does not lead, on its way to the node that does: sent again
// under the same command id while the leader is unknown or changes, and completed when the image
// here has come as far as the answer. Pure; one thread (the control loop).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "server/metadata/controller_core.h"
#include "server/metadata/proposal_answer.h"

namespace andyx::server {

class ProposalRelay {
 public:
  struct Send {
    std::uint64_t ticket = 0;
    NodeId to = 0;  // 0: not known
    Uuid command_id;
    Wish wish;
  };
  struct Actions {
    std::vector<Send> sends;        // each is answered by on_answer
    std::vector<Proposal> propose;  // this node leads now
    std::vector<ControllerCompletion> completions;
  };

  // `can_send`: there is a way to other nodes.
  ProposalRelay(std::uint64_t patience_ms, std::uint64_t retry_ms, bool can_send)
      : patience_ms_(patience_ms), retry_ms_(retry_ms), can_send_(can_send) {}

  // Before it is handed on: goes on until it is stopped.
  void never_give_up(std::uint64_t ticket) { lasting_.push_back(ticket); }
  void hand_on(Proposal proposal, std::uint64_t now_ms);
  void forget(std::uint64_t ticket);  // completed without the relay
  void on_answer(std::uint64_t ticket, Result<ProposalAnswer> answer, std::uint64_t now_ms);
  // All that waits is tried at once.
  void on_leader_changed();
  void stop(const Error& reason);

  // What is due.
  Actions turn(std::uint64_t now_ms, LogLeader leader, const std::shared_ptr<const Image>& image);
  bool idle() const { return open_.empty(); }

 private:
  enum class State : std::uint8_t { kWaiting, kWithCore, kSent, kAnswered };
  struct Open {
    Proposal proposal;
    State state = State::kWaiting;
    std::uint64_t deadline_ms = 0;
    std::uint64_t next_try_ms = 0;
    NodeId try_node = 0;  // that the last answer named
    std::optional<Error> last_error;
    ProposalAnswer answer;
  };

  static Error why_given_up(const Open& open);
  using OpenAt = std::map<std::uint64_t, Open>::iterator;
  void list(std::uint64_t ticket, const Open& open);
  void unlist(std::uint64_t ticket, const Open& open);
  void close(OpenAt at);
  void complete_answered(const std::shared_ptr<const Image>& image, Actions& actions);
  void give_up(std::uint64_t now_ms, const std::shared_ptr<const Image>& image, Actions& actions);
  void try_now(std::uint64_t ticket, Open& open, std::uint64_t now_ms, LogLeader leader,
               Actions& actions);

  const std::uint64_t patience_ms_;
  const std::uint64_t retry_ms_;
  const bool can_send_;
  std::vector<std::uint64_t> lasting_;
  std::map<std::uint64_t, Open> open_;  // by ticket; bounded by the controller
  // What a turn has to look at, so that it does not look at everything that is open: (when or
  // version, ticket) of those that wait for a try, that may be given up, that were answered.
  using Listed = std::set<std::pair<std::uint64_t, std::uint64_t>>;
  Listed tries_, deadlines_, answered_;
  std::vector<ControllerCompletion> refused_;
};

}  // namespace andyx::server
