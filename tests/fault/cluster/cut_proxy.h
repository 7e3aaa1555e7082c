// Stands before every node, at the address that the node advertises, and knows from the first frame
// of a connection (Hello, PeerHello) which node has dialled: so each direction between two nodes
// can be cut, slowed or closed by itself. A cut is silent: connections stay open, connects succeed,
// bytes wait, as after packets that are lost; they arrive when the cut heals.
//
// One thread of its own; the calls are for any thread and take effect at once for bytes that have
// not been passed on yet.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/net/tcp.h"

namespace andyx::test::fault {

inline constexpr NodeId kClients = 0;  // who dials and is no node

// One direction.
struct LinkState {
  enum class Flow : std::uint8_t {
    kOpen,
    kHeld,    // silent
    kClosed,  // connections of the pair are reset, new ones as well
  };
  Flow flow = Flow::kOpen;
  std::uint32_t delay_ms = 0;
  std::uint64_t bytes_per_s = 0;  // of each connection; 0: no limit
};

class ProxyConnection;

class CutProxy {
 public:
  struct Door {
    NodeId node = 0;      // who is behind it
    net::Address listen;  // numbers only, as the next
    net::Address target;
  };
  // Listens on every door. kAddressInUse, kIo.
  static Result<std::unique_ptr<CutProxy>> start(std::vector<Door> doors);
  ~CutProxy();  // closes everything

  void set(NodeId from, NodeId to, LinkState state);
  void heal();                                  // every link is open
  void renumber(NodeId before, NodeId behind);  // another node is behind the doors of one

 private:
  friend class ProxyConnection;
  struct Listening {
    Door door;
    int fd = -1;
  };
  using Links = std::map<std::pair<NodeId, NodeId>, LinkState>;  // absent: open

  CutProxy(std::vector<Listening> doors, int wake_fd);
  void run();
  bool turn();  // false: stop
  void accept_all(const Listening& door);
  void wake();

  std::vector<Listening> doors_;  // `node` under the mutex
  const int wake_fd_;
  std::mutex mutex_;
  Links links_;
  bool stopping_ = false;

  // The thread's own.
  std::vector<std::unique_ptr<ProxyConnection>> connections_;
  std::thread thread_;
};

}  // namespace andyx::test::fault
