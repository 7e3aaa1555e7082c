// A peer made of bare frames, that says what it likes.
#pragma once

#include <doctest/doctest.h>

#include <deque>
#include <functional>
#include <optional>

#include "frame_generated.h"
#include "protocol/frame/frame_verify.h"
#include "raft/host/peer_wire.h"
#include "tests/net/net_fixture.h"

namespace andyx::raft {

class RawPeer {
 public:
  explicit RawPeer(std::uint16_t port);
  ~RawPeer();

  void send(frame::OutFrame frame);
  void send_bytes(ByteSpan bytes);
  template <typename Fill>
  void send_body(Fill&& fill) {
    frame::FrameWriter writer;
    send(writer.write(0, std::forward<Fill>(fill)));
  }
  void send_messages(const std::vector<Message>& messages);
  void hello(const Hello& hello);
  // Says hello and waits for the answer.
  void greet(PeerId from, PeerId to, const std::string& disk_id,
             const std::string& cluster_id = "test");

  // The next frame; nothing once the connection is closed.
  std::optional<SharedBytes> next();
  // Skips other frames. Fails the test when the connection closes without one.
  Error next_error();
  bool closed_in_the_end();  // skips all frames

  static const protocol::Frame& root(const SharedBytes& frame) {
    const auto verified = frame::verify_frame(frame.span());
    REQUIRE(verified.has_value());
    return **verified;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<SharedBytes> frames_;
  bool closed_ = false;
  net::End end_;
  frame::FrameWriter writer_;
  std::unique_ptr<net::Connecting> connecting_;
  net::LoopThread loop_;
};

}  // namespace andyx::raft
