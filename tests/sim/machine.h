// The replicated state machine: a few registers with compare-and-set, as the cluster's metadata
// has, with commands told apart by (client, sequence) so that a retry is applied once.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "raft/core/types.h"

namespace andyx::raft::sim {

inline constexpr std::size_t kKeys = 6;
inline constexpr std::size_t kMaxClients = 8;

enum class Op : std::uint32_t { kPut, kCompareAndSet };

struct Command {
  std::uint32_t client = 0;    // below kMaxClients, or kProbeClient
  std::uint32_t sequence = 0;  // from 1, rising for each client
  Op op = Op::kPut;
  std::uint32_t key = 0;
  std::uint64_t expected = 0;
  std::uint64_t value = 0;
};
inline constexpr std::uint32_t kProbeClient = kMaxClients - 1;  // of the liveness check at the end

SharedBytes encode(const Command& command, std::size_t padding_bytes);
std::optional<Command> decode_command(ByteSpan bytes);

// What a client's newest command did.
struct Outcome {
  std::uint32_t sequence = 0;
  bool ok = false;         // the value was set
  std::uint64_t seen = 0;  // the value before
  Index index = 0;         // where in the log it took effect
};

// Says whether the membership can follow `change`; a state machine must reject what the core could
// not apply. With a version in the change's context (Options::validate off) it also has to be the
// machine's, which orders changes that nobody else orders.
bool fits(const ConfState& conf, const ConfChange& change);

class Machine {
 public:
  Index applied() const { return values_.applied; }
  std::uint64_t chain() const { return values_.chain; }  // hash over everything that was applied
  std::uint64_t value(std::size_t key) const { return values_.keys[key]; }
  const Outcome& outcome(std::uint32_t client) const { return values_.clients[client]; }
  std::uint64_t conf_version() const { return values_.conf_version; }

  // Entries in order. True: a command took effect (not a duplicate).
  bool apply(const Entry& entry);
  // The change at entry `applied()` is to be followed.
  bool accepts(const ConfState& conf, const ConfChange& change) const;
  void conf_changed() { values_.conf_version++; }

  SharedBytes save() const;
  bool load(ByteSpan bytes);
  void set_start(Index index) { values_.applied = index; }  // of a new group
  // For the bug of that name: the state goes on, its position does not.
  void forget_position(Index index) { values_.applied = index; }

 private:
  struct Values {
    Index applied = 0;
    std::uint64_t chain = 0;
    std::uint64_t conf_version = 0;
    std::array<std::uint64_t, kKeys> keys{};
    std::array<Outcome, kMaxClients> clients{};
  };
  Values values_;
};

// Of an entry's content: what two nodes must agree on.
std::uint64_t hash_of(const Entry& entry);
std::uint64_t hash_of(const ConfState& conf);  // never 0
std::uint64_t mix(std::uint64_t hash, std::uint64_t value);

}  // namespace andyx::raft::sim
