// One TCP connection to a peer on this machine, which writes and reads at the same time, so that
// neither waits for the other. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/base/error.h"
#include "tools/bench/limit_socket.h"

namespace andyx::compare {

class Connection {
 public:
  static Result<Connection> open(std::uint16_t port);

  // To be sent: append here.
  std::string& out() { return out_; }
  bool out_is_full() const { return out_.size() - sent_ >= kEnoughQueued; }

  // Received and not taken yet.
  std::string_view in() const { return std::string_view(in_).substr(taken_); }
  void take(std::size_t count) { taken_ += count; }

  // Writes and reads what is possible now; with `wait`, at least something, within `kSilenceMs`.
  // kTimedOut, kConnectionLost, kIo.
  Status exchange(bool wait);
  // Until `count` bytes are in in().
  Status await(std::size_t count);

 private:
  static constexpr std::size_t kEnoughQueued = 256 * 1024;
  static constexpr int kSilenceMs = 60'000;

  explicit Connection(bench::FileDescriptor socket) : socket_(std::move(socket)) {}
  Status write_some();
  Status read_some();

  bench::FileDescriptor socket_;
  std::string out_, in_;
  std::size_t sent_ = 0, taken_ = 0;
};

}  // namespace andyx::compare
