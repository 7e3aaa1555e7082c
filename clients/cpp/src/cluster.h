// The nodes as a client sees them: which server to ask, where the mains are, requests that survive
// reconnects. The client's thread only; lives as long as the client.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "clients/cpp/src/node_link.h"
#include "protocol/base/ids.h"

namespace andyx::client {

struct PartitionMain {
  NodeId main = 0;
  MainEpoch epoch = 0;
};

struct TopicMetadata {
  TopicId topic_id = 0;
  std::vector<PartitionMain> partitions;
};

struct ClusterOptions {
  std::vector<net::Address> servers;
  LinkOptions link;
  std::uint32_t connect_timeout_ms = 5'000;
  std::uint32_t request_timeout_ms = 30'000;
};

class Cluster final : private LinkUser {
 public:
  using OnReady = std::move_only_function<void(Status)>;
  using OnTopic = std::move_only_function<void(Result<TopicMetadata>)>;

  Cluster(net::Loop& loop, ClusterOptions options);
  ~Cluster();

  // Tries the servers in turn until one says hello; `done` once.
  void start(OnReady done);

  enum class Repeat { kNo, kYes };  // kNo: not sent again once it may have been received
  // Asks one node (the main of a partition, or any with 0); `done` once, after request_timeout_ms
  // at most.
  void call(NodeId node, Fill fill, Repeat repeat, OnReply done, std::uint32_t extra_ms = 0);
  void topic(const std::string& path, bool for_produce, OnTopic done);

  NodeLink* link_to(NodeId node);  // null: not known
  // The server that any question goes to; in the callback of such a call, the one that answered.
  NodeLink& control() { return *control_; }
  void shut_down(const Error& reason);
  std::uint64_t random();

 private:
  struct Call;

  NodeLink& link_at(const net::Address& address);
  void use_server(std::size_t index);
  void ready(Status status);
  void dispatch(std::uint64_t id);
  void replied(std::uint64_t id, Reply reply);
  void retry_later(std::uint64_t id, std::uint64_t at_least_ms);
  void finish(std::uint64_t id, Reply reply);
  void learn_nodes(const protocol::MetadataReply& reply);
  Result<TopicMetadata> topic_of(const protocol::MetadataReply& reply);

  void link_up(NodeLink& link) override;
  void link_down(NodeLink& link, const Error& reason) override;

  net::Loop& loop_;
  const ClusterOptions options_;
  std::uint64_t random_;
  std::unordered_map<std::string, std::unique_ptr<NodeLink>> links_;  // by address
  std::unordered_map<NodeId, net::Address> nodes_;
  std::size_t server_ = 0;
  NodeLink* control_ = nullptr;

  OnReady on_ready_;
  std::unique_ptr<net::Loop::Timer> ready_timer_;
  Error last_error_{ErrorCode::kUnreachable, "not connected yet"};
  std::optional<Error> shut_down_;

  std::map<std::uint64_t, Call> calls_;
  std::uint64_t next_call_ = 1;
};

}  // namespace andyx::client
