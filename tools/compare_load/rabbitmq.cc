// RabbitMQ streams, by their binary protocol. Messages go out in frames of many, each with a number
// by which it is confirmed, in order. Reading is a subscription from the first offset: chunks, each
// of which is credited by another one as soon as it is there. The server sees payloads as they are:
// its own clients wrap them in AMQP 1.0, which costs only the clients.
#include "tools/compare_load/fields.h"
#include "tools/compare_load/peer.h"

namespace andyx::compare {
namespace {

enum class Key : std::uint16_t {
  kDeclarePublisher = 1,
  kPublish = 2,
  kConfirm = 3,
  kSubscribe = 7,
  kDeliver = 8,
  kCredit = 9,
  kCreate = 13,
  kPeerProperties = 17,
  kSaslHandshake = 18,
  kSaslAuthenticate = 19,
  kTune = 20,
  kOpen = 21,
};
constexpr std::uint16_t kReply = 0x8000;  // set in the key of a reply
constexpr std::uint16_t kVersion = 1;
constexpr std::uint16_t kOk = 1;
constexpr std::uint8_t kPublisher = 0;
constexpr std::uint16_t kFromFirst = 1, kFromLast = 2;  // where a subscription begins
constexpr std::uint16_t kChunksAhead = 10;
constexpr std::size_t kSizeBytes = 4;

std::unexpected<Error> refused(const std::string& words) {
  return fail(ErrorCode::kInternal, "RabbitMQ: " + words);
}

// What came in one chunk.
struct Chunk {
  std::uint64_t first_offset = 0, messages = 0, bytes = 0;  // bytes: of payloads
};

// The content of a Deliver frame. An entry is one message here: nobody sends batches within.
Result<Chunk> read_chunk(FieldReader reader) {
  reader.skip(1 + 1);  // subscription; magic and version
  const auto type = reader.integer<std::uint8_t>();
  const auto entries = reader.integer<std::uint16_t>();
  reader.skip(4 + 8 + 8);  // records, time, epoch
  Chunk chunk{.first_offset = reader.integer<std::uint64_t>()};
  reader.skip(4 + 4 + 4 + 4);   // checksum; bytes of data and of the trailer; reserved
  if (type != 0) return chunk;  // not of a user
  for (std::uint16_t i = 0; i < entries; ++i) {
    const auto size = reader.integer<std::int32_t>();
    if (size < 0) return refused("a chunk has a batch within");
    reader.skip(static_cast<std::size_t>(size));
    ++chunk.messages;
    chunk.bytes += static_cast<std::uint64_t>(size);
  }
  if (!reader.ok()) return refused("a chunk is cut off");
  return chunk;
}

class RabbitMq final : public Peer {
 public:
  RabbitMq(Connection connection, const PeerOptions& options)
      : Peer(std::move(connection)), stream_(options.name), batch_bytes_(options.batch_bytes) {}

  Status connect() {
    std::string nothing(kSizeBytes, '\0');  // an array without elements
    if (auto done = ask(Key::kPeerProperties, nothing); !done) return std::unexpected(done.error());
    if (auto done = ask(Key::kSaslHandshake, ""); !done) return std::unexpected(done.error());
    std::string plain;
    FieldWriter writer(plain);
    writer.text("PLAIN");
    const std::string_view who("\0guest\0guest", 12);
    writer.integer(static_cast<std::int32_t>(who.size()));
    plain += who;
    if (auto done = ask(Key::kSaslAuthenticate, plain); !done) {
      return std::unexpected(done.error());
    }
    if (auto tuned = await(static_cast<std::uint16_t>(Key::kTune)); !tuned) {
      return std::unexpected(tuned.error());
    }
    std::string limits;  // of a frame, and of silence: none
    FieldWriter(limits).integer(std::int64_t{0});
    send(static_cast<std::uint16_t>(Key::kTune) | kReply, limits);
    std::string host;
    FieldWriter(host).text("/");
    const auto opened = ask(Key::kOpen, host);
    return opened ? Status{} : std::unexpected(opened.error());
  }

  Status create() override {
    std::string body;
    FieldWriter writer(body);
    writer.text(stream_);
    writer.integer(std::int32_t{0});  // settings: its own
    const auto created = ask(Key::kCreate, body);
    return created ? Status{} : std::unexpected(created.error());
  }

  Status put(std::string_view payload) override {
    if (!declared_) {
      if (Status done = declare(); !done) return done;
    }
    FieldWriter writer(batch_);
    writer.integer(++last_number_);
    writer.integer(static_cast<std::int32_t>(payload.size()));
    batch_ += payload;
    ++batch_count_;
    return batch_.size() < batch_bytes_ ? Status{} : seal();
  }

  Status seal() override {
    if (batch_count_ == 0) return {};
    std::string head;
    FieldWriter writer(head);
    writer.integer(kPublisher);
    writer.integer(batch_count_);
    send(static_cast<std::uint16_t>(Key::kPublish), head, batch_);
    batch_.clear();
    batch_count_ = 0;
    return {};
  }

  Result<std::uint64_t> take_acknowledged() override {
    std::uint64_t count = 0;
    while (take_frame()) {
      FieldReader reader(frame_);
      const auto key = reader.integer<std::uint16_t>();
      reader.skip(2 + 1);  // version, publisher
      if (key != static_cast<std::uint16_t>(Key::kConfirm)) {
        return refused("a frame of key " + std::to_string(key) + " instead of a confirmation");
      }
      count += reader.integer<std::uint32_t>();
    }
    return count;
  }

  // Its last chunk says where the stream ends.
  Result<std::uint64_t> stored() override {
    if (Status done = subscribe(kFromLast, 1); !done) return std::unexpected(done.error());
    const auto chunk = next_chunk();
    if (!chunk) return std::unexpected(chunk.error());
    return chunk->first_offset + chunk->messages;
  }

  Result<Consumed> consume(std::uint64_t messages, const Deadline& deadline) override {
    if (Status done = subscribe(kFromFirst, kChunksAhead); !done) {
      return std::unexpected(done.error());
    }
    Consumed consumed;
    while (consumed.messages < messages && !deadline.over()) {
      const auto chunk = next_chunk();
      if (!chunk) return std::unexpected(chunk.error());
      consumed.messages += chunk->messages;
      consumed.bytes += chunk->bytes;
      std::string credit;
      FieldWriter writer(credit);
      writer.integer(subscription_);
      writer.integer(std::uint16_t{1});
      send(static_cast<std::uint16_t>(Key::kCredit), credit);
    }
    return consumed;
  }

 private:
  // Sends key, version and the parts of a frame's content.
  void send(std::uint16_t key, std::string_view content, std::string_view more = {}) {
    FieldWriter writer(connection_.out());
    writer.integer(
        static_cast<std::uint32_t>(sizeof key + sizeof kVersion + content.size() + more.size()));
    writer.integer(key);
    writer.integer(kVersion);
    connection_.out().append(content).append(more);
  }

  // A request, and until its reply; the rest of the reply is not of interest.
  Status ask(Key key, std::string_view content) {
    std::string correlation;
    FieldWriter(correlation).integer(std::uint32_t{1});  // one at a time
    const auto number = static_cast<std::uint16_t>(key);
    send(number, correlation, content);
    if (Status there = await(number | kReply); !there) return there;
    FieldReader reader(frame_);
    reader.skip(2 + 2 + 4);
    const auto code = reader.integer<std::uint16_t>();
    if (code == kOk) return {};
    return refused("request " + std::to_string(number) + " failed with code " +
                   std::to_string(code));
  }

  Status declare() {
    std::string body;
    FieldWriter writer(body);
    writer.integer(kPublisher);
    writer.text("");  // nobody to be recognized again
    writer.text(stream_);
    declared_ = true;
    return ask(Key::kDeclarePublisher, body);
  }

  Status subscribe(std::uint16_t from, std::uint16_t credit) {
    ++subscription_;
    std::string body;
    FieldWriter writer(body);
    writer.integer(subscription_);
    writer.text(stream_);
    writer.integer(from);
    writer.integer(credit);
    writer.integer(std::int32_t{0});  // properties
    return ask(Key::kSubscribe, body);
  }

  // Of the last subscription; deliveries of those before it are passed over.
  Result<Chunk> next_chunk() {
    while (true) {
      if (Status there = await(static_cast<std::uint16_t>(Key::kDeliver)); !there) {
        return std::unexpected(there.error());
      }
      FieldReader reader(std::string_view(frame_).substr(2 + 2));
      if (FieldReader(reader).integer<std::uint8_t>() == subscription_) return read_chunk(reader);
    }
  }

  // Until a frame of that key is in `frame_`. Deliveries may come before a reply.
  Status await(std::uint16_t key) {
    while (true) {
      while (!take_frame()) {
        if (Status done = connection_.exchange(true); !done) return done;
      }
      const auto found = FieldReader(frame_).integer<std::uint16_t>();
      if (found == key) return {};
      if (found != static_cast<std::uint16_t>(Key::kDeliver)) {
        return refused("a frame of key " + std::to_string(found) + " instead of " +
                       std::to_string(key));
      }
    }
  }

  // The next frame that has arrived whole, without its size.
  bool take_frame() {
    FieldReader reader(connection_.in());
    if (reader.left() < kSizeBytes) return false;
    const auto size = reader.integer<std::uint32_t>();
    if (reader.left() < size) return false;
    frame_ = reader.bytes(size);
    connection_.take(kSizeBytes + size);
    return true;
  }

  std::string stream_;
  std::size_t batch_bytes_;
  std::string batch_;  // numbers and messages of the next Publish
  std::uint32_t batch_count_ = 0;
  std::uint64_t last_number_ = 0;
  std::uint8_t subscription_ = 0;  // the last one
  bool declared_ = false;
  std::string frame_;
};

}  // namespace

Result<std::unique_ptr<Peer>> open_rabbitmq(const PeerOptions& options) {
  Result<Connection> connection = Connection::open(options.port);
  if (!connection) return std::unexpected(connection.error());
  auto rabbitmq = std::make_unique<RabbitMq>(std::move(*connection), options);
  if (Status connected = rabbitmq->connect(); !connected) {
    return std::unexpected(connected.error());
  }
  return rabbitmq;
}

}  // namespace andyx::compare
