// A node as its peers see it, for tests: answers hello as it was told, then whatever the test
// wants. On a loop of its own; may stop and come back on the same port.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "frame_generated.h"
#include "protocol/frame/frame_verify.h"
#include "protocol/frame/frame_writer.h"
#include "server/metadata/image.h"
#include "tests/net/net_fixture.h"

namespace andyx::server::test {

inline constexpr Uuid kCluster{7, 7};

template <typename Condition>
void wait_until(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + net::kPatience;
  while (!condition()) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

class FakeNode {
 public:
  struct Session final : net::ConnectionHandler {
    FakeNode* node = nullptr;
    std::unique_ptr<net::Connection> connection;
    frame::FrameWriter writer;

    template <typename Make>  // make(builder) -> offset of a table
    void send(std::uint64_t request, protocol::Body type, Make make) {
      connection->send(writer.write(request, [&](flatbuffers::FlatBufferBuilder& builder) {
        return frame::Body{static_cast<std::uint8_t>(type), make(builder).Union()};
      }));
    }
    void done(std::uint64_t request) {
      send(request, protocol::Body::Done, [](auto& b) { return protocol::CreateDone(b); });
    }
    void error(std::uint64_t request, ErrorCode code, const std::string& message,
               NodeId node_id = 0) {
      send(request, protocol::Body::ErrorReply, [&](auto& b) {
        const auto text = b.CreateString(message);
        protocol::ErrorReplyBuilder reply(b);
        reply.add_code(static_cast<std::uint16_t>(code));
        reply.add_message(text);
        reply.add_node(node_id);
        return reply.Finish();
      });
    }
    void on_frame(net::Connection&, SharedBytes bytes) override {
      node->received(*this, std::move(bytes));
    }
    void on_read_end(net::Connection&) override {}
    void on_writable(net::Connection&) override {}
    void on_closed(net::Connection&, const Error&) override { node->lost(this); }
  };
  // Anything but hello and ping. On the node's loop.
  using Serve = std::function<void(Session&, const protocol::Frame&)>;

  FakeNode(NodeId node_id, Serve serve) : id(node_id), serve_(std::move(serve)) { start(); }
  ~FakeNode() { end(); }
  // Its thread ends: nothing is served any more.
  void end() {
    thread_.stop();
    sessions_.clear();
    listener_.reset();
  }
  net::Loop& loop() { return thread_.loop(); }

  // State: on its loop, or before anybody connects.
  NodeId id;
  std::uint64_t incarnation = 1;
  Uuid cluster = kCluster;
  bool answers_pings = true;
  std::uint32_t hellos = 0, pings = 0;
  NodeId seen_node = 0;  // of the last hello
  std::uint64_t seen_incarnation = 0;
  std::string seen_cluster, seen_name;
  std::function<bool(Session&, std::uint64_t id)> on_hello;  // true: it has answered

  net::Address address() const { return {"127.0.0.1", port_}; }
  template <typename Work>
  auto on(Work work) {
    return thread_.on(std::move(work));
  }
  void stop() {
    on([this] {
      listener_.reset();
      sessions_.clear();
    });
  }
  void start() {
    on([this] {
      auto made = net::listen(thread_.loop(), {"127.0.0.1", port_}, [this](auto connection) {
        auto session = std::make_unique<Session>();
        session->node = this;
        session->connection = std::move(connection);
        session->connection->set_handler(session.get());
        sessions_.push_back(std::move(session));
      });
      REQUIRE(made.has_value());
      listener_ = std::move(*made);
      port_ = listener_->port();
    });
  }
  std::vector<std::unique_ptr<Session>>& sessions() { return sessions_; }
  // On its loop: at the end of this turn every connection is gone.
  void drop_sessions_later() {
    thread_.loop().at_end_of_turn([this] { sessions_.clear(); });
  }

 private:
  void received(Session& session, SharedBytes bytes) {
    const auto verified = frame::verify_frame(bytes.span());
    REQUIRE(verified.has_value());
    const protocol::Frame& frame = **verified;
    if (const auto* hello = frame.body_as_Hello()) {
      ++hellos;
      seen_node = hello->node_id();
      seen_incarnation = hello->incarnation();
      seen_cluster = hello->cluster_id()->str();
      seen_name = hello->client_name()->str();
      if (on_hello && on_hello(session, frame.correlation_id())) return;
      return session.send(frame.correlation_id(), protocol::Body::HelloReply, [&](auto& b) {
        return protocol::CreateHelloReplyDirect(b, 1, "fake", cluster.text().c_str(), id,
                                                incarnation);
      });
    }
    if (frame.body_as_Ping() != nullptr) {
      ++pings;
      if (!answers_pings) return;
      return session.send(frame.correlation_id(), protocol::Body::Pong,
                          [](auto& b) { return protocol::CreatePong(b); });
    }
    serve_(session, frame);
  }
  void lost(Session* session) {
    std::erase_if(sessions_, [&](const auto& one) { return one.get() == session; });
  }

  Serve serve_;
  net::LoopThread thread_;
  std::unique_ptr<net::Listener> listener_;
  std::vector<std::unique_ptr<Session>> sessions_;
  std::uint16_t port_ = 0;
};

// An image in which these nodes have these addresses.
inline Image image_of(const std::vector<const FakeNode*>& nodes, Uuid cluster = kCluster) {
  Image image;
  image.cluster_id = cluster;
  for (const FakeNode* node : nodes) {
    NodeRecord record;
    record.id = node->id;
    record.disk_id = {1, node->id};
    record.incarnation = node->incarnation;
    record.host = node->address().host;
    record.port = node->address().port;
    image.nodes.put(std::make_shared<const NodeRecord>(std::move(record)));
  }
  return image;
}

}  // namespace andyx::server::test
