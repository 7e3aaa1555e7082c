#include "tests/raft/host/raw_peer.h"

namespace andyx::raft {

RawPeer::RawPeer(std::uint16_t port) {
  end_.frame = [this](SharedBytes frame) {
    std::lock_guard lock(mutex_);
    frames_.push_back(std::move(frame));
    changed_.notify_all();
  };
  end_.closing = [this] {
    std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  };
  net::Slot<bool> connected;
  loop_.on([&] {
    connecting_ = net::connect(loop_.loop(), {"127.0.0.1", port}, 10'000, [&](auto made) {
      REQUIRE(made.has_value());
      end_.own(std::move(*made));
      connected.put(true);
    });
  });
  connected.take();
}

RawPeer::~RawPeer() {
  loop_.on([this] {
    connecting_.reset();
    end_.connection.reset();
  });
  loop_.stop();
}

void RawPeer::send(frame::OutFrame frame) {
  loop_.on([&] { end_.connection->send(std::move(frame)); });
}

void RawPeer::send_bytes(ByteSpan bytes) { send({.head = SharedBytes::copy_of(bytes)}); }

void RawPeer::send_messages(const std::vector<Message>& messages) {
  for (auto& frame : messages_frames(writer_, messages)) send(std::move(frame));
}

void RawPeer::hello(const Hello& hello) { send(hello_frame(writer_, hello)); }

void RawPeer::greet(PeerId from, PeerId to, const std::string& disk_id,
                    const std::string& cluster_id) {
  hello({.from = {.cluster_id = cluster_id, .id = from, .disk_id = disk_id}, .to = to});
  const auto answer = next();
  REQUIRE(answer.has_value());
  const auto& frame = root(*answer);
  if (const auto* refused = frame.body_as_ErrorReply()) {
    FAIL("refused: " << read_error(refused).message);
  }
  REQUIRE(frame.body_as_PeerHelloReply() != nullptr);
  CHECK(frame.body_as_PeerHelloReply()->from() == to);
}

std::optional<SharedBytes> RawPeer::next() {
  std::unique_lock lock(mutex_);
  REQUIRE(changed_.wait_for(lock, net::kPatience, [this] { return closed_ || !frames_.empty(); }));
  if (frames_.empty()) return std::nullopt;
  auto frame = std::move(frames_.front());
  frames_.pop_front();
  return frame;
}

Error RawPeer::next_error() {
  while (auto frame = next()) {
    if (const auto* error = root(*frame).body_as_ErrorReply()) return read_error(error);
  }
  FAIL("closed without a reason");
  return {};
}

bool RawPeer::closed_in_the_end() {
  while (next()) {
  }
  return true;
}

}  // namespace andyx::raft
