#include "tests/sim/machine.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

namespace andyx::raft::sim {

namespace {

struct CommandBytes {
  std::uint64_t magic = 0;
  Command command;
};
constexpr std::uint64_t kMagic = 0x616e6479782d7369;

}  // namespace

SharedBytes encode(const Command& command, std::size_t padding_bytes) {
  const CommandBytes bytes{kMagic, command};
  SharedBytes out = SharedBytes::allocate(sizeof bytes + padding_bytes);
  std::memcpy(out.mutable_data(), &bytes, sizeof bytes);
  std::memset(out.mutable_data() + sizeof bytes, 0, padding_bytes);
  return out;
}

std::optional<Command> decode_command(ByteSpan bytes) {
  CommandBytes found;
  if (bytes.size() < sizeof found) {
    return std::nullopt;
  }
  std::memcpy(&found, bytes.data(), sizeof found);
  if (found.magic != kMagic || found.command.client >= kMaxClients || found.command.key >= kKeys) {
    return std::nullopt;
  }
  return found.command;
}

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
  return hash ^ (hash >> 29);
}

std::uint64_t hash_of(const Entry& entry) {
  std::uint64_t hash = mix(entry.data.size() + 1, std::to_underlying(entry.type));
  const std::uint8_t* at = entry.data.data();
  std::size_t left = entry.data.size();
  for (; left >= 8; left -= 8, at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, 8);
    hash = mix(hash, word);
  }
  for (; left > 0; left--, at++) {
    hash = mix(hash, *at);
  }
  return hash;
}

std::uint64_t hash_of(const ConfState& conf) {
  std::uint64_t hash = conf.auto_leave ? 3 : 1;
  const auto add = [&hash](const std::vector<PeerId>& ids) {
    hash = mix(hash, ids.size());
    for (const PeerId id : ids) {
      hash = mix(hash, id);
    }
  };
  add(conf.voters);
  add(conf.voters_outgoing);
  add(conf.learners);
  add(conf.learners_next);
  return hash | 1;
}

bool Machine::apply(const Entry& entry) {
  values_.applied = entry.index;
  values_.chain = mix(mix(mix(values_.chain, entry.index), entry.term), hash_of(entry));
  if (entry.type != EntryType::kNormal) {
    return false;
  }
  const std::optional<Command> command = decode_command(entry.data.span());
  if (!command || command->sequence <= values_.clients[command->client].sequence) {
    return false;
  }
  std::uint64_t& value = values_.keys[command->key];
  Outcome& outcome = values_.clients[command->client];
  outcome = {.sequence = command->sequence,
             .ok = command->op == Op::kPut || value == command->expected,
             .seen = value,
             .index = entry.index};
  if (outcome.ok) {
    value = command->value;
  }
  return true;
}

bool fits(const ConfState& conf, const ConfChange& change) {
  const bool joint = !conf.voters_outgoing.empty();
  if (change.leaves_joint()) {
    return joint;
  }
  std::vector<PeerId> voters = conf.voters;
  for (const ConfChangeSingle& single : change.changes) {
    if (single.type == ConfChangeType::kUpdate || single.peer == kNone) {
      continue;
    }
    std::erase(voters, single.peer);
    if (single.type == ConfChangeType::kAddVoter) {
      voters.push_back(single.peer);
    }
  }
  return !joint && !voters.empty();
}

bool Machine::accepts(const ConfState& conf, const ConfChange& change) const {
  return fits(conf, change) &&
         (change.context.empty() || change.context == std::to_string(values_.conf_version));
}

SharedBytes Machine::save() const {
  SharedBytes out = SharedBytes::allocate(sizeof values_);
  std::memcpy(out.mutable_data(), &values_, sizeof values_);
  return out;
}

bool Machine::load(ByteSpan bytes) {
  if (bytes.size() != sizeof values_) {
    return false;
  }
  std::memcpy(&values_, bytes.data(), sizeof values_);
  return true;
}

}  // namespace andyx::raft::sim
