// A main core between two replicas, for its tests.
#pragma once

#include <doctest/doctest.h>

#include <optional>

#include "common_generated.h"
#include "server/replication/main_core.h"

namespace andyx::server::main_core_test {

using protocol::Acks;

// Node 1 is main of nodes 1..3 in epoch 5, over a log of ten records of epoch 4 that are durable.
struct Fixture {
  explicit Fixture(NodeId copies = 3, std::vector<NodeId> in_sync = {1, 2, 3}) {
    record = {.main_epoch = 5, .version = 7, .main = 1, .min_in_sync = 2};
    for (NodeId node = 1; node <= copies; ++node)
      record.replicas.push_back({.node = node, .incarnation = 10ull * node, .alive = true});
    record.in_sync = std::move(in_sync);
    copy.end = copy.durable = 10;
    copy.epochs.record(4, 0);
  }

  MainCore& core() {
    if (!main) main.emplace(1, record, copy, now, now);
    return *main;
  }
  FetchEntry entry(NodeId node, Offset offset, MainEpoch last_epoch, Offset durable) {
    return {.replica = node,
            .incarnation = 10ull * node,
            .main_epoch = 5,
            .request = ++requests,
            .fetch_offset = offset,
            .last_epoch = last_epoch,
            .durable = durable};
  }
  void fetch(const FetchEntry& entry) { core().fetch(entry, now + 400, now); }
  void fetch(NodeId node, Offset offset, MainEpoch last_epoch, Offset durable) {
    fetch(entry(node, offset, last_epoch, durable));
  }
  void progress(NodeId node, Offset durable) {
    FetchEntry told = entry(node, durable, 5, durable);
    told.progress_only = true;
    fetch(told);
  }
  void append(Offset end, Acks acks, std::uint64_t token) {
    core().appended(end, acks, token, now);
  }
  void all_follow() {
    fetch(2, 10, 4, 10);
    fetch(3, 10, 4, 10);
    take();
  }

  void take() {
    answers.clear();
    acked.clear();
    proposals.clear();
    asks = 0;
    for (const MainAction& action : core().take_actions()) {
      if (const auto* fetch = std::get_if<AnswerFetch>(&action)) answers.push_back(*fetch);
      if (const auto* ack = std::get_if<AnswerProducer>(&action)) acked.push_back(*ack);
      if (const auto* propose = std::get_if<ProposeSet>(&action))
        proposals.push_back(propose->proposal);
      if (std::holds_alternative<AskForNewEpoch>(action)) ++asks;
    }
  }
  // The newest answer.
  const FetchAnswer& answer() {
    take();
    REQUIRE(!answers.empty());
    return answers.back().answer;
  }
  bool acknowledged(std::uint64_t token, ErrorCode error = ErrorCode::kOk) {
    take();
    return acked.size() == 1 && acked[0].token == token && acked[0].error == error;
  }
  std::vector<NodeId> proposed() {
    take();
    std::vector<NodeId> nodes;
    if (proposals.size() == 1) {
      for (const auto& member : proposals[0].in_sync) nodes.push_back(member.node);
    }
    return nodes;
  }
  void image(std::vector<NodeId> in_sync) {
    record.in_sync = std::move(in_sync);
    ++record.version;
    core().image_moved(record, now);
  }

  ReplicationRecord record;
  LocalCopy copy;
  std::optional<MainCore> main;
  std::uint64_t now = 100'000;
  std::uint64_t requests = 0;
  std::vector<AnswerFetch> answers;
  std::vector<AnswerProducer> acked;
  std::vector<SetProposal> proposals;
  int asks = 0;
};

using Nodes = std::vector<NodeId>;
using Kind = FetchAnswer::Kind;

}  // namespace andyx::server::main_core_test
