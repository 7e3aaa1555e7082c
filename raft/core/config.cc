#include "raft/core/config.h"

namespace andyx::raft {

const char* invalid(const Config& config) {
  if (config.id == kNone) {
    return "cannot use none as id";
  }
  if (is_storage_thread(config.id)) {
    return "cannot use local target as id";
  }
  if (config.heartbeat_ticks == 0) {
    return "heartbeat tick must be greater than 0";
  }
  if (config.election_ticks <= config.heartbeat_ticks) {
    return "election tick must be greater than heartbeat tick";
  }
  if (config.storage == nullptr) {
    return "storage cannot be nil";
  }
  if (config.logger == nullptr || !config.draw) {
    return "logger and draw must be set";
  }
  if (config.max_inflight_appends == 0) {
    return "max inflight messages must be greater than 0";
  }
  if (config.max_inflight_bytes != 0 && config.max_inflight_bytes < config.max_append_bytes) {
    return "max inflight bytes must be >= max message size";
  }
  if (config.read_only == ReadOnly::kLease && !config.check_quorum) {
    return "CheckQuorum must be enabled when ReadOnlyOption is ReadOnlyLeaseBased";
  }
  return nullptr;
}

}  // namespace andyx::raft
