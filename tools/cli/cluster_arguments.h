// The part of the command line about the cluster: its nodes, and where copies and mains lie.
// Values.
#pragma once

#include <cstdint>
#include <string>

#include "protocol/base/ids.h"

namespace andyx::cli {

struct ClusterStatusCommand {};
struct ClusterNodes {};
struct ClusterRemove {
  NodeId node = 0;
};
struct ClusterAdd {
  NodeId node = 0;
};
struct ClusterDrain {
  NodeId node = 0;
  bool off = false;
};
// Neither: shows whether it is paused.
struct ClusterBalance {
  bool pause = false, resume = false;
};
struct ClusterSafeToStop {
  NodeId node = 0;
};
struct ClusterMove {
  std::string topic;
  std::uint32_t partition = 0;
  NodeId to = 0;
  NodeId from = 0;  // 0: the main's copy
};
struct ClusterElect {
  std::string topic;
  std::uint32_t partition = 0;
  NodeId to = 0;
  bool accept_data_loss = false;
};

}  // namespace andyx::cli
