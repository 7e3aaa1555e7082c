#include "tests/fault/trial.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <iostream>
#include <utility>

#include "tests/fault/cluster/ask.h"

namespace andyx::test::fault {
namespace {

constexpr Millis kFormWithin{60'000}, kElectWithin{10'000}, kAnswerWithin{5'000};
constexpr Millis kDeliverySilence{60'000}, kDeliverWithin{900'000};

WorkloadOptions options_of(const Cluster& cluster, const TestTopic& topic) {
  return {.servers = cluster.servers(),
          .topic = topic.name,
          .partitions = topic.partitions,
          .acks = topic.factor > 1 ? client::Acks::kQuorum : client::Acks::kMain,
          .light = topic.async};
}

}  // namespace

Trial::Trial(Cluster& cluster, TestTopic topic)
    : cluster_(cluster),
      topic_(std::move(topic)),
      options_(options_of(cluster, topic_)),
      history_(cast_of(options_)),
      promised_(topic_.partitions) {}

Trial::~Trial() { stop(); }

void Trial::stop() {
  if (workload_) workload_->stop();
}

void Trial::form() {
  std::string said;
  REQUIRE_MESSAGE(wait_until([&] { return create(said); }, kFormWithin), said);
  const auto formed = [this] {
    const ClusterView now = view();
    const bool has_copies = std::ranges::all_of(now.partitions, [this](const PartitionView& p) {
      return p.replicas.size() == topic_.factor &&
             p.observers.size() == (topic_.async ? topic_.factor - 1 : 0);
    });
    return has_copies && now.complete(topic_.async ? 1 : topic_.factor);
  };
  REQUIRE_MESSAGE(wait_until(formed, kFormWithin), view().text());
}

bool Trial::create(std::string& said) const {
  const Bytes frame = make_frame<protocol::TopicCreate>(kQuestion, [this](Builder& builder) {
    return protocol::CreateTopicCreateDirect(builder, topic_.path().c_str(), topic_.partitions,
                                             topic_.factor, topic_.async);
  });
  const auto answer = ask(cluster_.listen_address(1), frame, kAnswerWithin);
  if (!answer) said = "creating topic " + topic_.name + ": " + answer.error().message;
  return answer.has_value() || answer.error().code == ErrorCode::kTopicExists;
}

void Trial::begin(std::uint64_t seed) { workload_.emplace(history_, options_, seed); }

void Trial::look() {
  if (!topic_.async) return;
  for (const PartitionView& partition : view().partitions) {
    if (std::exchange(seen_versions_[partition.index], partition.version) == partition.version) {
      continue;
    }
    history_.add(RecordSeen{.partition = partition.index,
                            .version = partition.version,
                            .main = partition.main,
                            .observers = partition.observers});
  }
}

void Trial::healed() {
  healed_ms_ = history_.now_ms();
  history_.add(Healed{});
  promised_ = workload_->acknowledged_ends();
}

std::string Trial::lacking() {
  look();
  if (!workload_->committed_since(healed_ms_)) {
    return "not every partition of " + topic_.name + " has committed a write";
  }
  const ClusterView now = view();
  if (!now.complete(topic_.async ? 1 : topic_.factor)) return topic_.name + ": " + now.text();
  return topic_.async ? observers_lack(promised_) : std::string();
}

// Copies that are missing, or end before `ends`.
std::string Trial::observers_lack(const std::vector<Offset>& ends) {
  auto copies = cluster_.copies(topic_.path());
  if (!copies) return "where the copies of " + topic_.name + " end is not known";
  copies_ = std::move(*copies);
  if (copies_.size() < topic_.partitions * topic_.factor) return topic_.name + " lacks copies";
  for (const CopyEnd& copy : copies_) {
    if (copy.durable >= ends.at(copy.partition)) continue;
    return "node " + std::to_string(copy.node) + " has partition " +
           std::to_string(copy.partition) + " of " + topic_.name + " to " +
           std::to_string(copy.durable) + " of " + std::to_string(ends.at(copy.partition));
  }
  return {};
}

void Trial::recovered(Recovery recovery) {
  for (const CopyEnd& copy : std::exchange(copies_, {})) {
    if (copy.main) continue;
    history_.add(
        ObserverSeen{.partition = copy.partition, .node = copy.node, .durable = copy.durable});
  }
  history_.add(std::move(recovery));
}

void Trial::wind_up() {
  workload_->stop_producers();
  if (topic_.async) {
    // Forced elections may cost answers: consumers have to be done before.
    const bool readable = wait_until([this] { return workload_->read_to_the_end(0); });
    CHECK_MESSAGE(readable, topic_.name, " cannot be read");
    if (!readable) return workload_->stop();
  } else {
    read_through_every_node();
  }
  const std::uint32_t read_ms = history_.now_ms();
  CHECK_MESSAGE(all_is_delivered(), workload_->missing_deliveries());
  std::cout << topic_.name << ": all was delivered " << history_.now_ms() - read_ms
            << " ms after it was read" << std::endl;
  workload_->stop();
  if (topic_.async) read_through_every_node();
}

void Trial::read_through_every_node() {
  std::uint32_t copies = 0;
  for (Place place = 1; place <= cluster_.size(); ++place) {
    copies += make_main_of_all(place);
    CHECK_MESSAGE(wait_until([&] { return workload_->read_to_the_end(place - 1); }), "node ",
                  cluster_.node_at(place), " does not let all of ", topic_.name, " be read");
  }
  std::cout << topic_.name << ": read at the end as main: " << copies << " of "
            << topic_.factor * topic_.partitions << " copies" << std::endl;
}

// One message at a time is a slow way to catch up on a loaded machine: it takes as long as it
// takes, while it goes on.
bool Trial::all_is_delivered() const {
  const auto end = Clock::now() + kDeliverWithin;
  for (std::uint64_t left = workload_->undelivered(); left > 0;) {
    const bool goes_on =
        wait_until([&] { return workload_->undelivered() < left; }, kDeliverySilence);
    if (!goes_on || Clock::now() >= end) return workload_->all_delivered();
    left = workload_->undelivered();
  }
  return true;
}

// So that its own copies are read. How many partitions it is main of then; the others are read
// from another copy. An observer has everything before it is forced.
std::uint32_t Trial::make_main_of_all(Place place) {
  const NodeId node = cluster_.node_at(place);
  if (topic_.factor == 1) return mains_of(node);
  if (topic_.async) {
    std::string lack;
    const auto all_there = [&] { return (lack = observers_lack(workload_->ends())).empty(); };
    CHECK_MESSAGE(wait_until(all_there), lack);
  }
  std::uint32_t held = 0;
  for (const PartitionView& partition : view().partitions) {
    if (std::ranges::find(partition.replicas, node) == partition.replicas.end()) continue;
    ++held;
    if (partition.main == node) continue;
    if (topic_.async) history_.add(Forced{.partition = partition.index, .node = node});
    elect(partition.index, node, topic_.async);
  }
  wait_until([&] { return mains_of(node) == held; }, kElectWithin);
  return mains_of(node);
}

bool Trial::elect(std::uint32_t partition, NodeId node, bool accept_data_loss) const {
  const Bytes frame = make_frame<protocol::PartitionElect>(kQuestion, [&](Builder& builder) {
    return protocol::CreatePartitionElectDirect(builder, topic_.path().c_str(), partition, node,
                                                accept_data_loss);
  });
  for (Place place = 1; place <= cluster_.size(); ++place) {
    if (ask(cluster_.listen_address(place), frame, kAnswerWithin)) return true;
  }
  return false;
}

std::uint32_t Trial::mains_of(NodeId node) const {
  const ClusterView now = view();
  return static_cast<std::uint32_t>(std::ranges::count(now.partitions, node, &PartitionView::main));
}

}  // namespace andyx::test::fault
