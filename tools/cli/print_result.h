// How a command that asks once shows its answer.
#pragma once

#include <unistd.h>

#include <string>

#include "tools/cli/session.h"
#include "tools/common/output.h"

namespace andyx::cli {

inline Outcome print(std::string text) {
  tools::Output output(STDOUT_FILENO);
  output.buffer() = std::move(text);
  if (Status flushed = output.flush(); !flushed) return std::unexpected(flushed.error());
  return tools::kDone;
}

// Prints what came, as JSON or as a table; or hands the error on.
template <typename Value>
Outcome show(const Session& session, const Result<Value>& value, std::string (*json)(const Value&),
             std::string (*table)(const Value&)) {
  if (!value) return std::unexpected(value.error());
  return print(session.json() ? json(*value) : table(*value));
}

}  // namespace andyx::cli
