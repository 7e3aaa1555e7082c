// What the controller answers to a proposal that another node passed on. A value; any thread.
#pragma once

#include <cstdint>

#include "server/metadata/image.h"

namespace andyx::server {

struct ProposalAnswer {
  Position version = 0;  // behind what it led to
  std::uint64_t result = 0;
};

}  // namespace andyx::server
