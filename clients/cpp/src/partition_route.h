// Where the main of one partition is believed to be: what metadata says, and what a node said that
// was asked in vain. Pure.
//
// Metadata of an earlier epoch, or of an earlier version of the partition's record in the same
// epoch, changes nothing: nodes know of a new main at different times. A redirect holds until
// metadata of a later epoch comes, or until the node that it leads to is no help.
#pragma once

#include "protocol/base/ids.h"

namespace andyx::client {

class PartitionRoute {
 public:
  // Metadata says so; `main` 0: there is none now. False: it was outdated, and is ignored.
  bool learned(NodeId main, MainEpoch epoch, std::uint32_t version) {
    if (epoch < epoch_ || (epoch == epoch_ && version < version_)) return false;
    if (epoch > epoch_) redirect_ = 0;
    main_ = main;
    epoch_ = epoch;
    version_ = version;
    return true;
  }
  // `asked` has refused as not the main and names `to` (0: it knows none). An answer of a node that
  // is not asked any more changes nothing. `to` == `asked`: it is the main, in another epoch.
  void redirected(NodeId asked, NodeId to) {
    if (asked == node()) redirect_ = to;
  }
  // The node is gone, or does not answer.
  void unreachable(NodeId node) {
    if (redirect_ == node) redirect_ = 0;
  }
  // `node` has acted as the main in this epoch.
  void served(NodeId node, MainEpoch epoch) {
    if (epoch <= epoch_) return;
    main_ = node;
    epoch_ = epoch;
    version_ = 0;
    redirect_ = 0;
  }

  NodeId node() const { return redirect_ != 0 ? redirect_ : main_; }  // to ask; 0: none is known
  // What to say in requests. 0, any: the epoch of a main that was only pointed at is not known.
  MainEpoch epoch() const { return redirect_ != 0 ? 0 : epoch_; }

 private:
  NodeId main_ = 0;
  MainEpoch epoch_ = 0;
  std::uint32_t version_ = 0;
  NodeId redirect_ = 0;
};

}  // namespace andyx::client
