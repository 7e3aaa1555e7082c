// What this machine could do at most: batches over loopback TCP from a sender thread to a receiver,
// which appends what has arrived to a raw file, calls fdatasync once and acknowledges. The same
// batch size and the same window as a producer, and no features: no parsing, no checksum, no index,
// no second copy. Blocks the calling thread, which receives and writes; starts one more, which
// sends.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "protocol/base/error.h"
#include "tools/bench/histogram.h"

namespace andyx::bench {

struct LimitOptions {
  std::string directory = ".";  // where the file is written; it is removed at the end
  std::uint64_t message_bytes = 100;
  std::uint64_t batch_bytes = 64 * 1024;
  std::uint64_t window_bytes = 4 * 1024 * 1024;  // sent and not yet acknowledged
  std::uint64_t messages = 0;                    // 0: until `seconds` have passed
  double seconds = 5;                            // with messages: what is over first
  double rate = 0;                               // messages/s; 0: as fast as the window allows
  bool sync = true;                              // fdatasync before each acknowledgement
  bool to_disk = true;                           // else nothing is written: loopback TCP alone
  double write_factor = 1;                       // bytes written for each byte received; at least 1
  std::function<void(std::uint64_t acked_bytes)> on_progress;  // called after each acknowledgement
};

struct LimitResult {
  std::uint64_t messages = 0;  // whole messages that were acknowledged
  std::uint64_t bytes = 0;     // of these messages
  std::uint64_t batches = 0;
  std::uint64_t syncs = 0;
  std::uint64_t written_bytes = 0;  // to the file
  double elapsed_s = 0;             // first send to last acknowledgement
  // With a rate: of each message from when it was due. Else, where the window holds one batch: of
  // each batch from its send. To the acknowledgement.
  Histogram latency;
};

// kIo (the directory, the file, the socket), kDiskFull, kBadArgument.
Result<LimitResult> run_limit(const LimitOptions& options);

}  // namespace andyx::bench
