// The nodes as a client sees them: which server to ask, where the mains are, requests that survive
// reconnects and go on to the node that answers them. The client's thread only; lives as long as
// the client.
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
  std::uint32_t version = 0;  // of the partition's record
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

  // Tries the servers until one says hello; `done` once.
  void start(OnReady done);

  enum class Repeat { kNo, kYes };  // kNo: not sent again once it may have been received
  // Asks `node`, or any with 0; goes on to the node that kNotMain names, or to any when the one
  // that was asked is gone. `done` once, after request_timeout_ms at most.
  void call(NodeId node, Fill fill, Repeat repeat, OnReply done, std::uint32_t extra_ms = 0);
  void topic(const std::string& path, bool for_produce, OnTopic done);
  // Once more, because something has changed: one request for all who ask meanwhile, with a
  // back-off between one and the next.
  void refresh(const std::string& path, OnTopic done);
  // What is asked of any node next goes to another one than before, and rather not to this: it does
  // not do what it should, and nodes hear of changes at different times.
  void doubt(const NodeLink& link);

  NodeLink* link_to(NodeId node);  // null: its address is not known
  void shut_down(const Error& reason);
  std::uint64_t random();

 private:
  struct Call;
  struct Refresh;

  // Links and the nodes; cluster_nodes.cc.
  NodeLink& link_at(const net::Address& address);
  std::vector<net::Address> candidates() const;
  void seek_control();
  bool try_another();
  void use(NodeLink& link);
  void leave_control();
  void ready(Status status);
  void pin_cluster(const protocol::HelloReply& hello);
  void ask_for_nodes();
  void nodes_asked();
  void learn_nodes(const protocol::MetadataReply& reply);

  void dispatch(std::uint64_t id);
  void dispatch_all(const std::vector<std::uint64_t>& ids);
  void replied(std::uint64_t id, std::uint32_t attempt, Reply reply);
  void go_elsewhere(Call& call, const ReplyError& error);
  void retry_later(std::uint64_t id, std::uint64_t at_least_ms);
  void finish(std::uint64_t id, Reply reply);
  Result<TopicMetadata> topic_of(const protocol::MetadataReply& reply);
  void refresh_now(const std::string& path);

  void link_up(NodeLink& link) override;
  void link_down(NodeLink& link, const Error& reason) override;
  void link_silent(NodeLink& link) override;

  net::Loop& loop_;
  ClusterOptions options_;
  std::uint64_t random_;
  std::unordered_map<std::string, std::unique_ptr<NodeLink>> links_;  // by address
  std::map<NodeId, net::Address> nodes_;
  std::uint64_t nodes_version_ = 0;  // of the metadata that named them
  bool asking_for_nodes_ = false;
  // Servers pass on what is for other nodes, which are not connected to directly.
  bool front_door_ = false;

  // Where any question goes: the first of those sought that is up. Null: sought.
  NodeLink* control_ = nullptr;
  NodeLink* avoided_ = nullptr;    // it is stopping, or no help
  std::vector<NodeLink*> sought_;  // those that are tried, while there is no control
  std::size_t next_candidate_ = 0;
  std::unique_ptr<net::Loop::Timer> seek_timer_;

  OnReady on_ready_;
  std::unique_ptr<net::Loop::Timer> ready_timer_;
  Error last_error_{ErrorCode::kUnreachable, "not connected yet"};
  std::optional<Error> shut_down_;

  std::map<std::uint64_t, Call> calls_;
  std::uint64_t next_call_ = 1;
  std::map<std::string, Refresh> refreshes_;  // by topic
};

}  // namespace andyx::client
