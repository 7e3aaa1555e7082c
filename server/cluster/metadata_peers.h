// The nodes that have the metadata log, and so may be or know the controller: asks one after the
// other. The control loop; close() before the links end.
#pragma once

#include <memory>
#include <vector>

#include "server/cluster/node_links.h"

namespace andyx::server {

class MetadataPeers : public std::enable_shared_from_this<MetadataPeers> {
 public:
  // `known`: asked while the image names no other node with the metadata role. `links` may end
  // after close().
  static std::shared_ptr<MetadataPeers> create(NodeLinks& links, NodeId self,
                                               std::vector<net::Address> known);

  void image_moved(const Image& image);
  // From here on everything is answered with kShuttingDown.
  void close() { links_ = nullptr; }

  // Asks the node that answered last, and after any error, or an answer of another body than
  // `expected`, the next one, each of them once. When none has answered: the first error that is
  // about the question (as kNodeConflict), else the last one. `timeout_ms` is for each.
  void ask(const NodeLinks::Fill& fill, protocol::Body expected, std::uint32_t timeout_ms,
           NodeLinks::Done done);
  // The same for the one node that is the controller: begins with `first` (0: not known) and goes
  // where a kNotController says.
  void ask_controller(NodeId first, const NodeLinks::Fill& fill, protocol::Body expected,
                      std::uint32_t timeout_ms, NodeLinks::Done done);

 private:
  struct Peer {
    NodeId node = 0;  // 0: by its address
    net::Address address;
  };
  struct Asking;

  MetadataPeers(NodeLinks& links, NodeId self, std::vector<net::Address> known);
  void start(NodeId first, bool follow, const NodeLinks::Fill& fill, protocol::Body expected,
             std::uint32_t timeout_ms, NodeLinks::Done done);
  void try_one(std::shared_ptr<Asking> asking);
  void answered(std::shared_ptr<Asking> asking, Result<NodeFrame> answer);

  bool askable(NodeId node) const;

  NodeLinks* links_;
  const NodeId self_;
  SharedIndex<NodeRecord, ByNodeId> nodes_;
  std::vector<Peer> known_, peers_;
  std::size_t current_ = 0;  // in peers_: it answered last
};

}  // namespace andyx::server
