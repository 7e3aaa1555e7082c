#include "server/cluster/node_links.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "protocol/base/limits.h"
#include "server/app/log.h"
#include "server/cluster/node_link.h"

namespace andyx::server {
namespace {

// A link to an address that nobody has used for so long is closed.
constexpr std::uint32_t kForgetAddressAfterMs = 5'000;

class Links final : public NodeLinks, public NodeLink::Owner {
 public:
  Links(net::Loop& loop, NodeLinksOptions options, Events* events)
      : loop_(loop), options_(std::move(options)), events_(events), forget_timer_(loop.timer()) {}
  ~Links() override;

  void image_moved(const Image& image) override;
  void call(NodeId to, const Fill& fill, std::uint32_t timeout_ms, Done done) override;
  void call(const net::Address& to, const Fill& fill, std::uint32_t timeout_ms, Done done) override;
  bool tell(NodeId to, const Fill& fill) override;

 private:
  struct Guest {
    std::unique_ptr<NodeLink> link;
    bool used = true;  // since the last look
  };
  struct Refused {
    Done done;
    Error error;
  };

  NodeLink* link_to(NodeId node);
  NodePin pin_of(const NodeRecord& record) const {
    return {record.id, cluster_id_, record.incarnation};
  }
  void submit(NodeLink& link, const Fill& fill, std::uint32_t timeout_ms, Done done);
  void refuse_later(Done done, Error error);
  void at_end_of_turn(void (Links::*work)());
  void answer_refused();
  void bury();
  void retire(std::unique_ptr<NodeLink> link, const Error& reason);
  void forget_guests();

  void link_up(NodeLink& link) override;
  void link_down(NodeLink& link, const Error& reason) override;
  void link_pushed(NodeLink& link, NodeFrame frame) override {
    if (events_ != nullptr && link.node() != 0) events_->on_push(link.node(), std::move(frame));
  }

  net::Loop& loop_;
  const NodeLinksOptions options_;
  Events* events_;
  Uuid cluster_id_;
  SharedIndex<NodeRecord, ByNodeId> nodes_;
  std::map<NodeId, std::unique_ptr<NodeLink>> links_;
  std::map<std::string, Guest> guests_;           // by address: nodes that are not in the image yet
  std::vector<std::unique_ptr<NodeLink>> ended_;  // they may be on the stack until the turn ends
  std::vector<Refused> refused_;
  std::map<std::string, ErrorCode> logged_;  // by address: the last refusal that the log has
  std::unique_ptr<net::Loop::Timer> forget_timer_;
  frame::FrameWriter writer_;
  std::uint64_t next_id_ = 1;
  std::shared_ptr<Links*> self_ = std::make_shared<Links*>(this);  // for the ends of turns
  bool closing_ = false;
};

Links::~Links() {
  closing_ = true;
  self_.reset();
  const Error reason{ErrorCode::kShuttingDown, "this node stops"};
  for (auto& [node, link] : links_) link->end(reason);
  for (auto& [address, guest] : guests_) guest.link->end(reason);
  for (auto& refused : std::exchange(refused_, {}))
    refused.done(std::unexpected(std::move(refused.error)));
}

void Links::at_end_of_turn(void (Links::*work)()) {
  loop_.at_end_of_turn([self = std::weak_ptr(self_), work] {
    if (const auto alive = self.lock()) ((*alive)->*work)();
  });
}

// ---- Links ----

void Links::image_moved(const Image& image) {
  if (image.cluster_id == cluster_id_ && image.nodes.size() == nodes_.size() &&
      image.nodes.content_hash() == nodes_.content_hash())
    return;
  cluster_id_ = image.cluster_id;
  nodes_ = image.nodes;
  std::vector<std::unique_ptr<NodeLink>> removed;
  std::vector<std::pair<NodeLink*, std::shared_ptr<const NodeRecord>>> kept;
  for (auto it = links_.begin(); it != links_.end();) {
    if (auto record = nodes_.find(it->first)) {
      kept.emplace_back(it++->second.get(), std::move(record));
    } else {
      removed.push_back(std::move(it->second));
      it = links_.erase(it);
    }
  }
  // Callbacks may come back into here; links end, but live until the turn is over.
  for (auto& link : removed) {
    const Error reason{ErrorCode::kConnectionLost,
                       "node " + std::to_string(link->node()) + " was removed from the cluster"};
    const bool was_up = link->up();
    auto& ended = *link;
    retire(std::move(link), reason);
    if (was_up && events_ != nullptr) events_->on_down(ended.node(), reason);
  }
  for (auto& [link, record] : kept) link->repin({record->host, record->port}, pin_of(*record));
  for (auto& [address, guest] : guests_)
    guest.link->repin(guest.link->address(), {.cluster_id = cluster_id_});
}

NodeLink* Links::link_to(NodeId node) {
  if (const auto found = links_.find(node); found != links_.end()) return found->second.get();
  const auto record = nodes_.find(node);
  if (record == nullptr) return nullptr;
  auto link = std::make_unique<NodeLink>(loop_, options_, net::Address{record->host, record->port},
                                         pin_of(*record), *this);
  return (links_[node] = std::move(link)).get();
}

void Links::retire(std::unique_ptr<NodeLink> link, const Error& reason) {
  ended_.push_back(std::move(link));
  if (ended_.size() == 1) at_end_of_turn(&Links::bury);
  ended_.back()->end(reason);
}

void Links::bury() { ended_.clear(); }

void Links::forget_guests() {
  for (auto it = guests_.begin(); it != guests_.end();) {
    Guest& guest = it->second;
    if (!guest.link->idle()) guest.used = true;
    if (std::exchange(guest.used, false)) {
      ++it;
      continue;
    }
    auto link = std::move(guest.link);
    logged_.erase(it->first);
    it = guests_.erase(it);
    retire(std::move(link), {ErrorCode::kConnectionLost, "not used any more"});
  }
  if (guests_.empty()) forget_timer_->stop();
}

void Links::link_up(NodeLink& link) {
  logged_.erase(link.address().text());
  log::info("connected to node", {{"node", link.node()}, {"address", link.address().text()}});
  if (events_ != nullptr && link.node() != 0) events_->on_up(link.node());
}

void Links::link_down(NodeLink& link, const Error& reason) {
  const auto [logged, first] = logged_.try_emplace(link.address().text(), ErrorCode::kOk);
  if (std::exchange(logged->second, reason.code) != reason.code) {
    log::warn("no connection to node", {{"node", link.node()},
                                        {"address", link.address().text()},
                                        {"error", reason.name()},
                                        {"message", reason.message}});
  }
  if (events_ != nullptr && link.node() != 0) events_->on_down(link.node(), reason);
}

// ---- Requests ----

void Links::call(NodeId to, const Fill& fill, std::uint32_t timeout_ms, Done done) {
  if (closing_) return done(fail(ErrorCode::kShuttingDown, "this node stops"));
  NodeLink* link = link_to(to);
  if (link == nullptr) {
    return refuse_later(std::move(done), {ErrorCode::kUnreachable,
                                          "this node knows of no node " + std::to_string(to)});
  }
  submit(*link, fill, timeout_ms, std::move(done));
}

void Links::call(const net::Address& to, const Fill& fill, std::uint32_t timeout_ms, Done done) {
  if (closing_) return done(fail(ErrorCode::kShuttingDown, "this node stops"));
  const std::string key = to.text();
  auto found = guests_.find(key);
  if (found == guests_.end()) {
    if (guests_.size() >= limits::kMaxNodes) {
      return refuse_later(std::move(done), {ErrorCode::kOverloaded,
                                            "connections to " + std::to_string(guests_.size()) +
                                                " addresses are open"});
    }
    if (guests_.empty()) {
      forget_timer_->start(kForgetAddressAfterMs, kForgetAddressAfterMs,
                           [this] { forget_guests(); });
    }
    auto link =
        std::make_unique<NodeLink>(loop_, options_, to, NodePin{.cluster_id = cluster_id_}, *this);
    found = guests_.emplace(key, Guest{.link = std::move(link)}).first;
  }
  found->second.used = true;
  submit(*found->second.link, fill, timeout_ms, std::move(done));
}

bool Links::tell(NodeId to, const Fill& fill) {
  if (closing_) return false;
  NodeLink* link = link_to(to);
  if (link == nullptr || !link->can_tell()) return false;
  link->tell(writer_.write(0, fill));
  return true;
}

void Links::submit(NodeLink& link, const Fill& fill, std::uint32_t timeout_ms, Done done) {
  if (auto room = link.check_room(); !room) return refuse_later(std::move(done), room.error());
  const auto id = next_id_++;
  auto frame = writer_.write(id, fill);
  if (frame.size_bytes() > limits::kMaxFrameBytes) {
    return refuse_later(std::move(done), {ErrorCode::kFrameTooLarge,
                                          "a request of " + std::to_string(frame.size_bytes()) +
                                              " bytes fits into no frame"});
  }
  link.call(id, std::move(frame), timeout_ms, std::move(done));
}

void Links::refuse_later(Done done, Error error) {
  refused_.push_back({std::move(done), std::move(error)});
  if (refused_.size() == 1) at_end_of_turn(&Links::answer_refused);
}

void Links::answer_refused() {
  for (auto& refused : std::exchange(refused_, {}))
    refused.done(std::unexpected(std::move(refused.error)));
}

}  // namespace

std::unique_ptr<NodeLinks> NodeLinks::create(net::Loop& loop, NodeLinksOptions options,
                                             Events* events) {
  return std::make_unique<Links>(loop, options, events);
}

}  // namespace andyx::server
