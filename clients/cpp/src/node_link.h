// The connection to one node: connects, says hello, keeps alive, comes back with back-off; sends
// requests and hands each reply to whom asked. The client's thread only; lives as long as the
// client.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "frame_generated.h"
#include "protocol/base/ids.h"
#include "protocol/frame/frame_writer.h"
#include "protocol/net/tcp.h"

namespace andyx::client {

class NodeLink;

struct LinkOptions {
  std::string client_name, cluster_id;
  std::uint32_t connect_timeout_ms = 5'000;  // at most ping_timeout_ms counts
  std::uint32_t ping_timeout_ms = 3'000;     // a node that is asked and silent for so long is lost
  std::uint32_t doubt_ms = 1'000;            // and doubted before
  std::uint32_t backoff_min_ms = 20, backoff_max_ms = 1'000;
  std::uint64_t seed = 1;
  bool front_door = false;  // the node is asked to pass on what is for others
};

// Who wants the link to be up. A link without users does not reconnect.
class LinkUser {
 public:
  virtual void link_up(NodeLink& link) = 0;
  // It was up and is not any more, or an attempt to connect has failed.
  virtual void link_down(NodeLink& link, const Error& reason) = 0;
  // It is up, and silent(): told again and again while it stays so.
  virtual void link_silent(NodeLink& link) = 0;

 protected:
  ~LinkUser() = default;
};

// Who gets what the server pushes on a stream.
class StreamSink {
 public:
  virtual void deliver(std::uint32_t stream, const SharedBytes& frame,
                       const protocol::Deliver& body) = 0;
  virtual void stream_closed(std::uint32_t stream, const Error& error) = 0;

 protected:
  ~StreamSink() = default;
};

// Who gets what the coordinator says of an attachment.
class AttachmentSink {
 public:
  virtual void assigned(const protocol::Assigned& body) = 0;
  virtual void detached(const Error& error) = 0;

 protected:
  ~AttachmentSink() = default;
};

struct ReplyError : Error {
  Storedness stored = Storedness::kNotStored;
  bool retriable = false;
  std::uint32_t retry_after_ms = 0;
  struct Duplicate {
    std::uint32_t index;
    Offset offset;
  };
  std::vector<Duplicate> duplicates = {};  // of kDuplicateMessage
};
ReplyError local_error(ErrorCode code, std::string message);
ReplyError error_of(const protocol::ErrorReply& reply);

// A verified frame that is no error.
struct ReplyFrame {
  SharedBytes bytes;
  const protocol::Frame* frame;
  NodeLink* link = nullptr;  // of the node that answered
};
using Reply = std::expected<ReplyFrame, ReplyError>;
using OnReply = std::move_only_function<void(Reply)>;
using Fill = std::function<frame::Body(flatbuffers::FlatBufferBuilder&)>;

// The table of a request, as FrameWriter wants it.
template <typename Table>
frame::Body body_of(protocol::Body type, flatbuffers::Offset<Table> table) {
  return {static_cast<std::uint8_t>(type), table.Union()};
}

class NodeLink final : private net::ConnectionHandler {
 public:
  NodeLink(net::Loop& loop, net::Address address, const LinkOptions& options);
  ~NodeLink() override;

  const net::Address& address() const { return address_; }
  bool up() const { return state_ == State::kUp; }
  // Something is expected, and nothing has come for doubt_ms, no pong either.
  bool silent() const { return up() && silent_ms_ >= options_.doubt_ms; }
  const protocol::HelloReply* hello() const {
    return hello_.frame ? hello_.frame->body_as_HelloReply() : nullptr;
  }
  NodeId node() const { return hello() != nullptr ? hello()->node_id() : 0; }  // 0: not known
  // From now on every other cluster is refused, with kWrongCluster.
  void pin_cluster(const std::string& id) { options_.cluster_id = id; }

  void add_user(LinkUser* user);  // connects, where it does not yet; idempotent
  void remove_user(LinkUser* user);
  // From now on, over reconnects: somebody has a place that the server takes from the silent.
  void ping_at_least_every(std::uint32_t ms);

  // While up. `reply` is called once, from the loop: kConnectionLost when the link goes down first.
  void call(const Fill& fill, OnReply reply);
  using FillBatch = std::function<frame::Body(
      flatbuffers::FlatBufferBuilder&, flatbuffers::Offset<flatbuffers::Vector<std::uint8_t>>)>;
  void call_with_payload(SharedBytes payload, const FillBatch& fill, OnReply reply);
  void tell(const Fill& fill);  // nothing comes back

  void add_stream(std::uint32_t stream, StreamSink* sink) { streams_[stream] = sink; }
  void remove_stream(std::uint32_t stream) { streams_.erase(stream); }

  void add_attachment(std::uint32_t subscription, std::uint64_t epoch, AttachmentSink* sink) {
    attachments_[{subscription, epoch}] = sink;
  }
  void remove_attachment(std::uint32_t subscription, std::uint64_t epoch) {
    attachments_.erase({subscription, epoch});
  }
  void ping();  // while up; a sign of life

  // Closes for good; open requests fail with `reason`.
  void shut_down(const Error& reason);

 private:
  enum class State { kIdle, kConnecting, kHello, kUp, kWaiting, kShutDown };
  struct Waiting {
    std::uint64_t id;
    frame::OutFrame frame;
  };
  struct Pending {
    OnReply reply;
    std::size_t size_bytes = 0;
    bool sent = false;
  };

  void connect();
  void connected(Result<std::unique_ptr<net::Connection>> made);
  void say_hello();
  void hello_answered(ReplyFrame frame);
  bool is_other_cluster(const protocol::HelloReply& hello);
  void arm_keep_alive();
  void keep_alive();
  bool is_silent();
  bool is_waiting() const;
  void attempt_failed(const Error& reason);
  void lost(Error reason);
  void wait_and_reconnect();

  void submit(std::uint64_t id, frame::OutFrame frame, OnReply reply);
  bool has_room(std::size_t size_bytes) const;
  void send_now(std::uint64_t id, frame::OutFrame frame);
  void send_waiting();
  void fail_pending(const Error& reason);
  void answered(ReplyFrame frame);
  void pushed(ReplyFrame frame);
  AttachmentSink* attachment_sink(std::uint32_t subscription, std::uint64_t epoch) const;
  template <typename Notify>
  void for_each_user(Notify notify);

  void on_frame(net::Connection& connection, SharedBytes bytes) override;
  void on_read_end(net::Connection&) override {}
  void on_writable(net::Connection&) override {}
  void on_closed(net::Connection& connection, const Error& reason) override;

  net::Loop& loop_;
  const net::Address address_;
  LinkOptions options_;
  State state_ = State::kIdle;
  std::uint64_t random_;
  std::uint32_t failures_ = 0;
  std::uint64_t not_before_ms_ = 0;

  std::unique_ptr<net::Connecting> connecting_;
  std::unique_ptr<net::Connection> connection_;
  std::unique_ptr<net::Loop::Timer> timer_;  // back-off, then hello, then keep-alive
  ReplyFrame hello_{{}, nullptr};
  std::uint64_t idle_timeout_ms_;
  std::uint64_t ping_every_ms_ = limits::kKeepAliveIntervalMs;
  // What keep_alive() saw the last time.
  std::uint64_t check_every_ms_ = 0;
  std::uint64_t heard_ms_ = 0;    // when something was received last
  std::size_t unsent_bytes_ = 0;  // still queued
  std::uint64_t pinged_ms_ = 0;   // when the last ping was sent
  // While something is waited for. Counted in looks, not by the clock: a program that was stopped
  // itself for a while has answers waiting in its socket.
  std::uint64_t silent_ms_ = 0;

  frame::FrameWriter writer_;
  std::uint64_t next_id_ = 1;
  std::unordered_map<std::uint64_t, Pending> pending_;
  std::deque<Waiting> waiting_;  // over the connection's bounds
  std::size_t in_flight_bytes_ = 0;
  std::size_t in_flight_ = 0;

  std::unordered_map<std::uint32_t, StreamSink*> streams_;
  std::map<std::pair<std::uint32_t, std::uint64_t>, AttachmentSink*>
      attachments_;  // by subscription and attach epoch
  std::vector<LinkUser*> users_;
};

}  // namespace andyx::client
