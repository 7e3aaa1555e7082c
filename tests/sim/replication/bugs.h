// The planted bugs by name. In a build without them there are none.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/planted.h"

namespace andyx::server::sim {

struct NamedBug {
  PlantedBug bug;
  const char* name;
};
const std::vector<NamedBug>& named_bugs();
std::string bug_names();            // for people
bool plant(std::string_view name);  // false: there is none of that name

}  // namespace andyx::server::sim
