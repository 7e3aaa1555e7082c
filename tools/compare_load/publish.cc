#include "tools/compare_load/publish.h"

#include <algorithm>
#include <random>

#include "protocol/net/loop.h"
#include "tools/bench/workload/due_queue.h"

namespace andyx::compare {
namespace {

// Printable, and different from the next message: six bits of chance in each byte.
std::string make_payload(std::size_t size_bytes) {
  std::mt19937_64 random(1);
  std::string payload(size_bytes, ' ');
  for (char& c : payload) c = static_cast<char>('0' + random() % 64);
  return payload;
}

}  // namespace

Result<Published> publish(Peer& peer, const PublishOptions& options) {
  const std::string payload = make_payload(options.message_bytes);
  Connection& connection = peer.connection();
  Published published;
  bench::DueQueue sent_at;
  std::uint64_t sent = 0;
  const std::uint64_t begin_ns = net::monotonic_ns();
  std::uint64_t now_ns = begin_ns;
  std::uint64_t wanted = options.messages;
  while (published.messages < wanted) {
    const std::uint64_t most = std::min(wanted, published.messages + options.window);
    if (sent < most && !connection.out_is_full()) {
      while (sent < most && !connection.out_is_full()) {
        if (Status put = peer.put(payload); !put) return std::unexpected(put.error());
        sent_at.push(now_ns);
        ++sent;
      }
      if (sent == most) {
        if (Status sealed = peer.seal(); !sealed) return std::unexpected(sealed.error());
      }
    }
    // Waits for the peer only when there is nothing to be sent.
    if (Status done = connection.exchange(true); !done) return std::unexpected(done.error());
    const Result<std::uint64_t> acknowledged = peer.take_acknowledged();
    if (!acknowledged) return std::unexpected(acknowledged.error());
    now_ns = net::monotonic_ns();
    for (std::uint64_t i = 0; i < *acknowledged; ++i) {
      published.latency.add(now_ns - sent_at.pop());
    }
    published.messages += *acknowledged;
    const double elapsed_s = static_cast<double>(now_ns - begin_ns) / 1e9;
    if (options.seconds > 0 && elapsed_s >= options.seconds) wanted = std::min(wanted, sent);
  }
  published.elapsed_s = static_cast<double>(now_ns - begin_ns) / 1e9;
  return published;
}

}  // namespace andyx::compare
