// Frame connections over TCP: receiving through a FrameReader, sending through a bounded queue that
// is written with one writev for many frames. Owned by one loop; every call and callback on its
// thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "protocol/base/error.h"
#include "protocol/base/shared_bytes.h"
#include "protocol/frame/frame_reader.h"
#include "protocol/frame/frame_writer.h"
#include "protocol/net/loop.h"

namespace andyx::net {

struct Address {
  std::string host;  // name or number
  std::uint16_t port = 0;
  static Result<Address> parse(std::string_view text);  // HOST:PORT, [v6]:PORT; kBadArgument
  std::string text() const;
};

// Does the address name this machine only (127.0.0.0/8, ::1, localhost)? Any thread.
bool is_loopback(const Address& address);

// A connection on its way from one loop to another: the socket, and what was received and not
// handed out yet. Closes the socket where nobody takes it over.
class LooseConnection {
 public:
  LooseConnection(int fd, SharedBytes unread) : fd_(fd), unread_(std::move(unread)) {}  // owns `fd`
  LooseConnection(LooseConnection&& other) noexcept;
  LooseConnection& operator=(LooseConnection&& other) noexcept;
  ~LooseConnection();

 private:
  friend Result<std::unique_ptr<class Connection>> take_over(Loop& loop, LooseConnection loose);
  int fd_ = -1;
  SharedBytes unread_;
};

class Connection;

class ConnectionHandler {
 public:
  virtual ~ConnectionHandler() = default;
  // A whole frame, size prefix included; not yet verified.
  virtual void on_frame(Connection& connection, SharedBytes frame) = 0;
  // After the frames of one read: a place to coalesce work.
  virtual void on_read_end(Connection& connection) = 0;
  // The send queue has fallen under half of its bound, after it was over it.
  virtual void on_writable(Connection& connection) = 0;
  // The received bytes are no frames (kFrameTooLarge, kBadFrame). What is sent from here is still
  // delivered (within a second); then the connection closes with this error.
  virtual void on_stream_error(Connection&, const Error&) {}
  // Once, last call: closed by the peer, by close(), or by an error (kConnectionLost,
  // kFrameTooLarge, …). The connection must not be used afterwards (it is destroyed after this
  // returns).
  virtual void on_closed(Connection& connection, const Error& reason) = 0;
};

class Connection {
 public:
  virtual ~Connection() = default;

  virtual void set_handler(
      ConnectionHandler* handler) = 0;  // before the first loop turn; not owned
  // Queues; flushed at the end of the loop turn (or when 256 KiB have gathered). Never blocks or
  // reorders. Returns false when the queue is over kMaxQueuedSendBytesPerConnection: the frame is
  // queued all the same; stop producing until on_writable.
  virtual bool send(frame::OutFrame frame) = 0;
  virtual std::size_t queued_bytes() const = 0;

  // Reading may be paused for back-pressure; frames already received are kept.
  virtual void pause_reading() = 0;
  virtual void resume_reading() = 0;

  // Closes after what is queued was sent (at most `linger_ms`), or at once with 0.
  virtual void close(std::uint32_t linger_ms, Error reason) = 0;

  // Takes it off this loop: the handler hears nothing more, the peer notices nothing. Nothing is
  // returned, and all stays as it is, while frames wait to be sent or it closes.
  virtual std::optional<LooseConnection> let_go() = 0;

  virtual std::uint64_t last_received_ms() const = 0;  // loop's now_ms of the last bytes
  virtual std::size_t receive_charged_bytes() const = 0;
  virtual const std::string& peer() const = 0;  // "127.0.0.1:4711"
  virtual frame::FrameReader& reader() = 0;
};

// Goes on with a connection that another loop let go of. kConnectionLost. Loop thread.
Result<std::unique_ptr<Connection>> take_over(Loop& loop, LooseConnection loose);

// Several loops of one process listen on the same port by SO_REUSEPORT.
class Listener {
 public:
  virtual ~Listener() = default;  // stops accepting; loop thread
  virtual std::uint16_t port() const = 0;
};

// Accepted connections: the callee owns them. Loop thread.
using OnAccept = std::function<void(std::unique_ptr<Connection>)>;

// The right to listen on an address, as long as it lives: a socket that is bound there and does not
// listen, so that another server which starts meanwhile is refused and this one's loops are not.
class AddressClaim {
 public:
  AddressClaim(Address address, int fd) : address_(std::move(address)), fd_(fd) {}  // owns `fd`
  AddressClaim(AddressClaim&& other) noexcept;
  AddressClaim& operator=(AddressClaim&& other) noexcept;
  ~AddressClaim();
  const Address& address() const { return address_; }  // with the port that was picked

 private:
  Address address_;
  int fd_ = -1;
};

// Makes sure that nobody else listens there or has claimed it (kAddressInUse names the address) and
// picks the port when it is 0. Call once, before the loops listen, and keep it while they do. Of
// several that claim one address at the same instant exactly one gets it. Any thread; may wait for
// some 100 ms.
Result<AddressClaim> claim_address(const Address& address);
Result<std::unique_ptr<Listener>> listen(Loop& loop, const Address& address, OnAccept on_accept);

// Connects; `done` is called once, on the loop: with a connection, or kUnreachable / kTimedOut.
// Destroying the returned handle cancels; then, and when the loop stops first, `done` is not
// called.
class Connecting {
 public:
  virtual ~Connecting() = default;
};
using OnConnected = std::function<void(Result<std::unique_ptr<Connection>>)>;
std::unique_ptr<Connecting> connect(Loop& loop, const Address& address, std::uint32_t timeout_ms,
                                    OnConnected done);

// Process-wide, once at start: ignores SIGPIPE, raises RLIMIT_NOFILE to its hard limit and returns
// it.
std::uint64_t prepare_process();

// Calls `fire` on the loop for SIGTERM and SIGINT until destroyed.
class SignalWatch {
 public:
  virtual ~SignalWatch() = default;
};
std::unique_ptr<SignalWatch> watch_termination(Loop& loop, std::function<void(int)> fire);

}  // namespace andyx::net
