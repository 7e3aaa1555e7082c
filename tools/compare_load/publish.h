// Publishing to a peer with a window of unacknowledged messages, and what came of it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "tools/bench/histogram.h"
#include "tools/compare_load/peer.h"

namespace andyx::compare {

struct PublishOptions {
  std::uint64_t messages = 0;
  double seconds = 0;  // nothing more is sent after them; 0: until `messages` are
  std::size_t message_bytes = 100;
  std::uint64_t window = 10'000;  // sent and not acknowledged; 1: one at a time
  std::uint32_t connections = 1;  // each with a thread, and a part of the messages and the window
};

struct Published {
  std::uint64_t messages = 0;  // acknowledged
  double elapsed_s = 0;        // first send to last acknowledgement
  bench::Histogram latency;    // send to acknowledgement
};

using OpenPeer = std::function<Result<std::unique_ptr<Peer>>()>;

// To a stream that is there. The first error ends one connection, and is what comes of it all.
Result<Published> publish(const OpenPeer& open, const PublishOptions& options);

}  // namespace andyx::compare
