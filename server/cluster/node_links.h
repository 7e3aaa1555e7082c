// Connections from this node to the other nodes of its cluster: one for each pair of a loop here
// and a node there, to the port that clients use. Each says a hello that names this node; connects
// when first needed, keeps alive, comes back with back-off.
//
// Owned by one loop (each CoreLoop has one, the control loop has one); every call and callback on
// its thread. A callback may not destroy the links.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "frame_generated.h"
#include "protocol/base/error.h"
#include "protocol/base/shared_bytes.h"
#include "protocol/frame/frame_writer.h"
#include "protocol/net/loop.h"
#include "protocol/net/tcp.h"
#include "server/metadata/image.h"

namespace andyx::server {

// A verified frame that is no ErrorReply. `frame` points into `bytes`.
struct NodeFrame {
  SharedBytes bytes;
  const protocol::Frame* frame = nullptr;
};

struct NodeLinksOptions {
  NodeId self = 0;
  std::uint64_t incarnation = 0;
  std::uint32_t connect_timeout_ms = 1'000;
  std::uint32_t backoff_min_ms = 20, backoff_max_ms = 500;
  std::uint32_t keep_alive_ms =
      500;  // a ping when nothing was sent; silent for three times as long: closed
};

class NodeLinks {
 public:
  // A link is down: what was sent may be lost, what was pushed may be missing.
  class Events {
   public:
    // A frame with correlation id 0, as ReplicaAnswer.
    virtual void on_push(NodeId from, NodeFrame frame) = 0;
    virtual void on_up(NodeId node) = 0;
    virtual void on_down(NodeId node, const Error& reason) = 0;

   protected:
    ~Events() = default;
  };

  static std::unique_ptr<NodeLinks> create(net::Loop& loop, NodeLinksOptions options,
                                           Events* events = nullptr);  // may be null; not owned
  virtual ~NodeLinks() = default;  // closes; open calls are answered kShuttingDown

  // Where the nodes are, and which cluster they belong to: a node that says another cluster id,
  // node id or an older incarnation than the image knows is refused (kWrongCluster, kNodeConflict).
  virtual void image_moved(const Image& image) = 0;

  using Fill = std::function<frame::Body(flatbuffers::FlatBufferBuilder&)>;
  using Done = std::move_only_function<void(Result<NodeFrame>)>;
  // Sends a request as soon as the link is up and answers once: with the reply, with the error that
  // the node answered (its code, message and `node`), kTimedOut, kConnectionLost (it may have been
  // carried out), kUnreachable (it was not sent), kUnknownNode, kOverloaded (too much is queued).
  virtual void call(NodeId to, const Fill& fill, std::uint32_t timeout_ms, Done done) = 0;
  // The same to an address, of a node that is not in the image yet: for joining. Not pinned to an
  // id.
  virtual void call(const net::Address& to, const Fill& fill, std::uint32_t timeout_ms,
                    Done done) = 0;
  // A frame that is not answered (correlation id 0). False: not sent, because the link is not up
  // (it is being made then) or its queue is full.
  virtual bool tell(NodeId to, const Fill& fill) = 0;
};

}  // namespace andyx::server
