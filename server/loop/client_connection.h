// One client, or another node of the cluster: its hello, the requests it has in flight, its
// streams. Cuts nothing and decides nothing itself: frames come whole from net::Connection, bodies
// go to server/handlers. Owned by its CoreLoop.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "protocol/base/ids.h"
#include "protocol/net/tcp.h"
#include "server/balancer/relay.h"
#include "server/loop/reply.h"
#include "server/replication/pull_sessions.h"

namespace andyx::server {

// Shared by a connection with the partitions that deliver to it from other loops: how much they may
// still send before its socket has taken what it has. Atomics: no lock on the way of a message.
struct DeliveryGate {
  std::atomic<bool> congested{false};      // its send queue is over the bound
  std::atomic<std::size_t> in_transit{0};  // bytes between a partition's loop and the connection's
  std::atomic<bool> someone_waits{false};  // a partition stopped for it and wants to be told

  static constexpr std::size_t kMaxInTransitBytes = 4 * limits::kMiB;
  bool open() const {
    return !congested.load(std::memory_order_relaxed) &&
           in_transit.load(std::memory_order_relaxed) < kMaxInTransitBytes;
  }
};

// Where the frames of a stream go.
struct StreamTarget {
  CoreLoop* home = nullptr;
  std::uint64_t connection_id = 0;
  std::uint32_t stream = 0;  // the client's name for it
  std::shared_ptr<DeliveryGate> gate;
};

// A stream as its connection knows it.
struct StreamRoute {
  CoreLoop* owner = nullptr;
  PartitionId partition = 0;
  SubscriptionId subscription = 0;
};

// An attachment as its connection knows it, for detaching when the connection ends.
struct Attachment {
  CoreLoop* coordinator = nullptr;
  SubscriptionId subscription = 0;
  std::uint64_t attach_epoch = 0;
};

// A named producer that the connection has open, for freeing its place when the connection ends.
struct OpenProducerPlace {
  CoreLoop* home = nullptr;  // keeps the places
  TopicId topic = 0;
  std::string name;
  ProducerId producer_id = 0;
  bool single = false;
};

// A connection that goes to another loop, with the request that it is to begin with.
struct MovingConnection {
  net::LooseConnection socket;
  std::string client_name;
  SharedBytes frame;
};

class ClientConnection final : public net::ConnectionHandler {
 public:
  ClientConnection(CoreLoop& loop, std::uint64_t id, std::unique_ptr<net::Connection> connection);

  std::uint64_t id() const { return id_; }
  CoreLoop& loop() { return loop_; }
  const std::string& peer() const { return connection_->peer(); }

  // `node_id` 0: a client. The incarnation is that of the node.
  void hello_done(std::string client_name, NodeId node_id, std::uint64_t incarnation);
  // As its hello said, and as far as this node can tell true: the node that speaks here. 0: a
  // client, or no hello yet.
  NodeId node_id() const { return node_id_; }
  std::uint64_t node_incarnation() const { return node_incarnation_; }
  // Heartbeats of that node come over this connection: its end is told to the controller.
  void carries_session() { carries_session_ = true; }
  // One for the connection, made by `make()` when it is first asked for.
  template <typename Make>
  const std::shared_ptr<ReplicaLink>& replica_link(Make&& make) {
    if (!replica_link_) replica_link_ = make();
    return replica_link_;
  }
  // From here on its frames are passed on to the nodes that they are for.
  void begin_relay();
  void relay_turn_ended();
  void relay_congestion_changed() { throttle(); }
  void answer(std::optional<frame::OutFrame> frame, std::size_t charged_bytes);
  void push(frame::OutFrame frame);
  void close(Error reason);             // after the queue is sent
  void close_with_error(Error reason);  // the same, after an error frame
  // Once a second: hello overdue, or silent for too long. A connection with consumers may be silent
  // for limits::kConsumerSessionMs only: what they hold goes to others then.
  void check_idle(std::uint64_t now_ms, std::uint32_t idle_timeout_ms);

  std::unordered_map<std::uint32_t, StreamRoute>& streams() { return streams_; }
  void add_attachment(const Attachment& attachment) { attachments_.push_back(attachment); }
  // Nothing where it is not there. With the last one of a subscription go its streams, unless it
  // is only the coordinator that has gone.
  enum class Streams { kEnd, kKeep };
  std::optional<Attachment> remove_attachment(SubscriptionId subscription,
                                              std::uint64_t attach_epoch,
                                              Streams streams = Streams::kEnd);
  std::vector<OpenProducerPlace>& producers() { return producers_; }
  const std::shared_ptr<DeliveryGate>& gate() const { return gate_; }
  void in_transit_arrived(std::size_t bytes);
  void try_resume() {
    if (paused_) throttle();
  }
  // To where the partition is that it produces to. It is destroyed by that, unless it could not go.
  void move_to(CoreLoop& owner);
  // As it came from another loop.
  void arrived(std::string client_name, SharedBytes frame);
  // The connection has ended: its streams and attachments with it.
  void release_streams();
  void release_producers();
  void close_stream(std::uint32_t stream);  // nothing happens where there is none
  void close_streams(SubscriptionId subscription);

  void on_frame(net::Connection& connection, SharedBytes frame) override;
  void on_read_end(net::Connection& connection) override;
  void on_writable(net::Connection& connection) override;
  void on_stream_error(net::Connection& connection, const Error& error) override;
  void on_closed(net::Connection& connection, const Error& reason) override;

 private:
  CoreLoop* better_loop(const protocol::Frame& root);
  bool may_move() const;
  void handle(const protocol::Frame& root, SharedBytes frame);
  void tell_session_closed();
  void tell_closed(std::uint32_t stream, const StreamRoute& route);
  bool over_budget() const;
  // Others wait for what this connection has: it may be silent for kConsumerSessionMs only.
  bool has_session_claims() const;
  void throttle();
  void send(frame::OutFrame frame);
  void wake_streams();
  bool takes_nothing(std::uint64_t now_ms);

  CoreLoop& loop_;
  std::uint64_t id_;
  std::unique_ptr<net::Connection> connection_;
  std::shared_ptr<DeliveryGate> gate_ = std::make_shared<DeliveryGate>();
  std::unordered_map<std::uint32_t, StreamRoute> streams_;
  std::vector<Attachment> attachments_;
  std::vector<OpenProducerPlace> producers_;
  std::string client_name_;
  NodeId node_id_ = 0;
  std::uint64_t node_incarnation_ = 0;
  std::shared_ptr<ReplicaLink> replica_link_;
  std::unique_ptr<Relay> relay_;  // null: this node answers itself
  std::uint64_t opened_ms_;
  std::uint64_t stuck_since_ms_ = 0;  // nothing of what is queued could be sent since
  std::size_t queued_bytes_ = 0;      // at the last look
  // The loop of the partition that it has produced to so often in a row.
  CoreLoop* produces_to_ = nullptr;
  std::uint32_t in_a_row_ = 0;
  SharedBytes first_elsewhere_;  // while it moves: the request to begin with
  std::uint32_t requests_in_flight_ = 0;
  std::size_t bytes_in_flight_ = 0;
  bool hello_done_ = false;
  bool carries_session_ = false;
  bool closing_ = false;
  bool paused_ = false;
};

}  // namespace andyx::server
