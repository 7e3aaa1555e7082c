#include "server/metadata/proposal_relay.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace andyx::server {
namespace {

constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

// Another node, or the same one a little later, may do it: whether this try did is told by the
// command id.
bool worth_another_try(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotController:
    case ErrorCode::kNoController:
    case ErrorCode::kUnreachable:
    case ErrorCode::kConnectionLost:
    case ErrorCode::kTimedOut:
    case ErrorCode::kShuttingDown:
      return true;
    default:
      return false;
  }
}

}  // namespace

void ProposalRelay::hand_on(Proposal proposal, std::uint64_t now_ms) {
  const std::uint64_t ticket = proposal.ticket;
  const auto [at, is_new] = open_.try_emplace(ticket);
  Open& open = at->second;
  open.state = State::kWaiting;
  open.proposal = std::move(proposal);
  open.next_try_ms = is_new ? now_ms : now_ms + retry_ms_;  // again: the core could not, either
  if (is_new) {
    const bool lasting = std::erase(lasting_, ticket) != 0;
    open.deadline_ms = lasting ? kNever : now_ms + patience_ms_;
  }
}

void ProposalRelay::on_answer(std::uint64_t ticket, Result<ProposalAnswer> answer,
                              std::uint64_t now_ms) {
  const auto at = open_.find(ticket);
  if (at == open_.end() || at->second.state != State::kSent) return;
  Open& open = at->second;
  if (answer) {
    open.state = State::kAnswered;
    open.answer = *answer;
    return;
  }
  if (!worth_another_try(answer.error().code)) {
    refused_.push_back({.ticket = ticket, .status = std::unexpected(std::move(answer.error()))});
    open_.erase(at);
    return;
  }
  open.state = State::kWaiting;
  // At once only where another node is named than the last time: two that name each other would
  // be asked for ever.
  const NodeId named = answer.error().node;
  const bool news = named != 0 && named != open.try_node;
  open.try_node = named;
  open.next_try_ms = news ? now_ms : now_ms + retry_ms_;
  open.last_error = std::move(answer.error());
}

void ProposalRelay::on_leader_changed() {
  for (auto& [ticket, open] : open_) {
    open.next_try_ms = 0;
    open.try_node = 0;
  }
}

void ProposalRelay::stop(const Error& reason) {
  for (auto& [ticket, open] : open_) {
    if (open.state == State::kWithCore) continue;  // the core answers
    refused_.push_back({.ticket = ticket, .status = std::unexpected(reason)});
  }
  open_.clear();
}

// What the controller has answered is done, and waited for as long as it takes to read it here; but
// not for ever.
bool ProposalRelay::give_up(const Open& open, std::uint64_t now_ms) const {
  return open.state != State::kWithCore && open.deadline_ms <= now_ms;
}

// That no node could be reached is not what the caller asked of any: it is that nobody decides.
Error ProposalRelay::why_given_up(const Open& open) {
  if (!open.last_error)
    return {ErrorCode::kTimedOut, "the controller of the cluster has not answered in time"};
  if (open.last_error->code != ErrorCode::kUnreachable) return *open.last_error;
  return {ErrorCode::kNoController,
          "the cluster decides nothing now: no controller can be reached; last: " +
              open.last_error->message};
}

void ProposalRelay::try_now(std::uint64_t ticket, Open& open, std::uint64_t now_ms,
                            LogLeader leader, Actions& actions) {
  if (leader.here) {
    open.state = State::kWithCore;
    actions.propose.push_back(open.proposal);
  } else if (can_send_) {
    open.state = State::kSent;
    const NodeId to = open.try_node != 0 ? open.try_node : leader.node;
    actions.sends.push_back({ticket, to, open.proposal.command_id, open.proposal.wish});
  } else {
    open.next_try_ms = now_ms + retry_ms_;
  }
}

ProposalRelay::Actions ProposalRelay::turn(std::uint64_t now_ms, LogLeader leader,
                                           const std::shared_ptr<const Image>& image) {
  Actions actions;
  actions.completions = std::exchange(refused_, {});
  for (auto& completion : actions.completions) completion.image = image;
  for (auto at = open_.begin(); at != open_.end();) {
    auto& [ticket, open] = *at;
    if (open.state == State::kAnswered && open.answer.version <= image->position) {
      actions.completions.push_back(
          {.ticket = ticket, .status = {}, .result = open.answer.result, .image = image});
      at = open_.erase(at);
      continue;
    }
    if (give_up(open, now_ms)) {
      Error error = why_given_up(open);
      actions.completions.push_back(
          {.ticket = ticket, .status = std::unexpected(std::move(error)), .image = image});
      at = open_.erase(at);
      continue;
    }
    if (open.state == State::kWaiting && open.next_try_ms <= now_ms) {
      try_now(ticket, open, now_ms, leader, actions);
    }
    ++at;
  }
  return actions;
}

}  // namespace andyx::server
