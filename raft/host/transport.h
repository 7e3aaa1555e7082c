// Who may talk to this peer, and over which connection: one for each pair of peers, dialled by the
// lower id, kept up with back-off. Refuses strangers and says so. On the raft loop; destroyed
// there.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "raft/host/peer_book.h"
#include "raft/host/peer_link.h"
#include "raft/host/raft_host.h"

namespace andyx::raft {

class Transport final : public PeerLink::Owner {
 public:
  class Events {
   public:
    virtual ~Events() = default;
    virtual void before_frames() = 0;  // something was received: time comes first
    // An error closes the connection, with the error sent to the peer.
    virtual Status on_messages(PeerId from, std::vector<Message> messages) = 0;
    virtual void on_snapshot_sent(PeerId to, bool failed) = 0;
    virtual void on_unreachable(PeerId peer) = 0;  // what was sent may be lost
    virtual void on_read_end() = 0;
    virtual void log(LogLevel level, const std::string& line) = 0;
  };

  Transport(net::Loop& loop, PeerIdentity self, PeerBook& book, Events& events);
  ~Transport() override;

  Result<std::uint16_t> listen(const net::Address& address);
  void add_peer(const PeerAddress& peer);
  void remove_peer(PeerId peer);

  // False: not sent, or not all of it (no connection, the queue is full).
  bool send(PeerId to, std::span<Message> messages);
  bool send_snapshot(PeerId to, const Message& message);
  bool connected(PeerId peer) const;

 private:
  struct Peer {
    net::Address address;
    std::unique_ptr<net::Loop::Timer> redial;
    std::unique_ptr<net::Connecting> dialing;
    std::uint64_t backoff_ms = 0;
    PeerLink* link = nullptr;     // open
    PeerLink* pending = nullptr;  // dialled by us, hello not finished
  };

  void before_frames() override { events_.before_frames(); }
  void on_hello(PeerLink& link, const Hello& hello, bool is_reply) override;
  Status on_messages(PeerLink& link, std::vector<Message> messages) override;
  Status on_snapshot(PeerLink& link, Message message) override;
  void on_snapshot_sent(PeerLink& link, bool failed) override;
  void on_refused(PeerLink& link, const Error& error) override;
  void on_read_end() override { events_.on_read_end(); }
  void on_link_closed(PeerLink& link, const Error& reason) override;

  Status check_hello(const PeerLink& link, const Hello& hello, bool is_reply) const;
  void hello_remembered(std::uint64_t serial, const Hello& hello, bool is_reply, Status stored);
  PeerLink* find(std::uint64_t serial);
  void accepted(std::unique_ptr<net::Connection> connection);
  void dial(PeerId id);
  void dialled(PeerId id, Result<std::unique_ptr<net::Connection>> made);
  void dial_later(PeerId id);
  void log_refusal(PeerId peer, ErrorCode code, const std::string& line);

  net::Loop& loop_;
  const PeerIdentity self_;
  PeerBook& book_;
  Events& events_;
  frame::FrameWriter writer_;
  std::optional<net::AddressClaim> claim_;
  std::unique_ptr<net::Listener> listener_;
  std::unique_ptr<net::Loop::Timer> keep_alive_;
  std::map<PeerId, Peer> peers_;
  std::map<std::uint64_t, std::unique_ptr<PeerLink>> links_;  // by serial
  std::uint64_t next_serial_ = 1;
  std::uint64_t next_transfer_ = 1;
  std::pair<PeerId, ErrorCode> last_refusal_{};
  std::uint64_t last_refusal_ms_ = 0;
  std::shared_ptr<Transport*> alive_;  // what comes back from other threads may come too late
};

}  // namespace andyx::raft
