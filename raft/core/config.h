// How a core is set up, and what it calls.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "raft/core/log_storage.h"
#include "raft/core/types.h"

namespace andyx::raft {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarn, kError, kFatal };

// Lines for people. Called on the core's thread.
class Logger {
 public:
  virtual ~Logger() = default;
  virtual bool enabled(LogLevel level) const = 0;
  virtual void log(LogLevel level, std::string_view line) = 0;
  // The core found its own state impossible (a bug, or storage that lies). Must not return: a host
  // ends the process; a test may throw, after which the core must not be used again.
  [[noreturn]] virtual void panic(std::string_view line) = 0;
};

enum class ReadOnly : std::uint8_t {
  kSafe,   // each read index is confirmed by a round to a quorum
  kLease,  // by the leader's lease: needs check_quorum and clocks of bounded drift
};

struct Config {
  PeerId id = kNone;
  std::uint32_t election_ticks = 10;  // > heartbeat_ticks
  std::uint32_t heartbeat_ticks = 1;  // >= 1
  LogStorage* storage = nullptr;      // outlives the core
  Logger* logger = nullptr;           // outlives the core
  // The only randomness: a number in [0, bound). An election times out after election_ticks +
  // draw(election_ticks) ticks.
  std::function<std::uint32_t(std::uint32_t bound)> draw;
  Index applied = 0;  // at a restart: what the state machine has durably applied

  // Storage work travels as messages to kAppendThread and kApplyThread instead of by advance().
  // Messages to one thread are done in order; their responses are delivered afterwards. What a
  // kStorageAppend writes must be durable before its responses are delivered; where it has none, or
  // Ready::must_sync is false and there is no snapshot, those before it having been durable
  // suffices.
  bool async_storage_writes = false;

  std::uint64_t max_append_bytes = kNoLimit;  // of one kAppend; 0: one entry
  std::uint64_t max_applying_bytes = 0;       // handed out and not yet applied; 0: as above
  std::uint64_t max_uncommitted_bytes =
      kNoLimit;                                 // payload; a proposal over it is refused; 0: none
  std::uint32_t max_inflight_appends = 256;     // of one peer; >= 1
  std::uint64_t max_inflight_bytes = kNoLimit;  // of one peer, payload; 0: none

  bool check_quorum = false;
  bool pre_vote = false;
  ReadOnly read_only = ReadOnly::kSafe;
  bool forward_proposals = true;      // a follower passes proposals to its leader
  bool validate_conf_changes = true;  // when proposed; off only where something else orders them
  bool step_down_on_removal = false;  // also on demotion to learner
  // For transcripts of etcd's raft: leaves out what this core says and does beyond it on the wire
  // (ARCHITECTURE.md lists it: a removed peer's refusal tells what is committed, a snapshot waits
  // for entries being applied, a candidate for its own vote and term). Never in use.
  bool as_etcd = false;
};

// Nothing, or what is wrong with it.
const char* invalid(const Config& config);

}  // namespace andyx::raft
