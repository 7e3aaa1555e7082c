#include "server/cluster/metadata_peers.h"

#include <string>
#include <utility>

namespace andyx::server {
namespace {

// Of one question: from a node that was the controller to the one that has become it, and on.
constexpr int kMaxRedirects = 3;

// Says nothing of the question itself: gives way to any other error.
bool is_weak(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUnreachable:
    case ErrorCode::kConnectionLost:
    case ErrorCode::kTimedOut:
    case ErrorCode::kNotController:
    case ErrorCode::kNoController:
    case ErrorCode::kShuttingDown:
    case ErrorCode::kOverloaded:
      return true;
    default:
      return false;
  }
}

}  // namespace

struct MetadataPeers::Asking {
  NodeLinks::Fill fill;
  protocol::Body expected{};
  std::uint32_t timeout_ms = 0;
  NodeLinks::Done done;
  bool follow = false;     // kNotController says where to go
  NodeId next_node = 0;    // to be asked before `next`
  std::size_t tried = 0;   // of peers_, from current_ on
  bool from_list = false;  // the question under way
  int redirects = 0;
  Error last{ErrorCode::kUnreachable, "this node knows of no other node that has the metadata"};
};

std::shared_ptr<MetadataPeers> MetadataPeers::create(NodeLinks& links, NodeId self,
                                                     std::vector<net::Address> known) {
  return std::shared_ptr<MetadataPeers>(new MetadataPeers(links, self, std::move(known)));
}

MetadataPeers::MetadataPeers(NodeLinks& links, NodeId self, std::vector<net::Address> known)
    : links_(&links), self_(self) {
  for (auto& address : known) known_.push_back({.address = std::move(address)});
  peers_ = known_;
}

bool MetadataPeers::askable(NodeId node) const {
  return node != 0 && node != self_ && nodes_.find(node) != nullptr;
}

void MetadataPeers::image_moved(const Image& image) {
  nodes_ = image.nodes;
  const NodeId last = current_ < peers_.size() ? peers_[current_].node : 0;
  std::vector<Peer> peers;
  current_ = 0;
  for (auto it = image.nodes.begin(); it != image.nodes.end(); ++it) {
    if (it->id == self_ || (it->roles & kMetadataRole) == 0) continue;
    if (it->id == last) current_ = peers.size();
    peers.push_back({.node = it->id, .address = {}});
  }
  peers_ = peers.empty() ? known_ : std::move(peers);
}

void MetadataPeers::ask(const NodeLinks::Fill& fill, protocol::Body expected,
                        std::uint32_t timeout_ms, NodeLinks::Done done) {
  start(0, false, fill, expected, timeout_ms, std::move(done));
}

void MetadataPeers::ask_controller(NodeId first, const NodeLinks::Fill& fill,
                                   protocol::Body expected, std::uint32_t timeout_ms,
                                   NodeLinks::Done done) {
  start(first, true, fill, expected, timeout_ms, std::move(done));
}

void MetadataPeers::start(NodeId first, bool follow, const NodeLinks::Fill& fill,
                          protocol::Body expected, std::uint32_t timeout_ms, NodeLinks::Done done) {
  auto asking = std::make_shared<Asking>();
  asking->fill = fill;
  asking->expected = expected;
  asking->timeout_ms = timeout_ms;
  asking->done = std::move(done);
  asking->follow = follow;
  asking->next_node = askable(first) ? first : 0;
  try_one(std::move(asking));
}

void MetadataPeers::try_one(std::shared_ptr<Asking> asking) {
  if (links_ == nullptr) return asking->done(fail(ErrorCode::kShuttingDown, "this node stops"));
  Peer peer;
  asking->from_list = asking->next_node == 0;
  if (asking->from_list) {
    if (asking->tried >= peers_.size()) return asking->done(std::unexpected(asking->last));
    peer = peers_[(current_ + asking->tried++) % peers_.size()];
  } else {
    peer.node = std::exchange(asking->next_node, 0);
  }
  auto done = [self = shared_from_this(), asking](Result<NodeFrame> answer) mutable {
    self->answered(std::move(asking), std::move(answer));
  };
  if (peer.node != 0) {
    links_->call(peer.node, asking->fill, asking->timeout_ms, std::move(done));
  } else {
    links_->call(peer.address, asking->fill, asking->timeout_ms, std::move(done));
  }
}

void MetadataPeers::answered(std::shared_ptr<Asking> asking, Result<NodeFrame> answer) {
  if (answer && answer->frame->body_type() == asking->expected) {
    if (asking->from_list && !peers_.empty())
      current_ = (current_ + asking->tried - 1) % peers_.size();
    return asking->done(std::move(answer));
  }
  if (links_ == nullptr) return asking->done(fail(ErrorCode::kShuttingDown, "this node stops"));
  Error error;
  if (answer) {
    error = {ErrorCode::kBadFrame, std::string("the answer is a ") +
                                       protocol::EnumNameBody(answer->frame->body_type()) +
                                       ", not a " + protocol::EnumNameBody(asking->expected)};
  } else {
    error = answer.error();
  }
  if (asking->follow && error.code == ErrorCode::kNotController && askable(error.node) &&
      asking->redirects < kMaxRedirects) {
    ++asking->redirects;
    asking->next_node = error.node;
  }
  if (is_weak(asking->last.code)) asking->last = std::move(error);
  try_one(std::move(asking));
}

}  // namespace andyx::server
