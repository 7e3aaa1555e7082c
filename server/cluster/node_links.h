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
  // 1 + the group of the metadata that the Raft peer of this node is of; 0: it runs none.
  // Asked at each hello; empty: 0.
  std::function<std::uint64_t()> metadata_group;
  std::uint32_t connect_timeout_ms = 1'000;
  std::uint32_t backoff_min_ms = 20, backoff_max_ms = 500;
  // After so long without sending, or without receiving, a ping; after three times as long without
  // receiving the link is taken for dead. Of this process' own time: while it is stopped none
  // passes.
  std::uint32_t keep_alive_ms = 500;
};

class NodeLinks {
 public:
  // Of links to nodes; not of those to addresses.
  class Events {
   public:
    // A frame with correlation id 0, as ReplicaAnswer. (An ErrorReply with that id is the last word
    // of a node that closes: on_down. So the handler of a frame that is told must not answer.)
    virtual void on_push(NodeId from, NodeFrame frame) = 0;
    virtual void on_up(NodeId node) = 0;
    // The link was up and is not any more: what was sent may be lost, what was pushed may be
    // missing. Or it is not up yet, and one more attempt has failed. A link that was used once
    // comes back by itself until the node leaves the image.
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
  // Sends a request as soon as the link is up and answers once, never within the call (unless the
  // links are being destroyed): with the reply, or with the error that the node answered (its code,
  // message and `node`). What may have been carried out: kTimedOut, kConnectionLost. What was not
  // sent: kUnreachable (this node knows of no such node, another one is at its address, the attempt
  // to connect that was under way, or the next one, failed, or took longer than `timeout_ms`),
  // kOverloaded (limits::kMaxNodeLinkCalls or
  // kMaxNodeLinkQueuedBytes is reached), kFrameTooLarge, and the refusal of either side's hello:
  // kWrongCluster, kNodeConflict, kUnsupportedVersion, kUnauthorized.
  virtual void call(NodeId to, const Fill& fill, std::uint32_t timeout_ms, Done done) = 0;
  // The same to an address, of a node that is not in the image yet: for joining. Not pinned to an
  // id; to a cluster where the image has one. The link is closed when it was idle for some seconds.
  virtual void call(const net::Address& to, const Fill& fill, std::uint32_t timeout_ms,
                    Done done) = 0;
  // A frame that is not answered (correlation id 0). False: not sent, because the link is not up
  // (it is being made then) or its queue is full.
  virtual bool tell(NodeId to, const Fill& fill) = 0;
};

}  // namespace andyx::server
