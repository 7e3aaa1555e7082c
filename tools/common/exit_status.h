// Exit statuses that scripts rely on, and how an error becomes one. Any thread.
#pragma once

#include <string_view>

#include "protocol/base/error.h"

namespace andyx::tools {

enum ExitStatus : int {
  kDone = 0,
  kWrongUsage = 1,    // arguments, or a local file that cannot be read or written
  kNotReachable = 2,  // no server answered at start (within 5 s)
  kRefused = 3,       // by the server; its code and remedy are on stderr
  kTimedOut = 4,      // no progress within --timeout, or idle before --count
};

// How an error of connecting ends the program: a bad address is wrong usage, silence is not
// reachable.
ExitStatus exit_status_of_start(const Error& error);
// How an error that came later does: a connection that stays lost is a timeout.
ExitStatus exit_status_of(const Error& error);

// "andyx-cli: 21 unknown_topic: topic 'a' does not exist" and, on its own line, the remedy, to
// stderr.
void print_error(std::string_view program, const Error& error);

}  // namespace andyx::tools
