// andyx-server metadata restore|force-recover: work on the data directory of a node that is
// stopped. andyx-cli metadata passes these on, because what lies in that directory is the server's.
#pragma once

namespace andyx::server {

inline constexpr int kRefusedStatus = 3;  // as andyx-cli's: the error and its remedy are on stderr

// `argv` after "metadata". Prints what was done. The status to exit with.
int run_metadata_command(int argc, const char* const* argv);

}  // namespace andyx::server
