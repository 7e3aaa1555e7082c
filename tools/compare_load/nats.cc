// NATS JetStream, by its text protocol. Publishes are asynchronous: each names the same inbox for
// its acknowledgement, and a stream acknowledges in order. Reading is by an ordered consumer:
// pushed, without acknowledgements, with flow control.
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <nlohmann/json.hpp>

#include "tools/compare_load/peer.h"

namespace andyx::compare {
namespace {

constexpr std::string_view kEnd = "\r\n";
// Messages are told apart by the subscription: what a consumer is sent keeps its own subject.
constexpr std::string_view kAcks = "1", kReplies = "2", kDelivered = "3";

// An inbox of one connection: others get nothing of what is sent to it.
std::string inbox(std::uint32_t connection, std::string_view subscription) {
  return "_INBOX.compare." + std::to_string(::getpid()) + '-' + std::to_string(connection) + '.' +
         std::string(subscription);
}

std::uint32_t next_connection() {
  static std::atomic<std::uint32_t> last = 0;
  return ++last;
}

std::unexpected<Error> refused(std::string_view words) {
  return fail(ErrorCode::kInternal, "NATS: " + std::string(words.substr(0, 400)));
}

// "MSG subject sid [reply] bytes" or "HMSG subject sid [reply] header-bytes bytes", cut into words.
struct Frame {
  std::string_view subscription, reply, headers, payload;
};

class Nats final : public Peer {
 public:
  Nats(Connection connection, const PeerOptions& options)
      : Peer(std::move(connection)),
        stream_(options.name),
        subject_(options.name + ".messages"),
        replicas_(options.replicas) {}

  Status connect() {
    connection_.out() +=
        "CONNECT {\"verbose\":false,\"pedantic\":false,\"tls_required\":false,\"headers\":true,"
        "\"no_responders\":true,\"protocol\":1,\"name\":\"compare\",\"lang\":\"c++\","
        "\"version\":\"1\"}\r\n";
    for (const std::string_view id : {kAcks, kReplies, kDelivered}) {
      connection_.out()
          .append("SUB ")
          .append(inbox(number_, id))
          .append(" ")
          .append(id)
          .append(kEnd);
    }
    return {};
  }

  Status create() override {
    const nlohmann::json config{{"name", stream_},
                                {"subjects", {subject_}},
                                {"storage", "file"},
                                {"retention", "limits"},
                                {"num_replicas", replicas_}};
    const auto reply = ask("$JS.API.STREAM.CREATE." + stream_, config.dump());
    if (!reply) return std::unexpected(reply.error());
    if (replicas_ == 1) return {};
    // The nodes of a cluster are named by their ports here.
    const std::string leader = reply->value("/cluster/leader"_json_pointer, std::string());
    std::size_t port = 0;
    if (!number(leader, port) || port == 0 || port > 65'535) return refused("no leader: " + leader);
    leader_port_ = static_cast<std::uint16_t>(port);
    return {};
  }

  std::optional<std::uint16_t> leader_port() const override { return leader_port_; }

  Status put(std::string_view payload) override {
    publish(subject_, acks_inbox_, payload);
    return {};
  }

  Result<std::uint64_t> take_acknowledged() override {
    std::uint64_t count = 0;
    Frame frame;
    while (true) {
      const Result<bool> there = next(frame);
      if (!there) return std::unexpected(there.error());
      if (!*there) return count;
      if (frame.subscription != kAcks) continue;
      if (!frame.headers.empty() || frame.payload.find("\"error\"") != std::string_view::npos) {
        return refused(frame.payload.empty() ? frame.headers : frame.payload);
      }
      ++count;
    }
  }

  Result<std::uint64_t> stored() override {
    const auto info = ask("$JS.API.STREAM.INFO." + stream_, "");
    if (!info) return std::unexpected(info.error());
    return (*info)["state"]["messages"].get<std::uint64_t>();
  }

  Result<Consumed> consume(std::uint64_t messages, const Deadline& deadline) override {
    const nlohmann::json request{{"stream_name", stream_},
                                 {"config",
                                  {{"deliver_subject", inbox(number_, kDelivered)},
                                   {"deliver_policy", "all"},
                                   {"ack_policy", "none"},
                                   {"max_deliver", 1},
                                   {"replay_policy", "instant"},
                                   {"flow_control", true},
                                   {"idle_heartbeat", 5'000'000'000}}}};
    const auto made = ask("$JS.API.CONSUMER.CREATE." + stream_, request.dump());
    if (!made) return std::unexpected(made.error());
    Consumed consumed;
    Frame frame;
    while (consumed.messages < messages) {
      const Result<bool> there = next(frame);
      if (!there) return std::unexpected(there.error());
      if (!*there) {
        if (deadline.over()) break;
        if (Status done = connection_.exchange(true); !done) return std::unexpected(done.error());
        continue;
      }
      if (frame.subscription != kDelivered) continue;
      if (!frame.headers.empty()) {
        answer_flow_control(frame);
        continue;
      }
      ++consumed.messages;
      consumed.bytes += frame.payload.size();
    }
    return consumed;
  }

 private:
  void publish(std::string_view subject, std::string_view reply, std::string_view payload) {
    std::string& out = connection_.out();
    char size[24];
    const auto end = std::to_chars(size, size + sizeof size, payload.size()).ptr;
    out.append("PUB ").append(subject).append(" ");
    if (!reply.empty()) out.append(reply).append(" ");
    out.append(size, end).append(kEnd).append(payload).append(kEnd);
  }

  // A status message: a request of flow control has a reply subject; a heartbeat of a stalled
  // consumer names it in a header.
  void answer_flow_control(const Frame& frame) {
    static constexpr std::string_view kStalled = "Nats-Consumer-Stalled: ";
    std::string_view reply = frame.reply;
    if (const auto at = frame.headers.find(kStalled); reply.empty() && at != reply.npos) {
      reply = frame.headers.substr(at + kStalled.size());
      reply = reply.substr(0, reply.find(kEnd));
    }
    if (!reply.empty()) publish(reply, "", "");
  }

  Result<nlohmann::json> ask(const std::string& subject, const std::string& body) {
    publish(subject, inbox(number_, kReplies), body);
    Frame frame;
    while (true) {
      const Result<bool> there = next(frame);
      if (!there) return std::unexpected(there.error());
      if (*there && frame.subscription == kReplies) break;
      if (*there) continue;
      if (Status done = connection_.exchange(true); !done) return std::unexpected(done.error());
    }
    auto json = nlohmann::json::parse(frame.payload, nullptr, false);
    if (!json.is_object() || json.contains("error")) {
      return refused(frame.payload.empty() ? frame.headers : frame.payload);
    }
    return json;
  }

  // The next message that has arrived whole, valid until more is read; false: none. Answers pings.
  Result<bool> next(Frame& frame) {
    while (true) {
      const std::string_view in = connection_.in();
      const std::size_t line_end = in.find(kEnd);
      if (line_end == in.npos) return false;
      const std::string_view line = in.substr(0, line_end);
      if (line.starts_with("MSG ") || line.starts_with("HMSG ")) {
        return message(frame, line, in.substr(line_end + kEnd.size()));
      }
      if (line.starts_with("-ERR")) return refused(line);
      if (line.starts_with("PING")) connection_.out() += "PONG\r\n";
      connection_.take(line_end + kEnd.size());  // INFO, PONG, +OK
    }
  }

  Result<bool> message(Frame& frame, std::string_view line, std::string_view rest) {
    std::string_view words[6];
    std::size_t count = 0;
    for (std::string_view left = line; count < 6;) {
      const std::size_t blank = left.find(' ');
      words[count++] = left.substr(0, blank);
      if (blank == left.npos) break;
      left.remove_prefix(blank + 1);
    }
    const std::size_t sizes = words[0] == "HMSG" ? 2 : 1;
    std::size_t total = 0, headers = 0;
    if (count < 3 + sizes || !number(words[count - 1], total) ||
        (sizes == 2 && !number(words[count - 2], headers)) || headers > total) {
      return refused(line);
    }
    if (rest.size() < total + kEnd.size()) return false;
    frame = {.subscription = words[2],
             .reply = count == 4 + sizes ? words[3] : std::string_view(),
             .headers = rest.substr(0, headers),
             .payload = rest.substr(headers, total - headers)};
    connection_.take(line.size() + total + 2 * kEnd.size());
    return true;
  }

  static bool number(std::string_view word, std::size_t& value) {
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    return error == std::errc{} && end == word.data() + word.size();
  }

  std::string stream_, subject_;
  std::uint32_t replicas_;
  std::optional<std::uint16_t> leader_port_;
  std::uint32_t number_ = next_connection();
  std::string acks_inbox_ = inbox(number_, kAcks);
};

}  // namespace

Result<std::unique_ptr<Peer>> open_nats(const PeerOptions& options) {
  Result<Connection> connection = Connection::open(options.port);
  if (!connection) return std::unexpected(connection.error());
  auto nats = std::make_unique<Nats>(std::move(*connection), options);
  if (Status connected = nats->connect(); !connected) return std::unexpected(connected.error());
  return nats;
}

}  // namespace andyx::compare
