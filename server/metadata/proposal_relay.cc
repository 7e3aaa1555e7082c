#include "server/metadata/proposal_relay.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace andyx::server {
namespace {

constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

// Another node, or the same one a little later, may do it: whether this try did is told by the
// command id. What has befallen the disk of the node that was asked says nothing of the proposal:
// it leads no longer than its log goes on.
bool worth_another_try(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotController:
    case ErrorCode::kNoController:
    case ErrorCode::kUnreachable:
    case ErrorCode::kConnectionLost:
    case ErrorCode::kTimedOut:
    case ErrorCode::kShuttingDown:
    case ErrorCode::kOverloaded:
    case ErrorCode::kStorageFailed:
    case ErrorCode::kDiskFull:
    case ErrorCode::kIo:
    case ErrorCode::kCorrupt:
    case ErrorCode::kDataLoss:
      return true;
    default:
      return false;
  }
}

}  // namespace

// Before a change of its state, and after it.
void ProposalRelay::unlist(std::uint64_t ticket, const Open& open) {
  tries_.erase({open.next_try_ms, ticket});
  deadlines_.erase({open.deadline_ms, ticket});
  answered_.erase({open.answer.version, ticket});
}

// What the controller has answered is done, and waited for as long as it takes to read it here; but
// not for ever. What the core has it answers itself.
void ProposalRelay::list(std::uint64_t ticket, const Open& open) {
  if (open.state == State::kWaiting) tries_.emplace(open.next_try_ms, ticket);
  if (open.state == State::kAnswered) answered_.emplace(open.answer.version, ticket);
  if (open.state != State::kWithCore && open.deadline_ms != kNever)
    deadlines_.emplace(open.deadline_ms, ticket);
}

void ProposalRelay::close(OpenAt at) {
  unlist(at->first, at->second);
  open_.erase(at);
}

void ProposalRelay::forget(std::uint64_t ticket) {
  if (const auto at = open_.find(ticket); at != open_.end()) close(at);
}

void ProposalRelay::hand_on(Proposal proposal, std::uint64_t now_ms) {
  const std::uint64_t ticket = proposal.ticket;
  const auto [at, is_new] = open_.try_emplace(ticket);
  Open& open = at->second;
  unlist(ticket, open);
  open.state = State::kWaiting;
  open.proposal = std::move(proposal);
  open.next_try_ms = is_new ? now_ms : now_ms + retry_ms_;  // again: the core could not, either
  if (is_new) {
    const bool lasting = std::erase(lasting_, ticket) != 0;
    open.deadline_ms = lasting ? kNever : now_ms + patience_ms_;
  }
  list(ticket, open);
}

void ProposalRelay::on_answer(std::uint64_t ticket, Result<ProposalAnswer> answer,
                              std::uint64_t now_ms) {
  const auto at = open_.find(ticket);
  if (at == open_.end() || at->second.state != State::kSent) return;
  Open& open = at->second;
  if (!answer && !worth_another_try(answer.error().code)) {
    refused_.push_back({.ticket = ticket, .status = std::unexpected(std::move(answer.error()))});
    return close(at);
  }
  unlist(ticket, open);
  if (answer) {
    open.state = State::kAnswered;
    open.answer = *answer;
  } else {
    open.state = State::kWaiting;
    // At once only where another node is named than the last time: two that name each other would
    // be asked for ever.
    const NodeId named = answer.error().node;
    const bool news = named != 0 && named != open.try_node;
    open.try_node = named;
    open.next_try_ms = news ? now_ms : now_ms + retry_ms_;
    open.last_error = std::move(answer.error());
  }
  list(ticket, open);
}

void ProposalRelay::on_leader_changed() {
  tries_.clear();
  for (auto& [ticket, open] : open_) {
    open.next_try_ms = 0;
    open.try_node = 0;
    if (open.state == State::kWaiting) tries_.emplace(0, ticket);
  }
}

void ProposalRelay::stop(const Error& reason) {
  for (auto& [ticket, open] : open_) {
    if (open.state == State::kWithCore) continue;  // the core answers
    refused_.push_back({.ticket = ticket, .status = std::unexpected(reason)});
  }
  open_.clear();
  tries_.clear();
  deadlines_.clear();
  answered_.clear();
}

void ProposalRelay::complete_answered(const std::shared_ptr<const Image>& image, Actions& actions) {
  while (!answered_.empty() && answered_.begin()->first <= image->position) {
    const auto at = open_.find(answered_.begin()->second);
    actions.completions.push_back(
        {.ticket = at->first, .status = {}, .result = at->second.answer.result, .image = image});
    close(at);
  }
}

void ProposalRelay::give_up(std::uint64_t now_ms, const std::shared_ptr<const Image>& image,
                            Actions& actions) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now_ms) {
    const auto at = open_.find(deadlines_.begin()->second);
    actions.completions.push_back(
        {.ticket = at->first, .status = std::unexpected(why_given_up(at->second)), .image = image});
    close(at);
  }
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
  unlist(ticket, open);
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
  list(ticket, open);
}

ProposalRelay::Actions ProposalRelay::turn(std::uint64_t now_ms, LogLeader leader,
                                           const std::shared_ptr<const Image>& image) {
  Actions actions;
  actions.completions = std::exchange(refused_, {});
  for (auto& completion : actions.completions) completion.image = image;
  complete_answered(image, actions);
  give_up(now_ms, image, actions);
  std::vector<std::uint64_t> due;
  for (const auto& [when_ms, ticket] : tries_) {
    if (when_ms > now_ms) break;
    due.push_back(ticket);
  }
  for (const std::uint64_t ticket : due) try_now(ticket, open_.at(ticket), now_ms, leader, actions);
  return actions;
}

}  // namespace andyx::server
