// What a Cluster keeps of a request and of a refresh. For cluster*.cc.
#pragma once

#include "clients/cpp/src/cluster.h"

namespace andyx::client {

struct Cluster::Call {
  NodeId node;  // to ask; 0: any
  Fill fill;
  Repeat repeat;
  OnReply done;
  std::unique_ptr<net::Loop::Timer> deadline, retry;
  std::uint32_t failures = 0;
  bool redirected = false;
  bool sent = false;
  bool needs_nodes = false;     // waits for the addresses of the nodes
  NodeLink* asked = nullptr;    // where it was sent last
  std::uint32_t attempt = 0;    // how often it was sent
  NodeLink* awaited = nullptr;  // not sent: this has to come up; null: the control
  Error last_error{ErrorCode::kTimedOut, "no answer"};
};

struct Cluster::Refresh {
  std::vector<OnTopic> waiting;
  std::unique_ptr<net::Loop::Timer> timer;  // of the pause before the next one
  bool under_way = false;
  std::uint32_t in_a_row = 0;
  std::uint64_t last_ms = 0;  // answered
};

}  // namespace andyx::client
