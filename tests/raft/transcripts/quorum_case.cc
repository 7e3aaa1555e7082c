// `committed` and `vote` on majorities and joint majorities.
#include <map>

#include "raft/core/quorum.h"
#include "tests/raft/transcripts/cases.h"

namespace andyx::raft::transcripts {

namespace {

std::string text(Index index) { return index == kEverything ? "∞" : std::to_string(index); }

const char* text(VoteResult result) {
  switch (result) {
    case VoteResult::kPending:
      return "VotePending";
    case VoteResult::kLost:
      return "VoteLost";
    case VoteResult::kWon:
      return "VoteWon";
  }
  return "?";
}

struct Voters {
  JointVoters joint;
  bool is_joint = false;
  std::vector<PeerId> in_order;  // distinct, of cfg, then of cfgj
};

Voters parse_voters(const Directive& directive) {
  Voters voters;
  const auto add = [&](const Argument& argument, PeerSet& to) {
    for (const std::string& value : argument.values) {
      const PeerId peer = number(value);
      if (std::ranges::find(voters.in_order, peer) == voters.in_order.end()) {
        voters.in_order.push_back(peer);
      }
      to.insert(peer);
    }
  };
  if (const Argument* cfg = directive.find("cfg")) {
    add(*cfg, voters.joint.incoming);
  }
  if (const Argument* cfgj = directive.find("cfgj")) {
    voters.is_joint = true;
    if (cfgj->values != std::vector<std::string>{"zero"}) {
      add(*cfgj, voters.joint.outgoing);
    }
  }
  return voters;
}

// The i-th largest index has a bar of i; equal indexes have equal bars.
std::string describe(const PeerSet& voters, const std::map<PeerId, Index>& acked) {
  const std::size_t count = voters.size();
  if (count == 0) {
    return "<empty majority quorum>";
  }
  const auto index_of = [&](PeerId peer) {
    const auto at = acked.find(peer);
    return at == acked.end() ? Index{0} : at->second;
  };
  std::string out = std::string(count, ' ') + "    idx\n";
  for (const PeerId peer : voters) {
    const Index index = index_of(peer);
    std::size_t bar = 0;
    for (const PeerId other : voters) {
      bar += index_of(other) < index ? 1 : 0;
    }
    out += acked.contains(peer) ? std::string(bar, 'x') + ">" + std::string(count - bar, ' ')
                                : "?" + std::string(count, ' ');
    const std::string digits = std::to_string(index);
    out += " " + std::string(digits.size() < 5 ? 5 - digits.size() : 0, ' ') + digits;
    char id[17];
    std::snprintf(id, sizeof(id), "%llx", static_cast<unsigned long long>(peer));
    out += std::string("    (id=") + id + ")\n";
  }
  return out;
}

class QuorumCase final : public Case {
 public:
  std::string run(const Directive& directive) override {
    const Voters voters = parse_voters(directive);
    const bool committed = directive.command == "committed";
    if (!committed && directive.command != "vote") {
      throw BadDirective{"unknown command"};
    }
    const Argument* const given = directive.find(committed ? "idx" : "votes");
    const std::vector<std::string> values = given ? given->values : std::vector<std::string>{};
    if (values.size() != voters.in_order.size()) {
      return "error: mismatched input (explicit or _) for voters\n";
    }
    return committed ? run_committed(voters, values) : run_vote(voters, values);
  }

 private:
  static std::string run_committed(const Voters& voters, const std::vector<std::string>& values) {
    std::map<PeerId, Index> acked;
    for (std::size_t at = 0; at < values.size(); at++) {
      if (values[at] != "_") {
        acked[voters.in_order[at]] = number(values[at]);
      }
    }
    const AckedIndex look_up = [&](PeerId peer) {
      const auto at = acked.find(peer);
      return at == acked.end() ? std::nullopt : std::optional(at->second);
    };
    const JointVoters swapped{.incoming = voters.joint.outgoing, .outgoing = voters.joint.incoming};
    const Index index = committed_index(voters.joint, look_up);
    std::string out = describe(voters.is_joint ? voters.joint.all() : voters.joint.incoming, acked);
    if (const Index other = committed_index(swapped, look_up); other != index) {
      out += text(other) + " <-- via symmetry\n";
    }
    return out + text(index) + "\n";
  }

  static std::string run_vote(const Voters& voters, const std::vector<std::string>& values) {
    std::map<PeerId, bool> votes;
    for (std::size_t at = 0; at < values.size(); at++) {
      if (values[at] == "y" || values[at] == "n") {
        votes[voters.in_order[at]] = values[at] == "y";
      } else if (values[at] != "_") {
        throw BadDirective{"unknown vote: " + values[at]};
      }
    }
    const CastVote look_up = [&](PeerId peer) {
      const auto at = votes.find(peer);
      return at == votes.end() ? std::nullopt : std::optional(at->second);
    };
    const JointVoters swapped{.incoming = voters.joint.outgoing, .outgoing = voters.joint.incoming};
    const VoteResult result = vote_result(voters.joint, look_up);
    std::string out;
    if (const VoteResult other = vote_result(swapped, look_up); other != result) {
      out += std::string(text(other)) + " <-- via symmetry\n";
    }
    return out + text(result) + "\n";
  }
};

}  // namespace

std::unique_ptr<Case> make_quorum_case() { return std::make_unique<QuorumCase>(); }

}  // namespace andyx::raft::transcripts
