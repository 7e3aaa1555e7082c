#include "server/cluster/node_links.h"

#include <doctest/doctest.h>

#include <condition_variable>
#include <future>
#include <mutex>

#include "tests/server/cluster/fake_node.h"

namespace andyx::server::test {
namespace {

using protocol::Body;

frame::Body revoke(flatbuffers::FlatBufferBuilder& builder, std::uint32_t topic) {
  return {static_cast<std::uint8_t>(Body::SubscriptionRevoke),
          protocol::CreateSubscriptionRevoke(builder, topic).Union()};
}
NodeLinks::Fill asking(std::uint32_t topic) {
  return [topic](auto& builder) { return revoke(builder, topic); };
}
std::uint32_t topic_of(const protocol::Frame& frame) {
  const auto* body = frame.body_as_SubscriptionRevoke();
  return body == nullptr ? 0 : body->topic_id();
}

// What the links say, to be waited for from the test's thread.
class Story final : public NodeLinks::Events {
 public:
  void on_push(NodeId from, NodeFrame frame) override {
    add([&] { pushed.emplace_back(from, topic_of(*frame.frame)); });
  }
  void on_up(NodeId) override {
    add([&] { ++ups; });
  }
  void on_down(NodeId, const Error& reason) override {
    add([&] { downs.push_back(reason); });
  }
  template <typename Condition>
  void wait_for(Condition condition) {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, net::kPatience, condition));
  }

  std::vector<std::pair<NodeId, std::uint32_t>> pushed;
  int ups = 0;
  std::vector<Error> downs;

 private:
  template <typename Change>
  void add(Change change) {
    std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
};

// The links of node 1, on a loop.
struct Fixture {
  net::LoopThread thread;
  Story story;
  std::unique_ptr<NodeLinks> links;

  explicit Fixture(NodeLinksOptions options = {}) {
    options.self = 1;
    options.incarnation = 5;
    thread.on([&] { links = NodeLinks::create(thread.loop(), options, &story); });
  }
  ~Fixture() {
    thread.on([&] { links.reset(); });
  }
  void image(const Image& image) {
    thread.on([&] { links->image_moved(image); });
  }
  template <typename To>
  std::future<Result<NodeFrame>> call(To to, std::uint32_t topic,
                                      std::uint32_t timeout_ms = 60'000) {
    auto answer = std::make_shared<std::promise<Result<NodeFrame>>>();
    auto future = answer->get_future();
    thread.on([&] {
      auto inside = std::make_shared<bool>(true);
      links->call(to, asking(topic), timeout_ms, [answer, inside](Result<NodeFrame> result) {
        CHECK_FALSE(*inside);  // never within the call
        answer->set_value(std::move(result));
      });
      *inside = false;
    });
    return future;
  }
  bool tell(NodeId to, std::uint32_t topic) {
    return thread.on([&] { return links->tell(to, asking(topic)); });
  }
};

Result<NodeFrame> get(std::future<Result<NodeFrame>> future) {
  REQUIRE(future.wait_for(net::kPatience) == std::future_status::ready);
  return future.get();
}
ErrorCode code_of(std::future<Result<NodeFrame>> future) {
  const auto result = get(std::move(future));
  if (result) return ErrorCode::kOk;
  MESSAGE(result.error().message);
  return result.error().code;
}

void answer_done(FakeNode::Session& session, const protocol::Frame& frame) {
  session.done(frame.correlation_id());
}
void answer_nothing(FakeNode::Session&, const protocol::Frame&) {}

TEST_CASE("a call connects, says which node asks, and hands on the answer") {
  FakeNode peer(2, [](auto& session, const auto& frame) {
    session.send(frame.correlation_id(), Body::SubscriptionRevoke, [&](auto& b) {
      return protocol::CreateSubscriptionRevoke(b, topic_of(frame) + 1);
    });
  });
  Fixture fixture;
  fixture.image(image_of({&peer}));
  auto first = fixture.call(2, 10), second = fixture.call(2, 20);
  const auto answer = get(std::move(first));
  REQUIRE(answer.has_value());
  CHECK(topic_of(*answer->frame) == 11);
  CHECK(topic_of(*get(std::move(second))->frame) == 21);
  fixture.story.wait_for([&] { return fixture.story.ups == 1; });
  peer.on([&] {
    CHECK(peer.hellos == 1);
    CHECK(peer.seen_node == 1);
    CHECK(peer.seen_incarnation == 5);
    CHECK(peer.seen_cluster == kCluster.text());
    CHECK(peer.seen_name == "andyx-node");
  });
}

TEST_CASE("the error of a node arrives with its code, message and where to go") {
  FakeNode peer(2, [](auto& session, const auto& frame) {
    session.error(frame.correlation_id(), ErrorCode::kNotController, "ask the other", 9);
  });
  Fixture fixture;
  fixture.image(image_of({&peer}));
  const auto answer = get(fixture.call(2, 1));
  REQUIRE_FALSE(answer.has_value());
  CHECK(answer.error().code == ErrorCode::kNotController);
  CHECK(answer.error().message == "ask the other");
  CHECK(answer.error().node == 9);
}

TEST_CASE("a node that the image does not have cannot be reached, nor one that has left it") {
  FakeNode peer(2, answer_nothing);
  Fixture fixture;
  CHECK(code_of(fixture.call(2, 1)) == ErrorCode::kUnreachable);
  CHECK_FALSE(fixture.tell(2, 1));
  fixture.image(image_of({&peer}));
  auto open = fixture.call(2, 1);
  fixture.story.wait_for([&] { return fixture.story.ups == 1; });
  fixture.image(image_of({}));
  CHECK(code_of(std::move(open)) == ErrorCode::kConnectionLost);
  CHECK(code_of(fixture.call(2, 1)) == ErrorCode::kUnreachable);
  fixture.story.wait_for([&] { return fixture.story.downs.size() == 1; });
}

TEST_CASE("a call that is not answered in time says so, and its late answer reaches nobody") {
  std::vector<std::uint64_t> kept;
  FakeNode peer(2, [&](auto& session, const auto& frame) {
    if (topic_of(frame) == 1) return kept.push_back(frame.correlation_id());
    for (const auto id : kept) session.done(id);
    session.done(frame.correlation_id());
  });
  Fixture fixture;
  fixture.image(image_of({&peer}));
  CHECK(code_of(fixture.call(2, 1, 30)) == ErrorCode::kTimedOut);
  CHECK(code_of(fixture.call(2, 2)) == ErrorCode::kOk);
}

TEST_CASE("a peer that cannot be reached: calls were not sent, and come through once it is there") {
  FakeNode peer(2, answer_done);
  Fixture fixture;
  peer.stop();
  fixture.image(image_of({&peer}));
  CHECK(code_of(fixture.call(2, 1)) == ErrorCode::kUnreachable);
  CHECK_FALSE(fixture.tell(2, 1));
  fixture.story.wait_for([&] { return fixture.story.downs.size() >= 3; });  // it tries on
  CHECK(fixture.story.ups == 0);
  peer.start();
  fixture.story.wait_for([&] { return fixture.story.ups == 1; });
  CHECK(code_of(fixture.call(2, 1)) == ErrorCode::kOk);
}

TEST_CASE("a peer that never answers the hello: the call was not sent") {
  FakeNode peer(2, answer_done);
  peer.on_hello = [](auto&, auto) { return true; };
  Fixture fixture({.connect_timeout_ms = 50});
  fixture.image(image_of({&peer}));
  CHECK(code_of(fixture.call(2, 1)) == ErrorCode::kUnreachable);
  CHECK(code_of(fixture.call(2, 1, 1)) == ErrorCode::kUnreachable);
}

TEST_CASE("a link comes back after its peer has restarted") {
  FakeNode peer(2, [](auto& session, const auto& frame) {
    if (topic_of(frame) != 1) session.done(frame.correlation_id());
  });
  Fixture fixture;
  fixture.image(image_of({&peer}));
  auto open = fixture.call(2, 1);
  fixture.story.wait_for([&] { return fixture.story.ups == 1; });
  peer.stop();
  CHECK(code_of(std::move(open)) == ErrorCode::kConnectionLost);
  fixture.story.wait_for([&] { return !fixture.story.downs.empty(); });
  peer.incarnation = 2;  // nobody is connected
  peer.start();
  fixture.image(image_of({&peer}));
  fixture.story.wait_for([&] { return fixture.story.ups == 2; });
  CHECK(code_of(fixture.call(2, 2)) == ErrorCode::kOk);
}

TEST_CASE("another address in the image is gone to, and the old connection closed") {
  FakeNode here(2, [](auto& session, const auto& frame) {
    session.error(frame.correlation_id(), ErrorCode::kInternal, "the old place");
  });
  FakeNode there(2, answer_done);
  Fixture fixture;
  fixture.image(image_of({&here}));
  CHECK(code_of(fixture.call(2, 1)) == ErrorCode::kInternal);
  fixture.image(image_of({&there}));
  CHECK(code_of(fixture.call(2, 1)) == ErrorCode::kOk);
}

TEST_CASE("a peer that is not the one of the image is refused") {
  FakeNode peer(2, answer_done);
  Fixture fixture;
  Image image = image_of({&peer});
  ErrorCode expected = ErrorCode::kUnreachable;
  SUBCASE("another cluster") {
    peer.cluster = {8, 8};
    expected = ErrorCode::kWrongCluster;
  }
  SUBCASE("another node") { peer.id = 3; }
  SUBCASE("an incarnation that has ended") {
    peer.incarnation = 2;
    image = image_of({&peer});
    peer.incarnation = 1;
  }
  SUBCASE("no hello at all") {
    peer.on_hello = [](auto& session, std::uint64_t id) {
      session.done(id);
      return true;
    };
    expected = ErrorCode::kUnsupportedVersion;
  }
  SUBCASE("it refuses us") {
    peer.on_hello = [](auto& session, std::uint64_t id) {
      session.error(id, ErrorCode::kNodeConflict, "node 1 is another one");
      return true;
    };
    expected = ErrorCode::kNodeConflict;
  }
  fixture.image(image);
  CHECK(code_of(fixture.call(2, 1)) == expected);
  CHECK(fixture.story.ups == 0);
}

TEST_CASE("an old process is left when the image knows that the node was started again") {
  FakeNode peer(2, answer_nothing);
  Fixture fixture;
  fixture.image(image_of({&peer}));
  auto open = fixture.call(2, 1);
  fixture.story.wait_for([&] { return fixture.story.ups == 1; });
  FakeNode newer(2, answer_done);
  newer.incarnation = 2;
  Image image = image_of({&peer});
  auto record = std::make_shared<NodeRecord>(*image.find_node(2));
  record->incarnation = 2;
  image.nodes.put(record);
  fixture.image(image);  // the same address, where the old process still answers
  CHECK(code_of(std::move(open)) == ErrorCode::kConnectionLost);
  CHECK(code_of(fixture.call(2, 1)) == ErrorCode::kUnreachable);
  fixture.image(image_of({&newer}));
  CHECK(code_of(fixture.call(2, 1)) == ErrorCode::kOk);
}

TEST_CASE("a peer that sends garbage loses the connection, and is tried again") {
  FakeNode peer(2, [](auto& session, const auto& frame) {
    if (topic_of(frame) == 2) return session.done(frame.correlation_id());
    auto garbage = SharedBytes::allocate(64);
    std::memset(garbage.mutable_data(), topic_of(frame) == 1 ? 0xff : 0, 64);
    if (topic_of(frame) == 3) {  // a good length, a bad frame
      const std::uint32_t length = 60;
      std::memcpy(garbage.mutable_data(), &length, sizeof length);
      std::memset(garbage.mutable_data() + 4, 0x7f, 60);
    }
    session.connection->send({.head = std::move(garbage), .payload = {}});
  });
  Fixture fixture;
  fixture.image(image_of({&peer}));
  CHECK(code_of(fixture.call(2, 1)) == ErrorCode::kConnectionLost);
  CHECK(code_of(fixture.call(2, 2)) == ErrorCode::kOk);
  CHECK(code_of(fixture.call(2, 3)) == ErrorCode::kConnectionLost);
  CHECK(code_of(fixture.call(2, 2)) == ErrorCode::kOk);
}

TEST_CASE("pushes reach the events, and what is told arrives without an answer") {
  FakeNode peer(2, [](auto& session, const auto& frame) {
    if (frame.correlation_id() != 0) return session.done(frame.correlation_id());
    session.send(0, Body::SubscriptionRevoke, [&](auto& b) {
      return protocol::CreateSubscriptionRevoke(b, topic_of(frame) + 100);
    });
  });
  Fixture fixture;
  fixture.image(image_of({&peer}));
  CHECK_FALSE(fixture.tell(2, 1));  // it begins to connect
  fixture.story.wait_for([&] { return fixture.story.ups == 1; });
  CHECK(fixture.tell(2, 2));
  CHECK(fixture.tell(2, 3));
  fixture.story.wait_for([&] { return fixture.story.pushed.size() == 2; });
  CHECK(fixture.story.pushed[0] == std::pair<NodeId, std::uint32_t>(2, 102));
  CHECK(fixture.story.pushed[1] == std::pair<NodeId, std::uint32_t>(2, 103));
}

TEST_CASE("the last word of a peer is the reason that the link went down") {
  FakeNode peer(
      2, [](auto& session, const auto&) { session.error(0, ErrorCode::kIdleTimeout, "enough"); });
  Fixture fixture;
  fixture.image(image_of({&peer}));
  CHECK(code_of(fixture.call(2, 1)) == ErrorCode::kConnectionLost);
  fixture.story.wait_for([&] { return !fixture.story.downs.empty(); });
  CHECK(fixture.story.downs.front().code == ErrorCode::kIdleTimeout);
}

TEST_CASE("a silent peer is pinged, and lost when it does not answer, also while much is told") {
  FakeNode peer(2, answer_nothing);
  Fixture fixture({.keep_alive_ms = 20});
  fixture.image(image_of({&peer}));
  fixture.tell(2, 1);
  fixture.story.wait_for([&] { return fixture.story.ups == 1; });
  while (peer.on([&] { return peer.pings; }) < 10) fixture.tell(2, 1);
  peer.on([&] { peer.answers_pings = false; });
  auto open = fixture.call(2, 1);
  auto told = std::async(std::launch::async, [&] {
    while (open.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready)
      fixture.tell(2, 1);
  });
  told.get();
  CHECK(code_of(std::move(open)) == ErrorCode::kConnectionLost);
}

TEST_CASE("calls over the bound are refused; those under it wait for their turn") {
  std::vector<std::uint64_t> kept;
  bool answering = false;
  FakeNode peer(2, [&](auto& session, const auto& frame) {
    kept.push_back(frame.correlation_id());
    if (!answering) return;
    for (const auto id : std::exchange(kept, {})) session.done(id);
  });
  Fixture fixture;
  fixture.image(image_of({&peer}));
  std::uint32_t answered = 0, overloaded = 0, others = 0;
  std::promise<void> all;
  const std::uint32_t over = 100, calls = limits::kMaxNodeLinkCalls + over;
  const auto count = [&](Result<NodeFrame> result) {
    if (result)
      ++answered;
    else if (result.error().code == ErrorCode::kOverloaded)
      ++overloaded;
    else
      ++others;
    if (answered + overloaded + others == calls) all.set_value();
  };
  fixture.thread.on([&] {
    for (std::uint32_t i = 0; i < calls; ++i) fixture.links->call(2, asking(1), 120'000, count);
  });
  const auto window = limits::kMaxInFlightRequestsPerConnection - 64;
  wait_until([&] { return peer.on([&] { return kept.size(); }) >= window; });
  CHECK(peer.on([&] { return kept.size(); }) == window);  // and not one more
  peer.on([&] {
    answering = true;
    for (const auto id : std::exchange(kept, {})) peer.sessions().front()->done(id);
  });
  REQUIRE(all.get_future().wait_for(net::kPatience) == std::future_status::ready);
  CHECK(answered == limits::kMaxNodeLinkCalls);
  CHECK(overloaded == over);
  CHECK(others == 0);
}

TEST_CASE("bytes over the bound are refused while the peer is away") {
  FakeNode peer(2, answer_done);
  peer.on_hello = [](auto&, auto) { return true; };
  Fixture fixture;
  fixture.image(image_of({&peer}));
  const std::string large(limits::kMiB, 'x');
  const auto count = limits::kMaxNodeLinkQueuedBytes / limits::kMiB + 5;
  std::uint32_t overloaded = 0, unreachable = 0;
  std::promise<void> all;
  fixture.thread.on([&] {
    for (std::size_t i = 0; i < count; ++i) {
      fixture.links->call(
          2,
          [&](auto& b) {
            return frame::Body{static_cast<std::uint8_t>(Body::TopicDelete),
                               protocol::CreateTopicDeleteDirect(b, large.c_str()).Union()};
          },
          100,
          [&](Result<NodeFrame> result) {
            REQUIRE_FALSE(result.has_value());
            ++(result.error().code == ErrorCode::kOverloaded ? overloaded : unreachable);
            if (overloaded + unreachable == count) all.set_value();
          });
    }
  });
  REQUIRE(all.get_future().wait_for(net::kPatience) == std::future_status::ready);
  CHECK(unreachable == limits::kMaxNodeLinkQueuedBytes / limits::kMiB);
  CHECK(overloaded == 5);
}

TEST_CASE("a request that fits into no frame is refused and the link goes on") {
  FakeNode peer(2, answer_done);
  Fixture fixture;
  fixture.image(image_of({&peer}));
  const std::string large(limits::kMaxFrameBytes + 1, 'x');
  std::promise<ErrorCode> refused;
  fixture.thread.on([&] {
    fixture.links->call(
        2,
        [&](auto& b) {
          return frame::Body{static_cast<std::uint8_t>(Body::TopicDelete),
                             protocol::CreateTopicDeleteDirect(b, large.c_str()).Union()};
        },
        1'000,
        [&](Result<NodeFrame> result) {
          refused.set_value(result ? ErrorCode::kOk : result.error().code);
        });
  });
  CHECK(refused.get_future().get() == ErrorCode::kFrameTooLarge);
  CHECK(code_of(fixture.call(2, 1)) == ErrorCode::kOk);
}

TEST_CASE("open calls are answered when the links end, sent or not") {
  FakeNode peer(2, answer_nothing), away(3, answer_nothing);
  away.on_hello = [](auto&, auto) { return true; };
  Fixture fixture;
  fixture.image(image_of({&peer, &away}));
  auto sent = fixture.call(2, 1), waiting = fixture.call(3, 1);
  fixture.story.wait_for([&] { return fixture.story.ups == 1; });
  ErrorCode again = ErrorCode::kOk, unknown = ErrorCode::kOk;
  fixture.thread.on([&] {
    NodeLinks* links = fixture.links.get();  // an answer may ask again, also while they end
    links->call(2, asking(1), 60'000, [&, links](const Result<NodeFrame>&) {
      links->call(2, asking(1), 60'000, [&](Result<NodeFrame> r) { again = r.error().code; });
    });
    links->call(99, asking(1), 60'000, [&](Result<NodeFrame> r) { unknown = r.error().code; });
    fixture.links.reset();
  });
  CHECK(code_of(std::move(sent)) == ErrorCode::kShuttingDown);
  CHECK(code_of(std::move(waiting)) == ErrorCode::kShuttingDown);
  CHECK(again == ErrorCode::kShuttingDown);
  CHECK(unknown == ErrorCode::kUnreachable);
}

TEST_CASE("a callback may change the image and ask again") {
  FakeNode peer(2, answer_done);
  Fixture fixture;
  fixture.image(image_of({&peer}));
  std::promise<ErrorCode> answered;
  fixture.thread.on([&] {
    fixture.links->call(2, asking(1), 60'000, [&](const Result<NodeFrame>& first) {
      CHECK(first.has_value());
      fixture.links->image_moved(image_of({}));  // ends the link that is on the stack
      fixture.links->image_moved(image_of({&peer}));
      fixture.links->call(2, asking(2), 60'000, [&](const Result<NodeFrame>& second) {
        answered.set_value(second ? ErrorCode::kOk : second.error().code);
      });
    });
  });
  CHECK(answered.get_future().get() == ErrorCode::kOk);
}

TEST_CASE("an address is called without knowing who is there, and pinned to the cluster only") {
  FakeNode peer(7, answer_done);
  peer.cluster = {8, 8};
  Fixture fixture;
  CHECK(code_of(fixture.call(peer.address(), 1)) == ErrorCode::kOk);
  CHECK(peer.on([&] { return peer.seen_cluster; }).empty());
  fixture.image(image_of({}));
  CHECK(code_of(fixture.call(peer.address(), 1)) == ErrorCode::kWrongCluster);
  CHECK(fixture.story.ups == 0);  // no node's link
}

}  // namespace
}  // namespace andyx::server::test
