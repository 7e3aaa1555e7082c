// A loop on a thread of its own, a recording handler, and a connected pair of connections.
#pragma once

#include <doctest/doctest.h>

#include <condition_variable>
#include <cstring>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "protocol/net/loop.h"
#include "protocol/net/tcp.h"

namespace andyx::net {

// Far more than any test needs; only a hang reaches it.
inline constexpr auto kPatience = std::chrono::seconds(60);

class LoopThread {
 public:
  LoopThread() : loop_(Loop::create().value()), thread_([this] { loop_->run(); }) {}
  ~LoopThread() { stop(); }

  Loop& loop() { return *loop_; }
  void stop() {
    loop_->stop();
    if (thread_.joinable()) thread_.join();
  }
  // Runs `work` on the loop and waits for its result.
  template <typename Work>
  auto on(Work work) {
    std::packaged_task<decltype(work())()> task(std::move(work));
    auto result = task.get_future();
    REQUIRE(loop_->post([&task] { task(); }));
    REQUIRE(result.wait_for(kPatience) == std::future_status::ready);
    return result.get();
  }

 private:
  std::unique_ptr<Loop> loop_;
  std::thread thread_;
};

// Something that another thread waits for.
template <typename Value>
class Slot {
 public:
  void put(Value value) {
    std::lock_guard lock(mutex_);
    value_ = std::move(value);
    changed_.notify_all();
  }
  Value take() {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, kPatience, [this] { return value_.has_value(); }));
    Value value = std::move(*value_);
    value_.reset();
    return value;
  }
  bool empty() {
    std::lock_guard lock(mutex_);
    return !value_.has_value();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Value> value_;
};

// One end of a connection; owned and used on its loop, the slots from anywhere.
struct End : ConnectionHandler {
  std::unique_ptr<Connection> connection;
  std::function<void(SharedBytes)> frame = [](SharedBytes) {};
  std::function<void()> read_end = [] {};
  std::function<void()> writable = [] {};
  std::function<void(const Error&)> stream_error = [](const Error&) {};
  std::function<void()> closing = [] {};
  int closed_calls = 0;
  Slot<Error> closed;

  void own(std::unique_ptr<Connection> made) {
    connection = std::move(made);
    connection->set_handler(this);
  }
  void on_frame(Connection&, SharedBytes bytes) override { frame(std::move(bytes)); }
  void on_read_end(Connection&) override { read_end(); }
  void on_writable(Connection&) override { writable(); }
  void on_stream_error(Connection&, const Error& error) override { stream_error(error); }
  void on_closed(Connection&, const Error& reason) override {
    const Error copy = reason;
    ++closed_calls;
    closing();
    closed.put(copy);
  }
};

// Length prefix, number, then bytes that follow from the number: `size` in all, a multiple of 8.
inline frame::OutFrame numbered_frame(std::uint64_t number, std::size_t size) {
  REQUIRE(size >= 16);
  auto bytes = SharedBytes::allocate(size);
  const auto length = static_cast<std::uint32_t>(size - 4);
  std::memset(bytes.mutable_data(), static_cast<int>(number % 251), size);
  std::memcpy(bytes.mutable_data(), &length, sizeof length);
  std::memcpy(bytes.mutable_data() + 8, &number, sizeof number);
  return {.head = std::move(bytes), .payload = {}};
}

inline std::uint64_t number_of(const SharedBytes& frame) {
  std::uint64_t number;
  std::memcpy(&number, frame.data() + 8, sizeof number);
  return number;
}

inline bool is_intact(const SharedBytes& frame) {
  const auto filling = static_cast<std::uint8_t>(number_of(frame) % 251);
  for (std::size_t i = 16; i < frame.size(); ++i) {
    if (frame.data()[i] != filling) return false;
  }
  return true;
}

// A server end and a client end on two loops.
struct Pair {
  LoopThread server_loop, client_loop;
  End server, client;
  std::unique_ptr<Listener> listener;
  std::unique_ptr<Connecting> connecting;

  // The ends' functions must be set before.
  void open() {
    Slot<bool> accepted;
    const auto port = server_loop.on([&] {
      auto made = listen(server_loop.loop(), {"127.0.0.1", 0}, [&](std::unique_ptr<Connection> c) {
        server.own(std::move(c));
        accepted.put(true);
      });
      REQUIRE(made.has_value());
      listener = std::move(*made);
      return listener->port();
    });
    Slot<bool> connected;
    client_loop.on([&] {
      connecting = connect(client_loop.loop(), {"127.0.0.1", port}, 10'000, [&](auto made) {
        REQUIRE(made.has_value());
        client.own(std::move(*made));
        connected.put(true);
      });
    });
    connected.take();
    accepted.take();
  }
  ~Pair() {
    client_loop.stop();
    server_loop.stop();
  }
};

}  // namespace andyx::net
