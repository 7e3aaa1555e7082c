// One connection with one peer: hello, messages, keep-alive, and at most one snapshot each way. On
// the raft loop. Knows nothing of who may talk: that is the Transport's.
#pragma once

#include <memory>
#include <optional>
#include <span>

#include "protocol/net/tcp.h"
#include "raft/host/peer_wire.h"
#include "raft/host/snapshot_transfer.h"

namespace andyx::protocol {
struct Frame;
}

namespace andyx::raft {

class PeerLink final : public net::ConnectionHandler {
 public:
  enum class Phase : std::uint8_t { kAwaitHello, kAwaitReply, kChecking, kOpen, kClosing };

  // What a link tells. It may be closed from within every call, but not destroyed.
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void before_frames() = 0;
    virtual void on_hello(PeerLink& link, const Hello& hello, bool is_reply) = 0;
    virtual Status on_messages(PeerLink& link, std::vector<Message> messages) = 0;
    virtual Status on_snapshot(PeerLink& link, Message message) = 0;
    virtual void on_snapshot_sent(PeerLink& link, bool failed) = 0;
    virtual void on_refused(PeerLink& link, const Error& error) = 0;
    virtual void on_read_end() = 0;
    // Once; last. The link may be destroyed from the end of this loop turn on.
    virtual void on_link_closed(PeerLink& link, const Error& reason) = 0;
  };

  // `expected`: whom we dialled; kNone: they dialled us.
  PeerLink(Owner& owner, frame::FrameWriter& writer, std::uint64_t serial, PeerId self,
           PeerId expected, std::unique_ptr<net::Connection> connection);

  // ---- Hello ----
  void send_hello(const Hello& hello);
  void accept(const PeerIdentity& peer,
              const PeerIdentity* reply);  // reply: to the one who dialled

  // ---- Open ----
  // False: some were dropped, because the peer does not keep up.
  bool send(std::span<Message> messages);
  void send_snapshot(std::uint64_t transfer, const Message& message);
  // Once a second: pings where it is silent, closes what is dead.
  void keep_alive();

  // Says why, then closes.
  void refuse(Error error);
  void close(Error error);

  Phase phase() const { return phase_; }
  std::uint64_t serial() const { return serial_; }
  PeerId expected() const { return expected_; }
  const PeerIdentity& peer() const { return peer_; }  // from accept() on
  const std::string& address() const { return address_; }
  std::uint64_t opened_ms = 0;  // the owner's note

 private:
  void on_frame(net::Connection& connection, SharedBytes frame) override;
  void on_read_end(net::Connection& connection) override;
  void on_writable(net::Connection& connection) override;
  void on_stream_error(net::Connection& connection, const Error& error) override;
  void on_closed(net::Connection& connection, const Error& reason) override;

  void handle_hello(const protocol::Frame& root);
  Status handle(const protocol::Frame& root);
  Status receive_head(const protocol::Frame& root);
  Status receive_chunk(const protocol::Frame& root);
  Status advance_receiving();
  Status receive_ack(const protocol::Frame& root);
  void end_sending(bool failed);
  void pump_snapshot();

  Owner& owner_;
  frame::FrameWriter& writer_;
  const std::uint64_t serial_;
  const PeerId self_, expected_;
  std::unique_ptr<net::Connection> connection_;
  const std::string address_;
  Phase phase_;
  PeerIdentity peer_;
  std::uint32_t silent_rounds_ = 0;
  std::uint32_t stalled_rounds_ = 0;  // of the snapshot that is sent
  std::optional<SnapshotSender> sending_;
  std::optional<SnapshotReceiver> receiving_;
};

}  // namespace andyx::raft
