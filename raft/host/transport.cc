#include "raft/host/transport.h"

#include <algorithm>
#include <utility>

namespace andyx::raft {
namespace {

constexpr std::uint32_t kKeepAliveMs = 1'000;
constexpr std::uint32_t kConnectTimeoutMs = 1'000;
constexpr std::uint64_t kMinBackoffMs = 20;
constexpr std::uint64_t kMaxBackoffMs = 500;
constexpr std::uint64_t kProvenMs = 1'000;  // open for so long: the next dial is eager again
constexpr std::uint64_t kSameRefusalMs = 10'000;

std::string name(PeerId id) { return "peer " + std::to_string(id); }

}  // namespace

Transport::Transport(net::Loop& loop, PeerIdentity self, PeerBook& book, Events& events)
    : loop_(loop),
      self_(std::move(self)),
      book_(book),
      events_(events),
      keep_alive_(loop.timer()),
      alive_(std::make_shared<Transport*>(this)) {
  keep_alive_->start(kKeepAliveMs, kKeepAliveMs, [this] {
    for (auto& [serial, link] : links_) link->keep_alive();
  });
}

Transport::~Transport() { *alive_ = nullptr; }

Result<std::uint16_t> Transport::listen(const net::Address& address) {
  auto claimed = net::claim_address(address);
  if (!claimed) return std::unexpected(claimed.error());
  claim_.emplace(std::move(*claimed));
  auto made = net::listen(
      loop_, claim_->address(),
      [this](std::unique_ptr<net::Connection> connection) { accepted(std::move(connection)); });
  if (!made) return std::unexpected(made.error());
  listener_ = std::move(*made);
  return listener_->port();
}

// ---- Peers ----

void Transport::add_peer(const PeerAddress& peer) {
  if (peer.id == self_.id || peer.id == kNone || is_storage_thread(peer.id)) return;
  if (!peers_.contains(peer.id) && peers_.size() >= limits::kMaxRaftPeers) {
    events_.log(LogLevel::kError, name(peer.id) + " is one too many: it will not be spoken to");
    return;
  }
  Peer& entry = peers_[peer.id];
  entry.address = peer.address;
  entry.backoff_ms = 0;
  if (peer.id < self_.id || entry.link != nullptr || entry.pending != nullptr) return;
  entry.dialing.reset();
  dial(peer.id);
}

void Transport::remove_peer(PeerId peer) {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return;
  const auto links = {found->second.link, found->second.pending};
  peers_.erase(found);
  for (PeerLink* link : links) {
    if (link != nullptr) link->refuse({ErrorCode::kUnknownPeer, name(peer) + " was removed"});
  }
}

bool Transport::connected(PeerId peer) const {
  const auto found = peers_.find(peer);
  return found != peers_.end() && found->second.link != nullptr;
}

bool Transport::send(PeerId to, std::span<Message> messages) {
  return connected(to) && peers_.at(to).link->send(messages);
}

bool Transport::send_snapshot(PeerId to, const Message& message) {
  if (!connected(to)) return false;
  peers_.at(to).link->send_snapshot(next_transfer_++, message);
  return true;
}

// ---- Connections ----

void Transport::accepted(std::unique_ptr<net::Connection> connection) {
  const auto strangers = std::ranges::count_if(
      links_, [](const auto& link) { return link.second->phase() != PeerLink::Phase::kOpen; });
  if (strangers >= limits::kMaxRaftStrangers) return;
  const auto serial = next_serial_++;
  links_[serial] =
      std::make_unique<PeerLink>(*this, writer_, serial, self_.id, kNone, std::move(connection));
}

void Transport::dial(PeerId id) {
  Peer& peer = peers_.at(id);
  peer.dialing = net::connect(loop_, peer.address, kConnectTimeoutMs,
                              [this, id](auto made) { dialled(id, std::move(made)); });
}

void Transport::dialled(PeerId id, Result<std::unique_ptr<net::Connection>> made) {
  Peer& peer = peers_.at(id);
  if (!made) {
    dial_later(id);
    return;
  }
  const auto serial = next_serial_++;
  auto link = std::make_unique<PeerLink>(*this, writer_, serial, self_.id, id, std::move(*made));
  peer.pending = link.get();
  link->send_hello({.from = self_, .to = id});
  links_[serial] = std::move(link);
}

void Transport::dial_later(PeerId id) {
  Peer& peer = peers_.at(id);
  peer.backoff_ms = std::clamp(2 * peer.backoff_ms, kMinBackoffMs, kMaxBackoffMs);
  if (peer.redial == nullptr) peer.redial = loop_.timer();
  peer.redial->start(peer.backoff_ms, 0, [this, id] { dial(id); });
}

void Transport::on_link_closed(PeerLink& link, const Error& reason) {
  const auto serial = link.serial();
  // Its own call is still running.
  loop_.at_end_of_turn([this, serial, alive = alive_] {
    if (*alive != nullptr) links_.erase(serial);
  });
  const PeerId id = link.peer().id != kNone ? link.peer().id : link.expected();
  const auto found = peers_.find(id);
  if (found == peers_.end()) return;
  Peer& peer = found->second;
  const bool was_open = peer.link == &link;
  if (was_open) {
    peer.link = nullptr;
    events_.log(LogLevel::kInfo, name(id) + " is disconnected: " + reason.message);
    if (loop_.now_ms() - link.opened_ms >= kProvenMs) peer.backoff_ms = 0;
    events_.on_unreachable(id);
  }
  if (peer.pending == &link) peer.pending = nullptr;
  if (id > self_.id && peer.link == nullptr && peer.pending == nullptr) dial_later(id);
}

// ---- Hello ----

Status Transport::check_hello(const PeerLink& link, const Hello& hello, bool is_reply) const {
  const PeerIdentity& from = hello.from;
  const std::string who = name(from.id) + " at " + link.address();
  if (hello.min_version > kPeerProtocolVersion || hello.max_version < kPeerProtocolVersion) {
    return fail(ErrorCode::kUnsupportedVersion,
                who + " speaks versions " + std::to_string(hello.min_version) + " to " +
                    std::to_string(hello.max_version) + " of the peers' protocol, this one " +
                    std::to_string(kPeerProtocolVersion));
  }
  if (from.cluster_id != self_.cluster_id) {
    return fail(ErrorCode::kWrongCluster, who + " belongs to cluster '" + from.cluster_id +
                                              "', this is '" + self_.cluster_id + "'");
  }
  if (from.id == self_.id) {
    return fail(ErrorCode::kPeerConflict,
                who + " (disk '" + from.disk_id + "') has this peer's own id");
  }
  if (!is_reply && hello.to != self_.id) {
    return fail(ErrorCode::kUnknownPeer,
                who + " looks for " + name(hello.to) + ", this is " + name(self_.id));
  }
  if (is_reply && from.id != link.expected()) {
    return fail(ErrorCode::kUnknownPeer,
                who + " answers where " + name(link.expected()) + " should be");
  }
  const auto known = peers_.find(from.id);
  if (known == peers_.end()) return fail(ErrorCode::kUnknownPeer, who + " is not known here");
  if (!is_reply && from.id > self_.id) {
    return fail(ErrorCode::kPeerConflict, who + " dials, but the lower id does");
  }
  const auto disk = book_.disk_of(from.id);
  if (from.disk_id.empty() || from.disk_id.size() > limits::kMaxNameBytes ||
      from.disk_id.find_first_of(" \t\r\n") != std::string::npos) {
    return fail(ErrorCode::kBadArgument, who + " has no usable disk id");
  }
  if (disk && *disk != from.disk_id) {
    return fail(ErrorCode::kPeerConflict, who + " has disk '" + from.disk_id +
                                              "'; here it is known with disk '" + *disk + "'");
  }
  const PeerLink* const open = known->second.link;
  if (open != nullptr && open->peer().incarnation > from.incarnation) {
    return fail(ErrorCode::kPeerConflict, who + " is connected as a later incarnation");
  }
  return {};
}

void Transport::on_hello(PeerLink& link, const Hello& hello, bool is_reply) {
  if (auto checked = check_hello(link, hello, is_reply); !checked) {
    log_refusal(hello.from.id, checked.error().code, checked.error().message);
    link.refuse(checked.error());
    return;
  }
  book_.remember(
      hello.from.id, hello.from.disk_id,
      [&loop = loop_, alive = alive_, serial = link.serial(), hello, is_reply](Status stored) {
        loop.post([alive, serial, hello, is_reply, stored = std::move(stored)] {
          if (*alive != nullptr) {
            (*alive)->hello_remembered(serial, hello, is_reply, stored);
          }
        });
      });
}

void Transport::hello_remembered(std::uint64_t serial, const Hello& hello, bool is_reply,
                                 Status stored) {
  PeerLink* const link = find(serial);
  const auto found = peers_.find(hello.from.id);
  if (link == nullptr || link->phase() != PeerLink::Phase::kChecking) return;
  if (!stored || found == peers_.end()) {
    const Error error = stored
                            ? Error{ErrorCode::kUnknownPeer, name(hello.from.id) + " was removed"}
                            : stored.error();
    log_refusal(hello.from.id, error.code, error.message);
    link->refuse(error);
    return;
  }
  Peer& peer = found->second;
  PeerLink* const before = std::exchange(peer.link, link);
  if (peer.pending == link) peer.pending = nullptr;
  link->opened_ms = loop_.now_ms();
  link->accept(hello.from, is_reply ? nullptr : &self_);
  if (before != nullptr) {
    before->refuse({ErrorCode::kPeerConflict, "another connection took the place of this one"});
    events_.on_unreachable(hello.from.id);
  }
  events_.log(LogLevel::kInfo, name(hello.from.id) + " is connected: " + link->address());
}

PeerLink* Transport::find(std::uint64_t serial) {
  const auto found = links_.find(serial);
  return found == links_.end() ? nullptr : found->second.get();
}

// ---- What links tell ----

Status Transport::on_messages(PeerLink& link, std::vector<Message> messages) {
  auto taken = events_.on_messages(link.peer().id, std::move(messages));
  if (!taken) {
    log_refusal(link.peer().id, taken.error().code,
                name(link.peer().id) + " at " + link.address() + ": " + taken.error().message);
  }
  return taken;
}

Status Transport::on_snapshot(PeerLink& link, Message message) {
  std::vector<Message> one;
  one.push_back(std::move(message));
  return on_messages(link, std::move(one));
}

void Transport::on_snapshot_sent(PeerLink& link, bool failed) {
  events_.on_snapshot_sent(link.peer().id, failed);
}

void Transport::on_refused(PeerLink& link, const Error& error) {
  const PeerId id = link.peer().id != kNone ? link.peer().id : link.expected();
  log_refusal(id, error.code,
              (id != kNone ? name(id) + " at " : "") + link.address() +
                  " refuses us: " + std::string(error.name()) + ": " + error.message + ". " +
                  std::string(error.remedy()));
  if (error.code == ErrorCode::kIdleTimeout) return;  // the connection, not this peer
  if (const auto found = peers_.find(id); found != peers_.end()) {
    found->second.backoff_ms = kMaxBackoffMs;
  }
}

// Peers that are refused come again and again: the same line once in a while is enough.
void Transport::log_refusal(PeerId peer, ErrorCode code, const std::string& line) {
  const auto now = loop_.now_ms();
  const std::pair refusal(peer, code);
  if (refusal == last_refusal_ && now - last_refusal_ms_ < kSameRefusalMs) return;
  last_refusal_ = refusal;
  last_refusal_ms_ = now;
  events_.log(LogLevel::kWarn, line);
}

}  // namespace andyx::raft
