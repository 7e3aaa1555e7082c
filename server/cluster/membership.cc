#include "server/cluster/membership.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <utility>

#include "server/app/log.h"
#include "server/cluster/node_links.h"

namespace andyx::server {
namespace {

constexpr const char* kNodesFile = "/nodes";
constexpr std::uint32_t kLookMs = 50;  // whether it was cancelled

// Another node would answer the same.
bool is_final(ErrorCode code) {
  return code == ErrorCode::kWrongCluster || code == ErrorCode::kNodeConflict ||
         code == ErrorCode::kUnsupportedVersion || code == ErrorCode::kBadArgument ||
         code == ErrorCode::kLimitReached;
}

std::vector<KnownNode> others_of(const protocol::NodeJoinReply& reply) {
  std::vector<KnownNode> nodes;
  if (reply.peers() == nullptr) return nodes;
  for (const auto* peer : *reply.peers()) {
    if (nodes.size() == limits::kMaxNodes || peer->host() == nullptr) continue;
    nodes.push_back({peer->node_id(), {peer->host()->str(), peer->port()}, peer->peer_port()});
  }
  return nodes;
}

// One join, on a loop of its own.
class Join {
 public:
  Join(net::Loop& loop, const JoinRequest& request, const std::atomic<bool>& cancelled)
      : loop_(loop),
        request_(request),
        cancelled_(cancelled),
        links_(NodeLinks::create(
            loop, {.self = request.node.node_id, .incarnation = request.node.incarnation})),
        timer_(loop.timer()),
        look_(loop.timer()) {}

  void start() {
    look_->start(kLookMs, kLookMs, [this] {
      if (cancelled_) finish(fail(ErrorCode::kShuttingDown, "this node stops"));
    });
    try_next();
  }
  Result<Joined>& outcome() { return outcome_; }

 private:
  void try_next() {
    if (next_ == request_.addresses.size()) return pause();
    const auto& address = request_.addresses[next_++];
    const auto fill = [this](flatbuffers::FlatBufferBuilder& builder) { return body(builder); };
    links_->call(address, fill, request_.call_timeout_ms,
                 [this, address](const Result<NodeFrame>& answer) { answered(address, answer); });
  }

  frame::Body body(flatbuffers::FlatBufferBuilder& builder) const {
    const NodeSpec& node = request_.node;
    const auto disk = builder.CreateString(node.disk_id.text());
    const auto host = builder.CreateString(node.host);
    const auto cluster = builder.CreateString(
        request_.cluster_id.is_zero() ? std::string{} : request_.cluster_id.text());
    const auto join =
        protocol::CreateNodeJoin(builder, node.node_id, disk, node.incarnation, host, node.port,
                                 node.peer_port, node.roles, cluster, node.intact);
    return {static_cast<std::uint8_t>(protocol::Body::NodeJoin), join.Union()};
  }

  void answered(const net::Address& address, const Result<NodeFrame>& answer) {
    if (finished_) return;
    if (!answer) {
      last_ = answer.error();
      if (!is_final(last_.code)) return try_next();
      last_.message = "asked to join, " + address.text() + ": " + last_.message;
      return finish(std::unexpected(last_));
    }
    const auto* reply = answer->frame->body_as_NodeJoinReply();
    const auto id =
        reply == nullptr ? std::nullopt : Uuid::parse(reply->cluster_id()->string_view());
    if (!id || id->is_zero()) {
      last_ = {ErrorCode::kBadFrame, address.text() + ": the answer to join is none"};
      return try_next();
    }
    if (!request_.cluster_id.is_zero() && *id != request_.cluster_id) {
      return finish(fail(ErrorCode::kWrongCluster,
                         address.text() + " belongs to cluster " + id->text() +
                             ", the data directory of this node to " + request_.cluster_id.text()));
    }
    finish(Joined{*id, reply->version(), others_of(*reply), reply->metadata_group()});
  }

  void pause() {
    next_ = 0;
    const auto now_ms = loop_.now_ms();
    if (said_ms_ == 0 || now_ms - said_ms_ >= request_.say_every_ms) {
      said_ms_ = now_ms;
      log::warn("no node of the cluster takes this one in yet; trying on",
                {{"addresses", request_.addresses.size()},
                 {"error", last_.name()},
                 {"message", last_.message}});
    }
    timer_->start(pause_ms_, 0, [this] { try_next(); });
    pause_ms_ = std::min(2 * pause_ms_, request_.max_pause_ms);
  }

  void finish(Result<Joined> outcome) {
    if (std::exchange(finished_, true)) return;
    outcome_ = std::move(outcome);
    timer_->stop();
    look_->stop();
    // The links cannot end from within one of their callbacks.
    loop_.post([this] {
      links_.reset();
      loop_.stop();
    });
  }

  net::Loop& loop_;
  const JoinRequest& request_;
  const std::atomic<bool>& cancelled_;
  std::unique_ptr<NodeLinks> links_;
  std::unique_ptr<net::Loop::Timer> timer_, look_;
  std::size_t next_ = 0;
  std::uint32_t pause_ms_ = request_.pause_ms;
  std::uint64_t said_ms_ = 0;
  Error last_{ErrorCode::kUnreachable, "nobody was asked"};
  Result<Joined> outcome_ = fail(ErrorCode::kShuttingDown, "not begun");
  bool finished_ = false;
};

}  // namespace

Result<Joined> join_cluster(const JoinRequest& request, const std::atomic<bool>& cancelled) {
  if (request.addresses.empty())
    return fail(ErrorCode::kBadArgument,
                "to join a cluster, the address of a node of it is needed");
  auto loop = net::Loop::create();
  if (!loop) return std::unexpected(loop.error());
  std::unique_ptr<Join> join;
  (*loop)->post([&] {
    join = std::make_unique<Join>(**loop, request, cancelled);
    join->start();
  });
  (*loop)->run();
  return std::move(join->outcome());
}

std::vector<net::Address> nodes_of_newer_group(const NodeSpec& self, const Uuid& cluster_id,
                                               std::uint64_t group,
                                               const std::vector<net::Address>& nodes,
                                               std::uint32_t timeout_ms) {
  auto loop = net::Loop::create();
  if (!loop || nodes.empty()) return {};
  std::unique_ptr<NodeLinks> links;
  std::size_t open = nodes.size();
  std::vector<net::Address> newer;
  const auto answered = [&](const net::Address& node, const Result<NodeFrame>& answer) {
    const auto* status = answer ? answer->frame->body_as_ClusterStatusReply() : nullptr;
    const bool ours = status != nullptr && status->cluster_id() != nullptr &&
                      status->cluster_id()->string_view() == cluster_id.text();
    if (ours && status->metadata_group() > group) newer.push_back(node);
    if (--open > 0) return;
    // The links cannot end from within one of their callbacks.
    (*loop)->post([&] {
      links.reset();
      (*loop)->stop();
    });
  };
  const auto fill = [](flatbuffers::FlatBufferBuilder& builder) {
    return frame::Body{static_cast<std::uint8_t>(protocol::Body::ClusterStatus),
                       protocol::CreateClusterStatus(builder).Union()};
  };
  (*loop)->post([&] {
    links = NodeLinks::create(**loop, {.self = self.node_id, .incarnation = self.incarnation});
    for (const net::Address& node : nodes) {
      links->call(node, fill, timeout_ms,
                  [&answered, node](const Result<NodeFrame>& answer) { answered(node, answer); });
    }
  });
  (*loop)->run();
  return newer;
}

std::vector<KnownNode> other_nodes(const Image& image, NodeId self) {
  std::vector<KnownNode> nodes;
  for (const NodeRecord& node : image.nodes) {
    if (node.id != self) nodes.push_back({node.id, {node.host, node.port}, node.peer_port});
  }
  return nodes;
}

std::vector<KnownNode> read_known_nodes(const std::string& data_dir) {
  std::vector<KnownNode> nodes;
  std::ifstream file(data_dir + kNodesFile);
  for (std::string line; nodes.size() < limits::kMaxNodes && std::getline(file, line);) {
    std::istringstream words(line);
    KnownNode node;
    std::string address;
    if (!(words >> node.node >> address >> node.peer_port) || node.node == 0) continue;
    auto parsed = net::Address::parse(address);
    if (!parsed) continue;
    node.address = std::move(*parsed);
    nodes.push_back(std::move(node));
  }
  return nodes;
}

Status write_known_nodes(const std::string& data_dir, const std::vector<KnownNode>& nodes) {
  const std::string path = data_dir + kNodesFile, fresh = path + ".new";
  {
    std::ofstream file(fresh, std::ios::trunc);
    for (const KnownNode& node : nodes)
      file << node.node << ' ' << node.address.text() << ' ' << node.peer_port << '\n';
    file.close();
    if (!file) return fail(ErrorCode::kIo, fresh + " could not be written");
  }
  std::error_code error;
  std::filesystem::rename(fresh, path, error);
  if (error) return fail(ErrorCode::kIo, fresh + " could not be renamed: " + error.message());
  return {};
}

}  // namespace andyx::server
