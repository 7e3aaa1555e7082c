// Where a relayed client's frame goes. Pure: the frame and the image in, a route out.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "frame_generated.h"
#include "protocol/base/ids.h"
#include "server/metadata/image.h"

namespace andyx::server {

struct RelayRoute {
  enum class Kind : std::uint8_t {
    kNode,    // to `node`; 0: it has none now
    kStream,  // to where the stream `stream` was opened
    kAny,     // any broker answers it: all such frames of a client go to one
    kAll,     // to every node that this client is connected to
    kRefused  // no client sends that
  };
  Kind kind = Kind::kAny;
  NodeId node = 0;
  std::uint32_t stream = 0;
  // StreamOpen: later frames of `stream` go to the same node. StreamClose: they end.
  bool opens_stream = false, closes_stream = false;
};

// `root` is verified and no Hello.
RelayRoute relay_route(const Image& image, const protocol::Frame& root);

// The broker for frames that any may answer: `self` where it is one, else an alive one that
// `choice` picks; 0: the image has none.
NodeId relay_broker(const Image& image, NodeId self, std::uint64_t choice);

}  // namespace andyx::server
