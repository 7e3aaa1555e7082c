#include "raft/core/describe.h"

#include <array>
#include <utility>

#include "raft/core/log_line.h"

namespace andyx::raft {

namespace {

constexpr std::array<const char*, 24> kMessageNames = {"MsgHup",
                                                       "MsgBeat",
                                                       "MsgProp",
                                                       "MsgApp",
                                                       "MsgAppResp",
                                                       "MsgVote",
                                                       "MsgVoteResp",
                                                       "MsgSnap",
                                                       "MsgHeartbeat",
                                                       "MsgHeartbeatResp",
                                                       "MsgUnreachable",
                                                       "MsgSnapStatus",
                                                       "MsgCheckQuorum",
                                                       "MsgTransferLeader",
                                                       "MsgTimeoutNow",
                                                       "MsgReadIndex",
                                                       "MsgReadIndexResp",
                                                       "MsgPreVote",
                                                       "MsgPreVoteResp",
                                                       "MsgStorageAppend",
                                                       "MsgStorageAppendResp",
                                                       "MsgStorageApply",
                                                       "MsgStorageApplyResp",
                                                       "MsgForgetLeader"};

std::string target(PeerId id) {
  switch (id) {
    case kNone:
      return "None";
    case kAppendThread:
      return "AppendThread";
    case kApplyThread:
      return "ApplyThread";
    default:
      return concat(Hex{id});
  }
}

std::string bracketed(const std::vector<PeerId>& peers) {
  std::string out = "[";
  for (const PeerId peer : peers) {
    out += (out.size() > 1 ? " " : "") + std::to_string(peer);
  }
  return out + "]";
}

const char* text(EntryType type) {
  switch (type) {
    case EntryType::kNormal:
      return "EntryNormal";
    case EntryType::kConfChange:
      return "EntryConfChange";
    case EntryType::kConfChangeV2:
      return "EntryConfChangeV2";
  }
  return "?";
}

void append_message(std::string& out, const Message& message, const std::string& indent) {
  out += concat(indent, target(message.from), "->", target(message.to), " ", text(message.type),
                " Term:", message.term, " Log:", message.log_term, "/", message.index);
  if (message.reject) {
    out += concat(" Rejected (Hint: ", message.reject_hint, ")");
  }
  if (message.commit != 0) {
    out += concat(" Commit:", message.commit);
  }
  if (message.vote != kNone) {
    out += concat(" Vote:", message.vote);
  }
  if (message.entries.size() == 1) {
    out += " Entries:[" + describe(message.entries[0]) + "]";
  } else if (!message.entries.empty()) {
    out += " Entries:[";
    for (const Entry& entry : message.entries) {
      out += "\n" + indent + "  " + describe(entry);
    }
    out += "\n" + indent + "]";
  }
  if (message.snapshot && message.snapshot->meta.index != 0) {
    out += "\n" + indent + "  Snapshot: " + describe(message.snapshot->meta);
  }
  if (!message.responses.empty()) {
    out += " Responses:[";
    for (const Message& response : message.responses) {
      out += "\n";
      append_message(out, response, indent + "  ");
    }
    out += "\n" + indent + "]";
  }
}

}  // namespace

const char* text(Role role) {
  switch (role) {
    case Role::kFollower:
      return "StateFollower";
    case Role::kCandidate:
      return "StateCandidate";
    case Role::kLeader:
      return "StateLeader";
    case Role::kPreCandidate:
      return "StatePreCandidate";
  }
  return "?";
}

const char* text(MessageType type) { return kMessageNames.at(std::to_underlying(type)); }

std::string describe(const PeerSet& peers) {
  std::string out = "(";
  for (const PeerId peer : peers) {
    out += concat(out.size() > 1 ? " " : "", Hex{peer});
  }
  return out + ")";
}

std::string describe(const ConfState& conf) {
  return concat(
      "Voters:", bracketed(conf.voters), " VotersOutgoing:", bracketed(conf.voters_outgoing),
      " Learners:", bracketed(conf.learners), " LearnersNext:", bracketed(conf.learners_next),
      " AutoLeave:", conf.auto_leave ? "true" : "false");
}

std::string describe(const HardState& hard) {
  std::string out = concat("Term:", hard.term);
  if (hard.vote != kNone) {
    out += concat(" Vote:", hard.vote);
  }
  return out + concat(" Commit:", hard.commit);
}

std::string describe(const SoftState& soft) {
  return concat("Lead:", soft.leader, " State:", text(soft.role));
}

std::string describe(const SnapshotMeta& meta) {
  return concat("Index:", meta.index, " Term:", meta.term, " ConfState:", describe(meta.conf));
}

std::string describe(const ConfChange& change) {
  constexpr std::array<const char*, 3> kTransitions = {"ConfChangeTransitionAuto",
                                                       "ConfChangeTransitionJointImplicit",
                                                       "ConfChangeTransitionJointExplicit"};
  constexpr std::array<const char*, 4> kTypes = {"ConfChangeAddNode", "ConfChangeRemoveNode",
                                                 "ConfChangeUpdateNode",
                                                 "ConfChangeAddLearnerNode"};
  std::string out = concat("transition:", kTransitions.at(std::to_underlying(change.transition)));
  for (const ConfChangeSingle& single : change.changes) {
    out += concat(" changes:{type:", kTypes.at(std::to_underlying(single.type)),
                  " node_id:", single.peer, "}");
  }
  return out;
}

std::string describe_changes(const ConfChange& change) {
  constexpr std::array<char, 4> kLetters = {'v', 'r', 'u', 'l'};
  std::string out;
  for (const ConfChangeSingle& single : change.changes) {
    out += out.empty() ? "" : " ";
    out += kLetters.at(std::to_underlying(single.type));
    out += std::to_string(single.peer);
  }
  return out;
}

std::string quoted(ByteSpan bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out = "\"";
  for (const std::uint8_t byte : bytes) {
    const char letter = static_cast<char>(byte);
    if (letter == '"' || letter == '\\') {
      out += '\\';
      out += letter;
    } else if (letter == '\n') {
      out += "\\n";
    } else if (letter == '\t') {
      out += "\\t";
    } else if (letter == '\r') {
      out += "\\r";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\x";
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    } else {
      out += letter;
    }
  }
  return out + "\"";
}

std::string describe(const Entry& entry) {
  std::string content;
  if (entry.type == EntryType::kNormal) {
    content = quoted(entry.data.span());
  } else if (ConfChange change; decode(entry.type, entry.data.span(), change)) {
    content = describe_changes(change);
  } else {
    content = "(damaged)";
  }
  std::string out = concat(entry.term, "/", entry.index, " ", text(entry.type));
  return content.empty() ? out : out + " " + content;
}

std::string describe(const Message& message) {
  std::string out;
  append_message(out, message, "");
  return out;
}

std::string describe(const Ready& ready) {
  std::string out;
  if (ready.soft_state) {
    out += describe(*ready.soft_state) + "\n";
  }
  if (ready.hard_state && !ready.hard_state->empty()) {
    out += "HardState " + describe(*ready.hard_state) + "\n";
  }
  if (!ready.read_states.empty()) {
    std::string states;
    for (const ReadState& state : ready.read_states) {
      states += concat(states.empty() ? "" : " ", "{", state.index, " ", state.context, "}");
    }
    out += "ReadStates [" + states + "]\n";
  }
  const auto add_entries = [&](const char* title, const std::vector<Entry>& entries) {
    if (!entries.empty()) {
      out += title;
    }
    for (const Entry& entry : entries) {
      out += describe(entry) + "\n";
    }
  };
  add_entries("Entries:\n", ready.entries);
  if (ready.snapshot && ready.snapshot->meta.index != 0) {
    out += "Snapshot " + describe(ready.snapshot->meta) + "\n";
  }
  add_entries("CommittedEntries:\n", ready.committed);
  if (!ready.messages.empty()) {
    out += "Messages:\n";
  }
  for (const Message& message : ready.messages) {
    out += describe(message) + "\n";
  }
  if (out.empty()) {
    return "<empty Ready>";
  }
  return concat("Ready MustSync=", ready.must_sync ? "true" : "false", ":\n") + out;
}

}  // namespace andyx::raft
