// One connection through the proxy: two sockets, and the bytes on their way between them. Used by
// the proxy's thread.
#pragma once

#include <poll.h>

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "tests/fault/cluster/cut_proxy.h"

namespace andyx::test::fault {

class ProxyConnection {
 public:
  // Takes the accepted socket. `target`: where the node behind the door listens.
  ProxyConnection(int dialer_fd, NodeId node, net::Address target);
  ~ProxyConnection();
  ProxyConnection(const ProxyConnection&) = delete;
  ProxyConnection& operator=(const ProxyConnection&) = delete;

  using LinkOf = std::function<LinkState(NodeId from, NodeId to)>;
  // Does all that can be done now; false when the connection has ended.
  bool work(const LinkOf& link_of, std::uint64_t now_ms);
  // What to poll for before work() is worth a call again.
  void wait_for(std::vector<pollfd>& fds, std::uint64_t now_ms, std::uint64_t& wake_ms) const;

 private:
  struct Chunk {
    std::uint64_t due_ms = 0;
    std::vector<std::uint8_t> bytes;
    std::size_t sent = 0;
  };
  struct Pipe {  // from one socket to the other
    LinkState state;
    std::deque<Chunk> chunks;
    std::size_t buffered = 0;
    bool ended = false;            // nothing more comes
    bool end_sent = false;         // and the other side knows
    std::uint64_t read_at_ms = 0;  // not before, by the limit of bytes
  };
  enum class Phase : std::uint8_t { kUnknown, kDialing, kOpen };

  void identify();
  bool dial();
  bool finish_dial();
  bool pull(Pipe& pipe, int from, std::uint64_t now_ms);  // false: reset
  bool push(Pipe& pipe, int to, std::uint64_t now_ms);
  bool wants_bytes(const Pipe& pipe) const;
  void reset();

  const NodeId node_;
  const net::Address target_;
  std::optional<NodeId> dialer_;
  Phase phase_ = Phase::kUnknown;
  int dialer_fd_, target_fd_ = -1;
  Pipe up_, down_;  // from the dialer, to it
};

}  // namespace andyx::test::fault
