// Between real sockets: a log that is read, and the nodes that serve theirs.
#include "server/cluster/remote_metadata_log.h"

#include <doctest/doctest.h>

#include <future>
#include <map>

#include "server/cluster/metadata_pulls.h"
#include "server/metadata/memory_metadata_log.h"
#include "tests/server/cluster/fake_node.h"

namespace andyx::server::test {
namespace {

using protocol::Body;

EntryBytes entry(std::size_t number, std::size_t size = 100) {
  return EntryBytes(size, static_cast<std::uint8_t>(number));
}

// A node that serves a memory log.
struct ServingNode {
  std::shared_ptr<MemoryMetadataStore> store;
  std::unique_ptr<MetadataLog> log;
  std::shared_ptr<MetadataPulls> pulls;
  std::uint32_t asked = 0;
  std::size_t largest_part = 0;
  std::function<bool(FakeNode::Session&, const protocol::Frame&)> instead;
  FakeNode node;

  ServingNode(NodeId id, std::shared_ptr<MemoryMetadataStore> shared)
      : store(std::move(shared)),
        log(open_memory_metadata_log(store)),
        node(id, [this](auto& session, const auto& frame) { serve(session, frame); }) {
    node.on([this] {
      pulls = MetadataPulls::create(node.loop(), *log);
      pulls->tail_moved(store->end());
    });
  }
  ~ServingNode() {
    node.on([this] { pulls->close(); });
    node.end();
  }

  void serve(FakeNode::Session& session, const protocol::Frame& frame) {
    ++asked;
    if (instead && instead(session, frame)) return;
    const auto id = frame.correlation_id();
    if (const auto* pull = frame.body_as_MetadataPull()) {
      pulls->pull(pull->from(), pull->max_bytes(), pull->max_wait_ms(),
                  [this, &session, id, from = pull->from()](Result<MetadataPulls::Entries> r) {
                    if (!alive(session)) return;
                    if (!r) return session.error(id, r.error().code, r.error().message);
                    session.send(id, Body::MetadataPullReply, [&](auto& b) {
                      std::vector<flatbuffers::Offset<protocol::MetadataEntry>> entries;
                      for (const auto& one : r->entries)
                        entries.push_back(protocol::CreateMetadataEntryDirect(b, &one.bytes));
                      return protocol::CreateMetadataPullReplyDirect(b, from, &entries, r->tail,
                                                                     r->snapshot_version);
                    });
                  });
    } else if (const auto* part = frame.body_as_MetadataSnapshotPull()) {
      pulls->part(part->version(), part->offset(), part->max_bytes(),
                  [this, &session, id](Result<MetadataPulls::Part> r) {
                    if (!alive(session)) return;
                    if (!r) return session.error(id, r.error().code, r.error().message);
                    largest_part = std::max(largest_part, r->size);
                    session.send(id, Body::MetadataSnapshotPart, [&](auto& b) {
                      if (!r->bytes) return protocol::CreateMetadataSnapshotPart(b);
                      const auto bytes = b.CreateVector(r->bytes->data() + r->offset, r->size);
                      return protocol::CreateMetadataSnapshotPart(b, r->version, r->offset,
                                                                  r->bytes->size(), bytes);
                    });
                  });
    }
  }
  bool alive(const FakeNode::Session& session) {
    return std::ranges::any_of(node.sessions(), [&](const auto& s) { return s.get() == &session; });
  }
  void append(std::size_t count) {
    node.on([&] {
      {
        std::lock_guard lock(store->mutex);
        for (std::size_t i = 0; i < count; ++i) store->entries.push_back(entry(store->end()));
      }
      pulls->tail_moved(store->end());
    });
  }
  std::size_t parked() {
    return node.on([this] { return pulls->parked(); });
  }
};

std::shared_ptr<MemoryMetadataStore> store_with(std::size_t count) {
  auto store = std::make_shared<MemoryMetadataStore>();
  for (std::size_t i = 0; i < count; ++i) store->entries.push_back(entry(i));
  return store;
}

Image metadata_nodes(const std::vector<const FakeNode*>& nodes) {
  return image_of(nodes);  // roles: all
}

// Node 9, which runs no Raft peer.
struct Follower {
  net::LoopThread thread;
  std::unique_ptr<NodeLinks> links;
  std::shared_ptr<MetadataPeers> peers;
  std::unique_ptr<RemoteMetadataLog> log;
  net::Slot<Position> hint;

  explicit Follower(const Image& image, std::vector<net::Address> known = {}) {
    thread.on([&] {
      links = NodeLinks::create(thread.loop(), {.self = 9, .incarnation = 1});
      links->image_moved(image);
      peers = MetadataPeers::create(*links, 9, std::move(known));
      peers->image_moved(image);
      log = std::make_unique<RemoteMetadataLog>(
          thread.loop(), peers, RemoteMetadataLogOptions{.poll_ms = 50, .retry_ms = 10});
    });
    log->watch([this](Position tail) { hint.put(tail); });
  }
  ~Follower() {
    thread.on([&] {
      peers->close();
      links.reset();
    });
    thread.stop();
    log.reset();
  }
  template <typename T, typename Call>
  T get(Call call) {
    std::promise<T> answer;
    call([&](T result) { answer.set_value(std::move(result)); });
    auto future = answer.get_future();
    REQUIRE(future.wait_for(net::kPatience) == std::future_status::ready);
    return future.get();
  }
  auto read(Position from, std::size_t max_bytes = 1 << 20) {
    return get<Result<std::vector<LogEntry>>>(
        [&](auto done) { log->read(from, max_bytes, std::move(done)); });
  }
  auto tail() {
    return get<Result<Position>>([&](auto done) { log->tail(std::move(done)); });
  }
  auto snapshot() {
    return get<Result<std::optional<ImageSnapshotBytes>>>(
        [&](auto done) { log->get_snapshot(std::move(done)); });
  }
};

TEST_CASE("entries are read from a metadata node, as many as were asked for") {
  ServingNode one(1, store_with(10));
  Follower follower(metadata_nodes({&one.node}));
  const auto all = follower.read(0);
  REQUIRE(all.has_value());
  REQUIRE(all->size() == 10);
  for (std::size_t i = 0; i < 10; ++i) {
    CHECK((*all)[i].position == i);
    CHECK((*all)[i].bytes == entry(i));
  }
  const auto some = follower.read(4, 250);
  REQUIRE(some.has_value());
  CHECK(some->front().position == 4);
  CHECK(some->size() < 6);
  CHECK(follower.tail() == 10);
}

TEST_CASE("a follower at the tail is told of new entries, and has them at once") {
  ServingNode one(1, store_with(3));
  Follower follower(metadata_nodes({&one.node}));
  CHECK(follower.read(0)->size() == 3);
  CHECK(follower.read(3)->empty());
  wait_until([&] { return one.parked() > 0; });
  one.append(2);
  CHECK(follower.hint.take() == 5);
  const auto asked = one.node.on([&] { return one.asked; });
  const auto fresh = follower.read(3, 1);
  REQUIRE(fresh.has_value());
  REQUIRE(fresh->size() == 1);
  CHECK(fresh->front().bytes == entry(3));
  CHECK(follower.read(4)->front().bytes == entry(4));
  CHECK(one.node.on([&] { return one.asked; }) == asked);  // the long poll had brought them
  CHECK(follower.read(5)->empty());
}

TEST_CASE("the long poll goes on after it ran out, and when the node that held it has gone") {
  auto store = store_with(1);
  ServingNode one(1, store), two(2, store);
  Follower follower(metadata_nodes({&one.node, &two.node}));
  CHECK(follower.read(1)->empty());
  wait_until([&] { return one.node.on([&] { return one.asked; }) >= 4; });
  one.node.stop();
  wait_until([&] { return two.parked() > 0; });
  two.append(1);
  CHECK(follower.hint.take() == 2);
  CHECK(follower.read(1)->size() == 1);
}

TEST_CASE("a hint from elsewhere is passed on once") {
  ServingNode one(1, store_with(1));
  Follower follower(metadata_nodes({&one.node}));
  follower.log->tail_is(7);
  CHECK(follower.hint.take() == 7);
  follower.log->tail_is(6);
  follower.thread.on([] {});
  CHECK(follower.hint.empty());
}

TEST_CASE("errors of one node lead to the next; without any there is an error") {
  auto store = store_with(2);
  ServingNode one(1, store), two(2, store);
  Follower follower(metadata_nodes({&one.node, &two.node}));
  SUBCASE("away") { one.node.stop(); }
  SUBCASE("it has no log") {
    one.instead = [](auto& session, const auto& frame) {
      session.error(frame.correlation_id(), ErrorCode::kNotController, "no log here");
      return true;
    };
  }
  SUBCASE("another body") {
    one.instead = [](auto& session, const auto& frame) {
      session.done(frame.correlation_id());
      return true;
    };
  }
  CHECK(follower.read(0)->size() == 2);
  two.node.stop();
  one.instead = [](auto& session, const auto& frame) {
    session.error(frame.correlation_id(), ErrorCode::kStorageFailed, "broken");
    return true;
  };
  const auto none = follower.read(0);
  REQUIRE_FALSE(none.has_value());
}

TEST_CASE("before there is an image, known addresses are asked") {
  ServingNode one(1, store_with(2));
  Follower follower({}, {one.node.address()});
  CHECK(follower.read(0)->size() == 2);
}

TEST_CASE("what was trimmed is out of range, and the snapshot comes in parts") {
  auto store = store_with(5);
  std::vector<std::uint8_t> image(3 * limits::kMaxMetadataPartBytes + 17);
  for (std::size_t i = 0; i < image.size(); ++i) image[i] = static_cast<std::uint8_t>(i * 31);
  store->snapshot = ImageSnapshotBytes{3, image};
  store->entries.erase(store->entries.begin(), store->entries.begin() + 3);
  store->start = 3;
  ServingNode one(1, store);
  Follower follower(metadata_nodes({&one.node}));
  const auto trimmed = follower.read(0);
  REQUIRE_FALSE(trimmed.has_value());
  CHECK(trimmed.error().code == ErrorCode::kOffsetOutOfRange);
  const auto snapshot = follower.snapshot();
  REQUIRE_MESSAGE(snapshot.has_value(), snapshot.error().message);
  REQUIRE(snapshot->has_value());
  CHECK((*snapshot)->position == 3);
  CHECK((*snapshot)->bytes == image);
  CHECK(one.largest_part == limits::kMaxMetadataPartBytes);
  CHECK(follower.read(3)->size() == 2);
}

TEST_CASE("no snapshot yet is no error") {
  ServingNode one(1, store_with(1));
  Follower follower(metadata_nodes({&one.node}));
  const auto snapshot = follower.snapshot();
  REQUIRE(snapshot.has_value());
  CHECK_FALSE(snapshot->has_value());
}

TEST_CASE("a snapshot that is replaced while it is read is begun anew") {
  auto store = store_with(9);
  const EntryBytes old(limits::kMaxMetadataPartBytes * 2, 1),
      fresh(limits::kMaxMetadataPartBytes, 2);
  store->snapshot = ImageSnapshotBytes{3, old};
  ServingNode one(1, store), two(2, store);
  std::uint32_t parts = 0;
  one.instead = [&](auto&, const auto& frame) {
    if (frame.body_as_MetadataSnapshotPull() == nullptr || ++parts != 2) return false;
    store->snapshot = ImageSnapshotBytes{7, fresh};
    one.node.drop_sessions_later();  // the other one has not read it
    return true;
  };
  Follower follower(metadata_nodes({&one.node, &two.node}));
  const auto snapshot = follower.snapshot();
  REQUIRE_MESSAGE(snapshot.has_value(), snapshot.error().message);
  CHECK((*snapshot)->position == 7);
  CHECK((*snapshot)->bytes == fresh);
}

TEST_CASE("damaged answers are refused") {
  ServingNode one(1, store_with(5));
  Follower follower(metadata_nodes({&one.node}));
  const std::vector<std::uint8_t> bytes(100, 1);
  SUBCASE("entries of another position") {
    one.instead = [](auto& session, const auto& frame) {
      session.send(frame.correlation_id(), Body::MetadataPullReply, [](auto& b) {
        const std::vector<std::uint8_t> byte{1};
        std::vector<flatbuffers::Offset<protocol::MetadataEntry>> entries{
            protocol::CreateMetadataEntryDirect(b, &byte)};
        return protocol::CreateMetadataPullReplyDirect(b, 4, &entries, 5);
      });
      return true;
    };
    const auto read = follower.read(0);
    REQUIRE_FALSE(read.has_value());
    CHECK(read.error().code == ErrorCode::kBadFrame);
  }
  struct Part {
    std::uint64_t version, offset, total;
    std::size_t size;
  };
  std::optional<Part> bad;
  SUBCASE("a part without bytes") { bad = {3, 0, 100, 0}; }
  SUBCASE("more than the whole") { bad = {3, 0, 50, 100}; }
  SUBCASE("another offset") { bad = {3, 1, 200, 100}; }
  SUBCASE("over the bound") { bad = {3, 0, limits::kMaxImageBytes + 1, 100}; }
  if (!bad) return;
  one.instead = [&](auto& session, const auto& frame) {
    session.send(frame.correlation_id(), Body::MetadataSnapshotPart, [&](auto& b) {
      const auto vector = b.CreateVector(bytes.data(), bad->size);
      return protocol::CreateMetadataSnapshotPart(b, bad->version, bad->offset, bad->total, vector);
    });
    return true;
  };
  const auto snapshot = follower.snapshot();
  REQUIRE_FALSE(snapshot.has_value());
  CHECK(snapshot.error().code == ErrorCode::kBadFrame);
}

TEST_CASE("nothing is written from here") {
  ServingNode one(1, store_with(1));
  Follower follower(metadata_nodes({&one.node}));
  const auto epoch = follower.get<Result<ControllerEpoch>>(
      [&](auto done) { follower.log->campaign(9, 1'000, std::move(done)); });
  REQUIRE_FALSE(epoch.has_value());
  CHECK(epoch.error().code == ErrorCode::kNotController);
  const auto appended = follower.get<AppendResult>(
      [&](auto done) { follower.log->append(1, 1, {entry(1)}, std::move(done)); });
  CHECK(appended.outcome == AppendOutcome::kNotApplied);
  CHECK(appended.error.code == ErrorCode::kNotController);
  CHECK(one.store->entries.size() == 1);
}

TEST_CASE("what is open when the node stops is answered") {
  ServingNode one(1, store_with(1));
  one.instead = [](auto&, const auto&) { return true; };  // never
  std::promise<ErrorCode> read, snapshot;
  {
    Follower follower(metadata_nodes({&one.node}));
    follower.log->read(0, 1, [&](const auto& r) { read.set_value(r.error().code); });
    follower.log->get_snapshot([&](const auto& r) { snapshot.set_value(r.error().code); });
    follower.thread.on([] {});
  }
  CHECK(read.get_future().get() == ErrorCode::kShuttingDown);
  CHECK(snapshot.get_future().get() == ErrorCode::kShuttingDown);
}

TEST_CASE("pulls over the bound are refused, and all are answered when the node stops") {
  ServingNode one(1, store_with(1));
  std::uint32_t overloaded = 0, stopped = 0;
  one.node.on([&] {
    for (std::uint32_t i = 0; i < limits::kMaxParkedMetadataPulls + 1; ++i) {
      one.pulls->pull(1, 1, 10'000, [&](Result<MetadataPulls::Entries> r) {
        REQUIRE_FALSE(r.has_value());
        ++(r.error().code == ErrorCode::kOverloaded ? overloaded : stopped);
      });
    }
    CHECK(overloaded == 1);
    one.pulls->close();
    one.pulls->pull(0, 1, 0, [&](Result<MetadataPulls::Entries> r) {
      CHECK(r.error().code == ErrorCode::kShuttingDown);
    });
  });
  CHECK(stopped == limits::kMaxParkedMetadataPulls);
}

}  // namespace
}  // namespace andyx::server::test
