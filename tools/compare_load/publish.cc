#include "tools/compare_load/publish.h"

#include <algorithm>
#include <random>
#include <thread>
#include <vector>

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

Result<Published> publish_over(Peer& peer, const PublishOptions& options,
                               const Deadline& deadline) {
  const std::string payload = make_payload(options.message_bytes);
  Connection& connection = peer.connection();
  Published published;
  bench::DueQueue sent_at;
  std::uint64_t sent = 0;
  std::uint64_t now_ns = net::monotonic_ns();
  std::uint64_t wanted = options.messages;
  while (published.messages < wanted) {
    if (sent < wanted && deadline.over(now_ns)) {
      wanted = sent;
      if (Status sealed = peer.seal(); !sealed) return std::unexpected(sealed.error());
      if (published.messages == wanted) break;
    }
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
  }
  return published;
}

// Part `index` of `count` parts of `whole`; the first ones take what is left over.
std::uint64_t part(std::uint64_t whole, std::uint32_t index, std::uint32_t count) {
  return whole / count + (index < whole % count ? 1 : 0);
}

}  // namespace

Result<Published> publish(const OpenPeer& open, const PublishOptions& options) {
  std::vector<std::unique_ptr<Peer>> peers;
  for (std::uint32_t i = 0; i < options.connections; ++i) {
    auto peer = open();
    if (!peer) return std::unexpected(peer.error());
    peers.push_back(std::move(*peer));
  }
  std::vector<Result<Published>> parts(peers.size());
  const Deadline deadline(options.seconds);
  const std::uint64_t begin_ns = net::monotonic_ns();
  {
    std::vector<std::jthread> threads;
    for (std::uint32_t i = 0; i < peers.size(); ++i) {
      threads.emplace_back([&, i] {
        PublishOptions own = options;
        own.messages = part(options.messages, i, options.connections);
        own.window = std::max<std::uint64_t>(part(options.window, i, options.connections), 1);
        parts[i] = publish_over(*peers[i], own, deadline);
      });
    }
  }
  Published all;
  all.elapsed_s = static_cast<double>(net::monotonic_ns() - begin_ns) / 1e9;
  for (const Result<Published>& one : parts) {
    if (!one) return std::unexpected(one.error());
    all.messages += one->messages;
    all.latency.merge(one->latency);
  }
  return all;
}

}  // namespace andyx::compare
