#include "server/balancer/relay.h"

#include <deque>
#include <unordered_set>
#include <utility>

#include "protocol/frame/frame_verify.h"
#include "server/balancer/relay_route.h"
#include "server/loop/client_connection.h"
#include "server/loop/core_loop.h"

namespace andyx::server {
namespace {

constexpr std::uint16_t kProtocolVersion = 1;
constexpr std::uint32_t kConnectTimeoutMs = 1'000;

frame::OutFrame whole(SharedBytes bytes) { return {.head = std::move(bytes)}; }

}  // namespace

// The connection to one node. What comes before its hello is done waits, within the client's own
// bound of bytes in flight: it is congested meanwhile.
class Relay::Upstream final : public net::ConnectionHandler {
 public:
  Upstream(Relay& relay, NodeId node, const net::Address& address)
      : relay_(relay), node_(node), address_(address) {
    connecting_ = net::connect(
        relay.client_.loop().net_loop(), address, kConnectTimeoutMs,
        [this](Result<std::unique_ptr<net::Connection>> made) { connected(std::move(made)); });
    relay_.set_congested(*this, true);
  }

  NodeId node() const { return node_; }
  bool congested = false;  // Relay's

  // `swallow`: its answer is not for the client, who gets another node's.
  void send(SharedBytes frame, std::uint64_t correlation_id, bool swallow) {
    if (swallow) swallowed_.insert(correlation_id);
    if (!up_) {
      waiting_.push_back({correlation_id, std::move(frame)});
      return;
    }
    if (!connection_->send(whole(std::move(frame)))) relay_.set_congested(*this, true);
  }

  void pause(bool paused) {
    if (!connection_) return;
    if (paused)
      connection_->pause_reading();
    else
      connection_->resume_reading();
  }

  // What was not sent: correlation ids, in order.
  std::vector<std::uint64_t> take_waiting() {
    std::vector<std::uint64_t> ids;
    for (const Waiting& one : std::exchange(waiting_, {})) {
      if (!swallowed_.contains(one.correlation_id)) ids.push_back(one.correlation_id);
    }
    return ids;
  }

  void on_frame(net::Connection&, SharedBytes frame) override {
    if (ended_) return;
    const auto verified = frame::verify_frame(frame.span());
    if (!verified) return end(verified.error());
    const protocol::Frame& root = **verified;
    if (!up_) return hello_answered(root);
    if (root.correlation_id() != 0 && swallowed_.erase(root.correlation_id()) > 0) return;
    relay_.from_node(*this, std::move(frame));
  }
  void on_read_end(net::Connection&) override {}
  void on_writable(net::Connection&) override { relay_.set_congested(*this, false); }
  void on_stream_error(net::Connection&, const Error& error) override { end(error); }
  void on_closed(net::Connection&, const Error& reason) override { end(reason); }

 private:
  struct Waiting {
    std::uint64_t correlation_id = 0;
    SharedBytes frame;
  };

  void connected(Result<std::unique_ptr<net::Connection>> made) {
    if (!made) return end(made.error());
    connection_ = std::move(*made);
    connection_->set_handler(this);
    auto& loop = relay_.client_.loop();
    connection_->send(frame_writer().write(0, [&](flatbuffers::FlatBufferBuilder& builder) {
      auto name = builder.CreateString(relay_.client_name_);
      auto version = builder.CreateString(ANDYX_VERSION);
      auto cluster = builder.CreateString(loop.image().cluster_id.text());
      auto from = builder.CreateString(relay_.client_.peer());
      protocol::HelloBuilder hello(builder);
      hello.add_min_version(kProtocolVersion);
      hello.add_max_version(kProtocolVersion);
      hello.add_client_name(name);
      hello.add_client_version(version);
      hello.add_cluster_id(cluster);
      hello.add_forwarded_for(from);
      return frame::Body{static_cast<std::uint8_t>(protocol::Body::Hello), hello.Finish().Union()};
    }));
  }

  void hello_answered(const protocol::Frame& root) {
    if (const auto* refused = root.body_as_ErrorReply()) {
      const std::string why = refused->message() ? refused->message()->str() : "no reason given";
      return end({ErrorCode::kUnreachable, "it refused the connection: " + why});
    }
    if (root.body_as_HelloReply() == nullptr)
      return end({ErrorCode::kUnreachable, "it did not answer the hello"});
    up_ = true;
    bool takes = true;
    for (Waiting& one : std::exchange(waiting_, {}))
      takes = connection_->send(whole(std::move(one.frame)));
    relay_.set_congested(*this, !takes);
    if (!relay_.client_takes_) connection_->pause_reading();
  }

  void end(const Error& reason) {
    if (std::exchange(ended_, true)) return;
    const Error told{reason.code, "node " + std::to_string(node_) + " at " + address_.text() +
                                      ": " + reason.message};
    if (up_)
      relay_.lost(*this, told);
    else
      relay_.unreachable(*this, told);
  }

  Relay& relay_;
  const NodeId node_;
  const net::Address address_;
  std::unique_ptr<net::Connecting> connecting_;
  std::unique_ptr<net::Connection> connection_;
  std::deque<Waiting> waiting_;
  std::unordered_set<std::uint64_t> swallowed_;
  bool up_ = false;  // hello done
  bool ended_ = false;
};

Relay::Relay(ClientConnection& client, std::string client_name)
    : client_(client), client_name_(std::move(client_name)) {}

Relay::~Relay() = default;

// ---- From the client ----

void Relay::on_frame(const protocol::Frame& root, SharedBytes frame) {
  const RelayRoute route = relay_route(client_.loop().image(), root);
  switch (route.kind) {
    case RelayRoute::Kind::kNode:
      if (route.opens_stream && route.node != 0) streams_[route.stream] = route.node;
      return to_node(route.node, root, std::move(frame));
    case RelayRoute::Kind::kStream: {
      const auto found = streams_.find(route.stream);
      const NodeId node = found == streams_.end() ? any_broker() : found->second;
      if (route.closes_stream && found != streams_.end()) streams_.erase(found);
      return to_node(node, root, std::move(frame));
    }
    case RelayRoute::Kind::kAny:
      return to_node(any_broker(), root, std::move(frame));
    case RelayRoute::Kind::kAll:
      return to_all(root, std::move(frame));
    case RelayRoute::Kind::kRefused:
      return client_.close_with_error({ErrorCode::kUnknownBody, "a second hello"});
  }
}

NodeId Relay::any_broker() {
  const Image& image = client_.loop().image();
  const auto known = image.find_node(control_);
  if (!known || !known->alive)
    control_ = relay_broker(image, client_.loop().node().config.node_id, client_.id());
  return control_;
}

Relay::Upstream* Relay::upstream(NodeId node) {
  const auto found = upstreams_.find(node);
  if (found != upstreams_.end()) return found->second.get();
  const auto record = client_.loop().image().find_node(node);
  if (!record) return nullptr;
  auto made = std::make_unique<Upstream>(*this, node, net::Address{record->host, record->port});
  return upstreams_.emplace(node, std::move(made)).first->second.get();
}

void Relay::to_node(NodeId node, const protocol::Frame& root, SharedBytes frame) {
  auto* there = node == 0 ? nullptr : upstream(node);
  if (there == nullptr) {
    return refuse(root, {ErrorCode::kNotMain,
                         node == 0 ? "no node can take this now"
                                   : "node " + std::to_string(node) + " is not known here"});
  }
  there->send(std::move(frame), root.correlation_id(), false);
}

// The answer is that of the node which any frame goes to.
void Relay::to_all(const protocol::Frame& root, SharedBytes frame) {
  const NodeId control = any_broker();
  for (const auto& [node, there] : upstreams_) {
    if (node != control) there->send(frame, root.correlation_id(), true);
  }
  to_node(control, root, std::move(frame));
}

void Relay::refuse(const protocol::Frame& root, const Error& error) {
  // Nobody waits for an answer to these.
  if (root.body_type() == protocol::Body::Credit) return;
  client_.push(error_frame(root.correlation_id(), error));
}

void Relay::client_takes(bool takes) {
  if (client_takes_ == takes) return;
  client_takes_ = takes;
  for (const auto& [node, there] : upstreams_) there->pause(!takes);
}

// ---- From the nodes ----

void Relay::from_node(Upstream&, SharedBytes frame) { client_.push(whole(std::move(frame))); }

// What was sent there may have been carried out, and streams have ended: the client has to begin
// anew, as after any lost connection.
void Relay::lost(Upstream&, const Error& reason) {
  client_.close_with_error({ErrorCode::kConnectionLost, reason.message});
}

// Nothing was sent there.
void Relay::unreachable(Upstream& upstream, const Error& reason) {
  const Error error{ErrorCode::kNotMain, reason.message};
  for (const std::uint64_t id : upstream.take_waiting()) client_.push(error_frame(id, error));
  set_congested(upstream, false);
  const NodeId node = upstream.node();
  std::erase_if(streams_, [node](const auto& entry) { return entry.second == node; });
  if (control_ == node) control_ = 0;
  auto taken = upstreams_.extract(node);
  // This is called from within it.
  ended_.push_back(std::move(taken.mapped()));
  client_.loop().net_loop().post([&loop = client_.loop(), id = client_.id()] {
    if (auto* client = loop.find_connection(id)) client->relay_turn_ended();
  });
}

void Relay::turn_ended() { ended_.clear(); }

void Relay::set_congested(Upstream& upstream, bool congested) {
  if (upstream.congested == congested) return;
  upstream.congested = congested;
  congested_ += congested ? 1u : ~0u;
  client_.relay_congestion_changed();
}

}  // namespace andyx::server
