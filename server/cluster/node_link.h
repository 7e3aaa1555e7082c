// One connection to another node, as NodeLinks keeps it: connects, says hello and checks the
// answer, keeps alive, comes back with back-off; sends requests and hands each answer to whom
// asked. The thread of its loop.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "server/cluster/node_links.h"

namespace andyx::server {

// What the other side has to be.
struct NodePin {
  NodeId node = 0;                // 0: any
  Uuid cluster_id;                // zero: any
  std::uint64_t incarnation = 0;  // or a newer one

  bool operator==(const NodePin&) const = default;
};

class NodeLink final : private net::ConnectionHandler {
 public:
  class Owner {
   public:
    virtual void link_up(NodeLink& link) = 0;
    // It was up and is not any more, or an attempt to connect has failed.
    virtual void link_down(NodeLink& link, const Error& reason) = 0;
    virtual void link_pushed(NodeLink& link, NodeFrame frame) = 0;

   protected:
    ~Owner() = default;
  };

  // Connects at once. The owner outlives the link; a callback may end() it, not destroy it.
  NodeLink(net::Loop& loop, const NodeLinksOptions& options, net::Address address, NodePin pin,
           Owner& owner);
  ~NodeLink() override;

  const net::Address& address() const { return address_; }
  NodeId node() const { return pin_.node; }
  bool up() const { return state_ == State::kUp; }
  bool ended() const { return state_ == State::kEnded; }
  bool idle() const { return calls_.empty(); }

  // Another address, or a newer incarnation: connects to it without waiting for the back-off. What
  // was connected to another address, or does not fit the pin, is closed first.
  void repin(net::Address address, NodePin pin);

  // Room for one more request: kOverloaded otherwise.
  Status check_room() const;
  // `id`: the frame's correlation id.
  void call(std::uint64_t id, frame::OutFrame frame, std::uint32_t timeout_ms,
            NodeLinks::Done done);
  bool can_tell() const;
  void tell(frame::OutFrame frame);  // while can_tell()

  // Closes for good; open calls are answered with `reason`. No events follow.
  void end(const Error& reason);

 private:
  enum class State { kWaiting, kConnecting, kHello, kUp, kEnded };
  struct Call {
    NodeLinks::Done done;  // null: its time was up, and the peer still owes the answer
    std::optional<frame::OutFrame> frame;  // not sent yet
    std::size_t size_bytes = 0;
    std::uint64_t deadline_ms = 0;
  };

  void connect();
  void connected(Result<std::unique_ptr<net::Connection>> made);
  void say_hello();
  void hello_answered(NodeFrame frame);
  Status check_hello(const protocol::Frame& frame);
  Status check_peer() const;  // does it fit the pin?
  void keep_alive();
  void ping();
  void lost(Error reason);
  void fail_calls(const Error& sent, const Error& not_sent);

  bool window_open(std::size_t size_bytes) const;
  void send_waiting();
  void send(frame::OutFrame frame);
  void answered(NodeFrame frame);
  void arm_deadline();
  void expire();

  void on_frame(net::Connection& connection, SharedBytes bytes) override;
  void on_read_end(net::Connection&) override {}
  void on_writable(net::Connection&) override {}
  void on_closed(net::Connection&, const Error& reason) override { lost(reason); }

  net::Loop& loop_;
  const NodeLinksOptions options_;
  net::Address address_;
  NodePin pin_;
  Owner& owner_;
  State state_ = State::kWaiting;
  std::uint32_t failures_ = 0;  // in a row
  struct {
    std::string cluster_id;
    NodeId node = 0;
    std::uint64_t incarnation = 0;
  } peer_;  // as its hello said
  std::uint64_t random_;

  std::unique_ptr<net::Connecting> connecting_;
  std::unique_ptr<net::Connection> connection_;
  std::unique_ptr<net::Loop::Timer> timer_;  // back-off, then hello, then keep-alive
  std::unique_ptr<net::Loop::Timer> deadline_timer_;
  std::uint32_t silent_ticks_ = 0;  // of the keep-alive, in a row
  std::uint64_t seen_received_ms_ = 0;
  bool sent_since_tick_ = false;

  frame::FrameWriter writer_;
  std::unordered_map<std::uint64_t, Call> calls_;
  std::deque<std::uint64_t> waiting_;                            // ids of calls not sent yet
  std::set<std::pair<std::uint64_t, std::uint64_t>> deadlines_;  // (when, id)
  std::size_t waiting_bytes_ = 0;
  std::size_t in_flight_ = 0, in_flight_bytes_ = 0;
};

}  // namespace andyx::server
