// A server of a few hundred lines for the tests of the client: one topic
// "default/default/default/t" in memory, idempotent producing, one subscription; and what a test
// wants to go wrong. Its state belongs to its loop: use on(). Several of them make a cluster
// (fake_cluster.h): they share a loop, and the state of the first one.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "frame_generated.h"
#include "protocol/batch/batch_reader.h"
#include "protocol/frame/frame_verify.h"
#include "protocol/frame/frame_writer.h"
#include "tests/net/net_fixture.h"

namespace andyx::test {

inline constexpr const char* kTopic = "default/default/default/t";
inline constexpr std::uint32_t kTopicId = 7;

class FakeServer {
 public:
  struct Session;
  // A request, before the server looks at it. True: the test has dealt with it.
  using Intercept = std::function<bool(Session&, const protocol::Frame&)>;

  struct Session final : net::ConnectionHandler {
    FakeServer* server = nullptr;
    std::unique_ptr<net::Connection> connection;
    frame::FrameWriter writer;

    void on_frame(net::Connection&, SharedBytes bytes) override {
      server->received(*this, std::move(bytes));
    }
    void on_read_end(net::Connection&) override {}
    void on_writable(net::Connection&) override {}
    void on_closed(net::Connection&, const Error&) override { server->lost(this); }

    template <typename Make>  // make(builder) -> offset of a table
    void reply(std::uint64_t id, protocol::Body type, Make make) {
      connection->send(writer.write(id, [&](flatbuffers::FlatBufferBuilder& builder) {
        return frame::Body{static_cast<std::uint8_t>(type), make(builder).Union()};
      }));
    }
    void done(std::uint64_t id) {
      reply(id, protocol::Body::Done, [](auto& b) { return protocol::CreateDone(b); });
    }
    // As the real server answers it.
    void error(std::uint64_t id, ErrorCode code, std::string message = "refused by the test",
               NodeId node = 0);
  };

  explicit FakeServer(std::uint32_t partitions = 1);
  explicit FakeServer(FakeServer& world);  // another node, with the state of `world`
  ~FakeServer();

  std::uint16_t port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  // Runs on the server's loop and waits.
  template <typename Work>
  auto on(Work work) {
    return thread_->on(std::move(work));
  }
  void intercept(Intercept intercept) {
    on([&] { intercept_ = std::move(intercept); });
  }
  void drop_connections();  // at once
  void stop_listening();    // and drops them; the port stays ours
  void listen_again();
  // As a process that SIGSTOP stops: connections stay and nothing is answered, until it is woken.
  void hang();
  void wake();
  // What the coordinator says: from now on these partitions, with these epochs; or that it is over.
  void assign(std::map<std::uint32_t, std::uint64_t> partitions);
  void detach(ErrorCode code, NodeId node = 0);
  // Ends the stream of a partition.
  void end_stream(std::uint32_t partition, ErrorCode code, NodeId node = 0);
  // Pushes batches of the log to the open stream of a partition.
  void deliver(std::uint32_t partition, Offset first, Offset last);

  // What a node of a cluster believes; of a single server there is none.
  struct View {
    std::uint64_t version = 1;
    std::map<NodeId, std::uint16_t> nodes;  // ports
    std::vector<NodeId> mains;              // by partition; 0: none
    std::vector<MainEpoch> epochs;
    NodeId coordinator = 0;
  };

  // ---- State, on the loop ----
  NodeId node_id = 0;  // 0: no cluster
  std::string cluster_id = "fake-cluster";
  View view;   // what this node tells
  View truth;  // what is; of the world only
  struct Partition {
    std::vector<SharedBytes> batches;  // with offsets
    std::vector<std::string> payloads;
    std::map<std::uint64_t, Offset> message_ids;
    std::map<std::uint64_t, std::map<std::uint64_t, Offset>>
        sequences;  // producer, each epoch by itself -> sequence -> offset
  };
  struct Stream {
    Session* session;
    std::uint32_t id;
    std::uint64_t credit_bytes, credit_messages;
    std::uint64_t epoch;
    std::uint32_t ack_timeout_ms, max_deliveries;
  };
  struct Opened {  // each ProducerOpen
    std::string name, topic;
    protocol::ProducerInstance instance;
    std::uint64_t session, producer_id;
    std::uint32_t producer_epoch;
  };
  struct Answer {
    std::uint32_t partition;
    protocol::AnswerKind kind;
    std::vector<std::pair<Offset, Offset>> ranges;
    std::uint32_t delay_ms = 0;
  };
  std::vector<Partition> partitions;
  std::map<std::uint32_t, Stream> streams;  // by partition
  std::vector<Answer> answers;
  std::vector<std::uint64_t> sessions;  // of each Subscribe
  std::uint32_t lost_connections = 0;   // closed by the client
  std::uint32_t hellos = 0, produces = 0, unsubscribes = 0;
  std::uint64_t producers_opened = 0;
  std::vector<Opened> opens;
  bool dedup = false;  // a batch with a message id that the partition has is refused
  std::uint32_t producer_closes = 0, pings = 0, metadata_requests = 0;
  std::uint32_t session_timeout_ms = 10'000;              // told to producers and consumers
  std::uint64_t credits_bytes = 0, credits_messages = 0;  // granted by Credit frames
  std::uint64_t attach_epoch = 0;
  Session* attached = nullptr;                              // the connection of the last Subscribe
  std::map<std::uint32_t, std::uint64_t> first_assignment;  // of each Subscribe; empty: everything
  std::map<std::uint32_t, std::uint64_t> epochs;            // partition -> its present epoch
  std::vector<std::uint32_t> closed_streams;                // partitions, by StreamClose
  std::int32_t priority = 0;                                // of the last Subscribe
  bool take_over = false;                                   // of the last Subscribe
  bool key_ordered = false;                                 // of the last Subscribe

 private:
  void received(Session& session, SharedBytes bytes);
  void lost(Session* session);
  void hello(Session& session, std::uint64_t id);
  void metadata(Session& session, std::uint64_t id, const protocol::MetadataRequest& body);
  void open_producer(Session& session, std::uint64_t id, const protocol::ProducerOpen& body);
  void produce(Session& session, std::uint64_t id, const protocol::Produce& body);
  bool refuse_repeated(Session& session, std::uint64_t id, Partition& partition, ByteSpan bytes,
                       const batch::Header& header);
  void subscribe(Session& session, std::uint64_t id, const protocol::Subscribe& body);
  void open_stream(Session& session, std::uint64_t id, const protocol::StreamOpen& body);
  void answer(Session& session, std::uint64_t id, const protocol::Answer& body);
  void close_stream(Session& session, std::uint64_t id, std::uint32_t stream);
  void credit(const protocol::Credit& body);
  void listen();
  void handle(Session& session, const protocol::Frame& root);
  bool redirect(Session& session, const protocol::Frame& root);
  void drop_sessions();

  const std::shared_ptr<net::LoopThread> thread_;
  FakeServer* const world_;  // whose state it is
  bool hung_ = false;
  std::vector<std::pair<Session*, SharedBytes>> unread_;  // while hung
  std::unique_ptr<net::Listener> listener_;
  std::vector<std::unique_ptr<Session>> sessions_;
  Intercept intercept_;
  std::uint16_t port_ = 0;
};

}  // namespace andyx::test
