// Apache Kafka, one broker. Messages go round the partitions in batches; a request has one batch of
// each partition, and several are under way. acks=1: with one copy that is all there is. Reading
// asks for the next part before it parses the last one.
#include <chrono>
#include <deque>
#include <map>
#include <thread>
#include <vector>

#include "protocol/net/loop.h"
#include "tools/compare_load/fields.h"
#include "tools/compare_load/kafka_wire.h"
#include "tools/compare_load/peer.h"

namespace andyx::compare {
namespace {

enum class Api : std::int16_t { kProduce = 0, kFetch = 1, kListOffsets = 2, kCreateTopics = 19 };
// The last versions of these whose fields have fixed places.
constexpr std::int16_t kProduceVersion = 7, kFetchVersion = 4, kListOffsetsVersion = 1,
                       kCreateTopicsVersion = 4;
constexpr std::int32_t kTimeoutMs = 30'000;
constexpr std::int32_t kFetchBytes = 16 * 1024 * 1024, kFetchPartitionBytes = 4 * 1024 * 1024;
constexpr int kReadyTries = 200;
constexpr std::chrono::milliseconds kReadyEvery{50};

std::unexpected<Error> refused(const char* what, std::int16_t code) {
  return fail(ErrorCode::kInternal,
              std::string("Kafka: ") + what + " failed with error " + std::to_string(code));
}

class Kafka final : public Peer {
 public:
  Kafka(Connection connection, const PeerOptions& options)
      : Peer(std::move(connection)),
        topic_(options.name),
        batch_bytes_(options.batch_bytes),
        batches_(options.partitions) {}

  Status create() override {
    std::string body;
    FieldWriter writer(body);
    writer.integer(std::int32_t{1});
    writer.text(topic_);
    writer.integer(static_cast<std::int32_t>(batches_.size()));
    writer.integer(std::int16_t{1});  // copies
    writer.integer(std::int32_t{0});  // assignments
    writer.integer(std::int32_t{0});  // settings: those of the broker
    writer.integer(kTimeoutMs);
    writer.integer(std::int8_t{0});
    const auto reply = ask(Api::kCreateTopics, kCreateTopicsVersion, body);
    if (!reply) return std::unexpected(reply.error());
    FieldReader reader(*reply);
    reader.skip(4 + 4);  // throttle, count
    reader.text();
    if (const auto code = reader.integer<std::int16_t>(); code != 0 || !reader.ok()) {
      return refused("CreateTopics", code);
    }
    // Its partitions lead a moment later.
    Status ready;
    for (int i = 0; i < kReadyTries; ++i) {
      const auto count = stored();
      if (count) return {};
      ready = std::unexpected(count.error());
      std::this_thread::sleep_for(kReadyEvery);
    }
    return ready;
  }

  Status put(std::string_view payload) override {
    batches_[turn_].add(payload);
    if (batches_[turn_].size_bytes() < batch_bytes_) return {};
    if (++turn_ == batches_.size()) return seal();
    return {};
  }

  Status seal() override {
    std::int32_t filled = 0;
    for (const KafkaBatch& batch : batches_) filled += batch.count() > 0 ? 1 : 0;
    turn_ = 0;
    if (filled == 0) return {};
    std::string body;
    FieldWriter writer(body);
    writer.null_text();               // no transaction
    writer.integer(std::int16_t{1});  // acks
    writer.integer(kTimeoutMs);
    writer.integer(std::int32_t{1});
    writer.text(topic_);
    writer.integer(filled);
    std::uint64_t messages = 0;
    for (std::size_t i = 0; i < batches_.size(); ++i) {
      if (batches_[i].count() == 0) continue;
      messages += batches_[i].count();
      writer.integer(static_cast<std::int32_t>(i));
      std::string records;
      batches_[i].seal(records, net::wall_time_us() / 1000);
      writer.integer(static_cast<std::int32_t>(records.size()));
      body += records;
    }
    send(Api::kProduce, kProduceVersion, body);
    under_way_.push_back(messages);
    return {};
  }

  Result<std::uint64_t> take_acknowledged() override {
    std::uint64_t acknowledged = 0;
    std::string reply;
    while (take_reply(reply)) {
      FieldReader reader(reply);
      reader.skip(4);
      reader.text();
      const auto partitions = reader.integer<std::int32_t>();
      for (std::int32_t i = 0; i < partitions && reader.ok(); ++i) {
        reader.skip(4);
        if (const auto code = reader.integer<std::int16_t>(); code != 0) {
          return refused("Produce", code);
        }
        reader.skip(8 + 8 + 8);
      }
      if (!reader.ok() || under_way_.empty()) return refused("reading a reply of Produce", 0);
      acknowledged += under_way_.front();
      under_way_.pop_front();
    }
    return acknowledged;
  }

  Result<std::uint64_t> stored() override {
    std::string body;
    FieldWriter writer(body);
    writer.integer(std::int32_t{-1});
    writer.integer(std::int32_t{1});
    writer.text(topic_);
    writer.integer(static_cast<std::int32_t>(batches_.size()));
    for (std::size_t i = 0; i < batches_.size(); ++i) {
      writer.integer(static_cast<std::int32_t>(i));
      writer.integer(std::int64_t{-1});  // the end
    }
    const auto reply = ask(Api::kListOffsets, kListOffsetsVersion, body);
    if (!reply) return std::unexpected(reply.error());
    FieldReader reader(*reply);
    reader.skip(4);
    reader.text();
    const auto partitions = reader.integer<std::int32_t>();
    std::uint64_t count = 0;
    for (std::int32_t i = 0; i < partitions && reader.ok(); ++i) {
      reader.skip(4);
      const auto code = reader.integer<std::int16_t>();
      reader.skip(8);
      const auto end = reader.integer<std::int64_t>();
      if (code != 0 || end < 0) return refused("ListOffsets", code);
      count += static_cast<std::uint64_t>(end);
    }
    if (!reader.ok()) return refused("reading a reply of ListOffsets", 0);
    return count;
  }

  Result<Consumed> consume(std::uint64_t messages, const Deadline& deadline) override {
    offsets_.assign(batches_.size(), 0);
    Consumed consumed;
    send_fetch();
    while (consumed.messages < messages && !deadline.over()) {
      const auto reply = await_reply();
      if (!reply) return std::unexpected(reply.error());
      const auto parts = parts_of(*reply);
      if (!parts) return std::unexpected(parts.error());
      std::uint64_t next = consumed.messages;
      for (const auto& [partition, records] : *parts) {
        const std::int64_t end = next_offset_of(records);
        if (end < 0) continue;
        next += static_cast<std::uint64_t>(end - offsets_[partition]);
        offsets_[partition] = end;
      }
      if (next < messages) {
        send_fetch();
        if (Status sent = connection_.exchange(false); !sent) return std::unexpected(sent.error());
      }
      for (const auto& [partition, records] : *parts) {
        const auto found = read_records(records);
        if (!found) return std::unexpected(found.error());
        consumed.messages += found->count;
        consumed.bytes += found->bytes;
      }
    }
    return consumed;
  }

 private:
  using Parts = std::map<std::uint32_t, std::string_view>;  // records, by partition

  void send(Api api, std::int16_t version, std::string_view body) {
    std::string head;
    FieldWriter header(head);
    header.integer(static_cast<std::int16_t>(api));
    header.integer(version);
    header.integer(++correlation_);
    header.text("compare");
    FieldWriter(connection_.out()).integer(static_cast<std::int32_t>(head.size() + body.size()));
    connection_.out().append(head).append(body);
  }

  void send_fetch() {
    std::string body;
    FieldWriter writer(body);
    writer.integer(std::int32_t{-1});
    writer.integer(std::int32_t{500});  // waits so long, in ms, for
    writer.integer(std::int32_t{1});    // a byte
    writer.integer(kFetchBytes);
    writer.integer(std::int8_t{0});
    writer.integer(std::int32_t{1});
    writer.text(topic_);
    writer.integer(static_cast<std::int32_t>(offsets_.size()));
    for (std::size_t i = 0; i < offsets_.size(); ++i) {
      writer.integer(static_cast<std::int32_t>(i));
      writer.integer(offsets_[i]);
      writer.integer(kFetchPartitionBytes);
    }
    send(Api::kFetch, kFetchVersion, body);
  }

  Result<Parts> parts_of(std::string_view reply) {
    FieldReader reader(reply);
    reader.skip(4);
    Parts parts;
    if (reader.integer<std::int32_t>() == 0) return parts;
    reader.text();
    const auto partitions = reader.integer<std::int32_t>();
    for (std::int32_t i = 0; i < partitions && reader.ok(); ++i) {
      const auto partition = reader.integer<std::uint32_t>();
      if (const auto code = reader.integer<std::int16_t>(); code != 0) {
        return refused("Fetch", code);
      }
      reader.skip(8 + 8);
      const auto aborted = reader.integer<std::int32_t>();
      if (aborted > 0) reader.skip(static_cast<std::size_t>(aborted) * 16);
      const std::string_view records = reader.blob();
      if (partition < offsets_.size()) parts[partition] = records;
    }
    if (!reader.ok()) return refused("reading a reply of Fetch", 0);
    return parts;
  }

  // A whole reply without its correlation id (they come in order); false: none has arrived.
  bool take_reply(std::string& reply) {
    FieldReader reader(connection_.in());
    if (reader.left() < 4) return false;
    const auto size = reader.integer<std::int32_t>();
    if (size < 4 || reader.left() < static_cast<std::size_t>(size)) return false;
    reader.skip(4);
    reply = reader.bytes(size - 4);
    connection_.take(4 + static_cast<std::size_t>(size));
    return true;
  }

  Result<std::string> await_reply() {
    std::string reply;
    while (!take_reply(reply)) {
      if (Status done = connection_.exchange(true); !done) return std::unexpected(done.error());
    }
    return reply;
  }

  Result<std::string> ask(Api api, std::int16_t version, std::string_view body) {
    send(api, version, body);
    return await_reply();
  }

  std::string topic_;
  std::size_t batch_bytes_;
  std::vector<KafkaBatch> batches_;  // that are filled, by partition
  std::size_t turn_ = 0;
  std::deque<std::uint64_t> under_way_;  // messages of each Produce request
  std::vector<std::int64_t> offsets_;    // to be read next, by partition
  std::int32_t correlation_ = 0;
};

}  // namespace

Result<std::unique_ptr<Peer>> open_kafka(const PeerOptions& options) {
  Result<Connection> connection = Connection::open(options.port);
  if (!connection) return std::unexpected(connection.error());
  return std::make_unique<Kafka>(std::move(*connection), options);
}

}  // namespace andyx::compare
