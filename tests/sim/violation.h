// How a run ends when an invariant is broken. An exception, because it may have to pass through the
// core (Logger::panic must not return); it never leaves run_seed().
#pragma once

#include <string>

namespace andyx::raft::sim {

struct Violation {
  std::string invariant;  // its short name, as in tables
  std::string detail;
};

[[noreturn]] inline void violated(std::string invariant, std::string detail) {
  throw Violation{std::move(invariant), std::move(detail)};
}

}  // namespace andyx::raft::sim
