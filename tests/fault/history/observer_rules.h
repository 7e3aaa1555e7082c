// The rules about copies outside of the in-sync set: fed with every event in order. Pure.
//
// What an observer holds is judged by the rules of the log: it is made main at the end, by force,
// and everything is read from it.
#pragma once

#include <map>
#include <vector>

#include "tests/fault/history/checker.h"
#include "tests/fault/history/history.h"

namespace andyx::test::fault {

class ObserverRules {
 public:
  ObserverRules(const Cast& cast, Findings& findings);

  void observe(const Event& event);

 private:
  struct Partition {
    std::map<NodeId, std::uint32_t> observed;  // node → the last version in which it was one
    Offset acknowledged = 0;                   // the end of what was, by now
    Offset promised = 0;                       // and by the last time that all was healed
  };
  void record_seen(const RecordSeen& record);

  Findings& findings_;
  std::vector<Partition> partitions_;
};

}  // namespace andyx::test::fault
