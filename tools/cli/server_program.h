// Runs andyx-server in the place of this process: for what only the server may do, as work on a
// data directory.
#pragma once

#include <string>
#include <vector>

#include "protocol/base/error.h"

namespace andyx::cli {

// Looks for the program beside this one, where a build puts it, and in PATH. Returns only with an
// error: kIo, it cannot be run.
Error become_server(std::vector<std::string> arguments);

}  // namespace andyx::cli
