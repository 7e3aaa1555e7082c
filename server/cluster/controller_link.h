// The way of this node's proposals to the controller on another node. Control loop.
#pragma once

#include <memory>

#include "server/cluster/metadata_peers.h"
#include "server/metadata/controller.h"

namespace andyx::server {

class ControllerLink final : public ControllerPeer {
 public:
  explicit ControllerLink(std::shared_ptr<MetadataPeers> peers) : peers_(std::move(peers)) {}

  void propose(NodeId to, const Uuid& command_id, std::vector<std::uint8_t> wish,
               Done done) override;

 private:
  std::shared_ptr<MetadataPeers> peers_;
};

}  // namespace andyx::server
