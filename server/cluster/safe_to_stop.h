// Whether a node may stop without anything becoming unwritable or lost. Pure.
#pragma once

#include <string>
#include <vector>

#include "server/metadata/image.h"

namespace andyx::server {

struct SafeToStop {
  bool safe = true;
  std::string why;  // what would go, when it is not
};
// `voters`: of the metadata, at present.
SafeToStop safe_to_stop(const Image& image, NodeId node, const std::vector<NodeId>& voters);

}  // namespace andyx::server
