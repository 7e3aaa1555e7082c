// The front door: one client that knows one address only, passed on to the nodes that its frames
// are for. A connection of its own to each of them, over which only this client's frames flow: so
// correlation ids, stream numbers and credits stay the client's, and the order of each producer and
// partition is the order of TCP. Keeps no request, answers none that was sent, retries nothing:
// when a connection to a node breaks, so does the client's, which then asks again by itself. Frames
// for a node that could not be reached are refused as not stored.
//
// Thread: the loop of the client's connection. Owned by ClientConnection.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "frame_generated.h"
#include "protocol/base/error.h"
#include "protocol/base/ids.h"
#include "protocol/base/shared_bytes.h"
#include "protocol/net/tcp.h"

namespace andyx::server {

class ClientConnection;

class Relay {
 public:
  Relay(ClientConnection& client, std::string client_name);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  // A frame of the client; `root` is verified and points into it.
  void on_frame(const protocol::Frame& root, SharedBytes frame);
  // The client's socket takes what it is sent, or not: the nodes are read from, or not.
  void client_takes(bool takes);
  // A node's socket has a full queue: nothing more is to be read from the client.
  bool congested() const { return congested_ > 0; }
  void turn_ended();  // of the loop: lets go of connections that ended in it

 private:
  class Upstream;

  Upstream* upstream(NodeId node);
  void to_node(NodeId node, const protocol::Frame& root, SharedBytes frame);
  void to_all(const protocol::Frame& root, SharedBytes frame);
  void refuse(const protocol::Frame& root, const Error& error);
  NodeId any_broker();

  void from_node(Upstream& upstream, SharedBytes frame);
  void lost(Upstream& upstream, const Error& reason);
  void unreachable(Upstream& upstream, const Error& reason);
  void set_congested(Upstream& upstream, bool congested);

  ClientConnection& client_;
  const std::string client_name_;
  NodeId control_ = 0;  // where frames go that any broker answers
  std::map<NodeId, std::unique_ptr<Upstream>> upstreams_;
  std::vector<std::unique_ptr<Upstream>> ended_;  // until the end of the loop's turn
  std::unordered_map<std::uint32_t, NodeId> streams_;
  std::uint32_t congested_ = 0;
  bool client_takes_ = true;
};

}  // namespace andyx::server
