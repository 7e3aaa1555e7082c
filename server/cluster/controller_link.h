// The way of this node's proposals to the controller on another node. Control loop.
#pragma once

#include <memory>

#include "server/cluster/metadata_peers.h"
#include "server/metadata/controller.h"

namespace andyx::server {

class ControllerLink final : public ControllerPeer {
 public:
  // `links` may end after close().
  ControllerLink(NodeLinks& links, std::shared_ptr<MetadataPeers> peers)
      : links_(&links), peers_(std::move(peers)) {}

  // From here on everything is answered with kShuttingDown.
  void close() { links_ = nullptr; }

  void propose(NodeId to, const Uuid& command_id, std::vector<std::uint8_t> wish,
               Done done) override;

 private:
  NodeLinks* links_;
  std::shared_ptr<MetadataPeers> peers_;  // asked where the controller is not known
};

}  // namespace andyx::server
