// Which nodes have another image of the metadata than the others at the same position: their state
// machine has gone astray, by a defect or by damaged memory. Heartbeats name position and hash of
// each node's image; the controller remembers the hashes of its own and compares. Pure; one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>

#include "protocol/base/ids.h"
#include "server/metadata/image.h"

namespace andyx::server {

class Divergence {
 public:
  // An image of this node; positions rise. Also while it is not the controller, so that it knows
  // the past when it becomes it. The last limits::kImageHashesRemembered are kept.
  void published(Position position, std::uint64_t hash);
  // The image of a node, this one included. One of a position that is not known here says nothing.
  void reported(NodeId node, Position position, std::uint64_t hash);
  void forget(NodeId node);
  void forget_reports() { reports_.clear(); }

  // Nobody is judged before it is certain who is in the minority: `nodes` live in all. With two
  // nodes the one that leads is believed.
  // Nodes that differ, while no fewer agree with this one than differ or are not known yet: what
  // their image is, for the log and for operators.
  std::map<NodeId, std::string> astray(std::size_t nodes) const;
  // More nodes differ from this one, all in the same way, than agree or are not known yet: it is
  // this one that went astray. Empty: it did not.
  std::string self_astray(std::size_t nodes) const;

 private:
  struct Report {
    Position position = 0;
    std::uint64_t hash = 0, ours = 0;
    bool differs() const { return hash != ours; }
  };
  static std::string text_of(const Report& report, bool of_this_node);
  std::size_t agreeing() const;

  std::deque<std::pair<Position, std::uint64_t>> ours_;
  std::map<NodeId, Report> reports_;  // the last that could be compared
};

}  // namespace andyx::server
