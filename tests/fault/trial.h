// One topic on trial: its workload, what happened to it, and how it is read at the end. Of an async
// topic the copies are observers: they are looked at, and in the end made main by force.
//
// One thread: the cluster's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/fault/cluster/cluster.h"
#include "tests/fault/cluster/test_topic.h"
#include "tests/fault/history/history.h"
#include "tests/fault/workload/workload.h"

namespace andyx::test::fault {

class Trial {
 public:
  Trial(Cluster& cluster, TestTopic topic);
  ~Trial();
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

  // REQUIREs that the topic comes to be, with all its copies, within a minute.
  void form();
  void begin(std::uint64_t seed);  // the workload

  void look();    // writes down who observes, where that has changed
  void healed();  // no fault any more
  // What the topic lacks since healed(); empty: it is whole. Then written down with recovered().
  std::string lacking();
  void recovered(Recovery recovery);

  // Ends the workload, when everything was read and delivered; CHECKs that it was.
  void wind_up();
  void stop();

  const TestTopic& topic() const { return topic_; }
  History& history() { return history_; }

 private:
  using Place = Cluster::Place;

  bool create(std::string& said) const;
  void read_through_every_node();
  bool all_is_delivered() const;
  std::uint32_t make_main_of_all(Place place);
  bool elect(std::uint32_t partition, NodeId node, bool accept_data_loss) const;
  std::uint32_t mains_of(NodeId node) const;
  ClusterView view() const { return cluster_.view({topic_.path()}); }
  std::string observers_lack(const std::vector<Offset>& ends);

  Cluster& cluster_;
  const TestTopic topic_;
  const WorkloadOptions options_;
  History history_;
  std::optional<Workload> workload_;
  std::map<std::uint32_t, std::uint32_t> seen_versions_;  // by partition
  std::uint32_t healed_ms_ = 0;
  std::vector<Offset> promised_;  // by partition: acknowledged when it was healed
  std::vector<CopyEnd> copies_;   // as last seen
};

}  // namespace andyx::test::fault
