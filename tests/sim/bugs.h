// The planted bugs by name. In a build without them there are none.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "raft/core/planted.h"

namespace andyx::raft::sim {

struct NamedBug {
  Bug bug;
  const char* name;
};
// All of Bug but kNoBug; empty in a build without planted bugs.
const std::vector<NamedBug>& named_bugs();
std::string bug_names();            // for people
bool plant(std::string_view name);  // false: there is none of that name
std::string planted_name();         // empty: none

}  // namespace andyx::raft::sim
