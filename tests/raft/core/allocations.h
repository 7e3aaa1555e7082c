// Counts what this executable allocates with new.
#pragma once

#include <cstddef>

namespace andyx::raft::tests {

std::size_t allocations();  // since the start

}  // namespace andyx::raft::tests
