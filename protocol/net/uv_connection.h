// What stands behind a Connection: the socket, the reader, the send queue. Shared by the Connection
// (its owner's face), libuv (until the handle is closed) and end-of-turn tasks; the loop's thread
// only.
#pragma once

#include <uv.h>

#include <memory>
#include <string>

#include "protocol/net/tcp.h"
#include "protocol/net/uv_loop.h"
#include "protocol/net/uv_send_queue.h"

namespace andyx::net {

class UvConnection final : public Closable, public std::enable_shared_from_this<UvConnection> {
 public:
  // With an initialised handle; nullptr when the loop refuses it.
  static std::shared_ptr<UvConnection> make(UvLoop& loop);

  uv_tcp_t* tcp() { return &tcp_; }
  uv_stream_t* stream() { return reinterpret_cast<uv_stream_t*>(&tcp_); }
  // The socket is connected: sets its options and makes the owner's face.
  std::unique_ptr<Connection> established();
  void receive_again(const SharedBytes& bytes);  // that came before it was on this loop
  // Closes without lingering; on_closed follows from the loop, where there is somebody to tell.
  void abort(Error reason);
  void loop_stops() override;

 private:
  class Face;
  enum class State { kOpen, kLingering, kClosing, kClosed };

  explicit UvConnection(UvLoop& loop) : loop_(loop) {}
  static UvConnection& of(void* data) {
    return *static_cast<UvConnection*>(static_cast<Closable*>(data));
  }

  void set_handler(ConnectionHandler* handler);
  void orphan();  // the face is gone: close silently
  void close(std::uint32_t linger_ms, Error reason);
  std::optional<LooseConnection> let_go();

  void start_reading();
  void on_read(ssize_t n);
  void deliver_frames();
  void pause_reading();
  void resume_reading();
  bool may_deliver() const { return state_ == State::kOpen && handler_ != nullptr && !paused_; }

  bool send(frame::OutFrame frame);
  void flush();
  bool write_now();
  void write_later();
  void cannot_write(int why);
  void sent(std::size_t bytes);
  void shut_down();
  void closed();

  UvLoop& loop_;
  uv_tcp_t tcp_{};
  uv_write_t write_{};
  uv_shutdown_t shutdown_{};
  std::shared_ptr<UvConnection> self_;  // held while libuv knows the handle
  Connection* face_ = nullptr;
  ConnectionHandler* handler_ = nullptr;

  State state_ = State::kOpen;
  Error reason_;
  std::unique_ptr<Loop::Timer> linger_;

  frame::FrameReader reader_;
  std::uint64_t last_received_ms_ = 0;
  bool reading_ = false, paused_ = false, delivering_ = false;

  SendQueue queue_;
  std::size_t unflushed_bytes_ = 0;
  std::size_t writing_bytes_ = 0;  // given to uv_write, still queued
  bool flush_scheduled_ = false, over_bound_ = false, shutting_down_ = false;
  bool peer_reads_no_more_ = false, peer_has_ended_ = false;
  std::string peer_;
};

}  // namespace andyx::net
