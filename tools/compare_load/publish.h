// Publishing to a peer with a window of unacknowledged messages, and what came of it. One thread.
#pragma once

#include <cstdint>

#include "tools/bench/histogram.h"
#include "tools/compare_load/peer.h"

namespace andyx::compare {

struct PublishOptions {
  std::uint64_t messages = 0;
  std::size_t message_bytes = 100;
  std::uint64_t window = 10'000;  // sent and not acknowledged; 1: one at a time
  double seconds = 0;             // over 0: ends then at the latest
};

struct Published {
  std::uint64_t messages = 0;  // acknowledged
  double elapsed_s = 0;        // first send to last acknowledgement
  bench::Histogram latency;    // send to acknowledgement
};

Result<Published> publish(Peer& peer, const PublishOptions& options);

}  // namespace andyx::compare
