// A topic that a run works on. A value.
#pragma once

#include <cstdint>
#include <string>

namespace andyx::test::fault {

struct TestTopic {
  std::string name;
  std::uint32_t partitions = 3;
  std::uint32_t factor = 1;  // copies of each partition
  bool async = false;        // the main alone is in the in-sync set, the other copies are observers

  std::string path() const { return "default/default/default/" + name; }
};

}  // namespace andyx::test::fault
