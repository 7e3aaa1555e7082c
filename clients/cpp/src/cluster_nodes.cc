// The nodes of the cluster, and which of them the client asks.
#include <algorithm>
#include <utility>

#include "clients/cpp/src/cluster_call.h"

namespace andyx::client {
namespace {

// A server that does not answer costs this much; the next one is tried beside it.
constexpr std::uint64_t kNextServerMs = 250;

}  // namespace

NodeLink& Cluster::link_at(const net::Address& address) {
  auto& link = links_[address.text()];
  if (link == nullptr) {
    auto options = options_.link;
    options.seed = random();
    link = std::make_unique<NodeLink>(loop_, address, options);
  }
  return *link;
}

NodeLink* Cluster::link_to(NodeId node) {
  if (!shut_down_ && front_door_) return control_;
  const auto found = nodes_.find(node);
  return found == nodes_.end() || shut_down_ ? nullptr : &link_at(found->second);
}

void Cluster::start(OnReady done) {
  on_ready_ = std::move(done);
  seek_timer_ = loop_.timer();
  ready_timer_ = loop_.timer();
  ready_timer_->start(options_.connect_timeout_ms, 0,
                      [this] { ready(fail(ErrorCode::kUnreachable, last_error_.message)); });
  seek_control();
}

void Cluster::ready(Status status) {
  if (!on_ready_) return;
  ready_timer_.reset();
  std::exchange(on_ready_, nullptr)(std::move(status));
}

// ---- The control link ----

// The configured servers, then every node that metadata has named.
std::vector<net::Address> Cluster::candidates() const {
  auto all = options_.servers;
  if (front_door_) return all;
  for (const auto& [id, address] : nodes_) {
    const bool known =
        std::ranges::any_of(all, [&](const auto& one) { return one.text() == address.text(); });
    if (!known) all.push_back(address);
  }
  return all;
}

void Cluster::seek_control() {
  if (shut_down_ || control_ != nullptr) return;
  try_another();
  if (control_ != nullptr) return;
  seek_timer_->start(kNextServerMs, kNextServerMs, [this] {
    if (!try_another()) avoided_ = nullptr;  // better than none
  });
}

// The next one, beside those that are tried already. False: all of them are.
bool Cluster::try_another() {
  const auto all = candidates();
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto& link = link_at(all[next_candidate_++ % all.size()]);
    if (&link == avoided_ || link.silent()) continue;
    if (std::ranges::find(sought_, &link) != sought_.end()) continue;
    if (link.up()) {
      use(link);
      return true;
    }
    sought_.push_back(&link);
    link.add_user(this);
    return true;
  }
  return false;
}

void Cluster::use(NodeLink& link) {
  seek_timer_->stop();
  control_ = &link;
  control_->add_user(this);
  for (auto* other : std::exchange(sought_, {})) {
    const bool awaited = std::ranges::any_of(
        calls_, [&](const auto& entry) { return entry.second.awaited == other; });
    if (other != control_ && !other->up() && !awaited) other->remove_user(this);
  }
  ready({});
  std::vector<std::uint64_t> waiting;
  for (const auto& [id, call] : calls_) {
    if (!call.sent && call.retry == nullptr && call.awaited == nullptr && !call.needs_nodes)
      waiting.push_back(id);
  }
  dispatch_all(waiting);
  // So that any of them can take over when this one is gone.
  if (nodes_.empty()) ask_for_nodes();
}

// It is stopping, or no help: questions go to another one, where there is one.
void Cluster::leave_control() {
  if (candidates().size() < 2) return;
  avoided_ = std::exchange(control_, nullptr);
  seek_control();
}

void Cluster::doubt(const NodeLink& link) {
  // A front door has no part in what a main behind it does.
  if (shut_down_ || front_door_ || control_ == nullptr) return;
  const auto all = candidates();
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto& other = link_at(all[next_candidate_++ % all.size()]);
    if (&other != &link && &other != control_ && other.up() && !other.silent()) return use(other);
  }
  leave_control();
}

// It may only be busy, and is not given up. But what any node can answer is asked of another one
// too; whose answer comes first counts.
void Cluster::link_silent(NodeLink& link) {
  if (shut_down_ || front_door_) return;
  if (&link == control_) leave_control();
  if (&link == control_) return;  // there is no other
  std::vector<std::uint64_t> waiting;
  for (auto& [id, call] : calls_) {
    if (!call.sent || call.asked != &link || call.repeat != Repeat::kYes) continue;
    call.sent = false;
    call.node = 0;  // any node knows who has taken over
    waiting.push_back(id);
  }
  dispatch_all(waiting);
}

void Cluster::link_up(NodeLink& link) {
  if (const auto* hello = link.hello()) {
    pin_cluster(*hello);
    front_door_ |= hello->front_door();
  }
  std::vector<std::uint64_t> waiting;
  for (const auto& [id, call] : calls_) {
    if (!call.sent && call.retry == nullptr && call.awaited == &link) waiting.push_back(id);
  }
  if (control_ == nullptr && &link != avoided_) use(link);
  dispatch_all(waiting);
}

void Cluster::link_down(NodeLink& link, const Error& reason) {
  last_error_ = reason;
  if (shut_down_) return;
  if (!reason.retriable() && reason.code != ErrorCode::kUnreachable) ready(std::unexpected(reason));
  if (&link == avoided_) avoided_ = nullptr;
  if (&link == control_) {
    control_ = nullptr;
    // Where there is no other it is the one that is waited for.
    sought_.push_back(&link);
    seek_control();
  } else if (control_ == nullptr) {
    try_another();
  }
  std::vector<std::uint64_t> waiting;
  for (auto& [id, call] : calls_) {
    if (!call.sent && call.retry == nullptr && call.awaited == &link) waiting.push_back(id);
  }
  for (const auto id : waiting) {
    auto& call = calls_.at(id);
    call.last_error = reason;
    call.node = 0;  // any node knows who has taken over
    call.awaited = nullptr;
    retry_later(id, 0);
  }
}

void Cluster::pin_cluster(const protocol::HelloReply& hello) {
  if (!options_.link.cluster_id.empty() || hello.cluster_id() == nullptr) return;
  options_.link.cluster_id = hello.cluster_id()->str();
  for (const auto& [address, link] : links_) link->pin_cluster(options_.link.cluster_id);
}

// ---- Their addresses ----

void Cluster::ask_for_nodes() {
  if (std::exchange(asking_for_nodes_, true)) return;
  auto fill = [](flatbuffers::FlatBufferBuilder& builder) {
    return body_of(protocol::Body::MetadataRequest, protocol::CreateMetadataRequest(builder));
  };
  call(0, std::move(fill), Repeat::kYes, [this](Reply reply) {
    asking_for_nodes_ = false;
    if (reply) {
      if (const auto* metadata = reply->frame->body_as_MetadataReply()) learn_nodes(*metadata);
    }
    nodes_asked();
  });
}

void Cluster::nodes_asked() {
  std::vector<std::uint64_t> waiting;
  for (auto& [id, call] : calls_) {
    if (std::exchange(call.needs_nodes, false)) waiting.push_back(id);
  }
  for (const auto id : waiting) {
    auto& call = calls_.at(id);
    if (!nodes_.contains(call.node)) call.node = 0;
    retry_later(id, 0);
  }
}

// Nodes learn of changes at different times: what an earlier answer names is not believed.
void Cluster::learn_nodes(const protocol::MetadataReply& reply) {
  if (reply.nodes() == nullptr || reply.nodes()->size() == 0 || reply.version() < nodes_version_)
    return;
  nodes_version_ = reply.version();
  nodes_.clear();
  for (const auto* node : *reply.nodes()) {
    if (node->host() != nullptr) nodes_[node->node_id()] = {node->host()->str(), node->port()};
  }
  const auto all = candidates();
  for (const auto& [address, link] : links_) {
    const bool gone = std::ranges::none_of(
        all, [&](const auto& one) { return one.text() == link->address().text(); });
    if (gone && link.get() != control_) link->remove_user(this);
  }
}

}  // namespace andyx::client
