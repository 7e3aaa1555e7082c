// A place in a partition's due index: the order in which delayed messages come to be delivered.
#pragma once

#include <compare>

#include "protocol/base/ids.h"

namespace andyx::server {

struct DueKey {
  TimeUs at_us = 0;  // deliver-at, wall clock
  Offset offset = 0;
  auto operator<=>(const DueKey&) const = default;
};

}  // namespace andyx::server
