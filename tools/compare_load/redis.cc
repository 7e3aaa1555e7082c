// Redis Streams, by RESP. Publishing is XADD after XADD without waiting for replies, which come in
// order; reading is XREAD with large counts.
#include <charconv>
#include <vector>

#include "tools/compare_load/peer.h"

namespace andyx::compare {
namespace {

constexpr std::string_view kEnd = "\r\n";
constexpr std::string_view kField = "d";
constexpr std::uint64_t kMessagesEachRead = 10'000;

std::unexpected<Error> refused(std::string_view words) {
  return fail(ErrorCode::kInternal, "Redis: " + std::string(words.substr(0, 400)));
}

bool number(std::string_view word, std::int64_t& value) {
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  return error == std::errc{} && end == word.data() + word.size();
}

class Redis final : public Peer {
 public:
  Redis(Connection connection, const PeerOptions& options)
      : Peer(std::move(connection)), stream_(options.name) {
    prefix_ = "*5\r\n" + bulk("XADD") + bulk(stream_) + bulk("*") + bulk(kField);
  }

  Status create() override {  // a stream comes to be with its first entry
    command({"EXISTS", stream_});
    const auto there = integer_reply();
    if (!there) return std::unexpected(there.error());
    return *there == 0 ? Status{} : Status(refused("the stream is there already"));
  }

  Status put(std::string_view payload) override {
    std::string& out = connection_.out();
    out += prefix_;
    append_bulk(out, payload);
    return {};
  }

  // Each reply is a bulk string with the entry's id.
  Result<std::uint64_t> take_acknowledged() override {
    std::uint64_t count = 0;
    while (true) {
      const std::string_view in = connection_.in();
      const std::size_t line_end = in.find(kEnd);
      if (line_end == in.npos) return count;
      std::int64_t size = 0;
      if (in[0] != '$' || !number(in.substr(1, line_end - 1), size) || size < 0) {
        return refused(in.substr(0, line_end));
      }
      const std::size_t total = line_end + static_cast<std::size_t>(size) + 2 * kEnd.size();
      if (in.size() < total) return count;
      connection_.take(total);
      ++count;
    }
  }

  Result<std::uint64_t> stored() override {
    command({"XLEN", stream_});
    const auto length = integer_reply();
    if (!length) return std::unexpected(length.error());
    return static_cast<std::uint64_t>(*length);
  }

  Result<Consumed> consume(std::uint64_t messages, const Deadline& deadline) override {
    Consumed consumed;
    std::string after = "0";
    while (consumed.messages < messages && !deadline.over()) {
      command({"XREAD", "COUNT", std::to_string(kMessagesEachRead), "STREAMS", stream_, after});
      if (Status read = read_entries(after, consumed); !read) {
        return std::unexpected(read.error());
      }
    }
    return consumed;
  }

 private:
  static void append_bulk(std::string& out, std::string_view text) {
    char size[24];
    const auto end = std::to_chars(size, size + sizeof size, text.size()).ptr;
    out.append("$").append(size, end).append(kEnd).append(text).append(kEnd);
  }
  static std::string bulk(std::string_view text) {
    std::string out;
    append_bulk(out, text);
    return out;
  }

  void command(const std::vector<std::string>& words) {
    std::string& out = connection_.out();
    out += '*' + std::to_string(words.size()) + "\r\n";
    for (const std::string& word : words) append_bulk(out, word);
  }

  // The next line, without its end. Copied: more may be read before it is used.
  Result<std::string> line() {
    while (true) {
      const std::string_view in = connection_.in();
      if (const std::size_t end = in.find(kEnd); end != in.npos) {
        std::string text(in.substr(0, end));
        connection_.take(end + kEnd.size());
        return text;
      }
      if (Status done = connection_.exchange(true); !done) return std::unexpected(done.error());
    }
  }

  // The number of a line that starts with `kind`: ':' integer, '*' array, '$' bulk string.
  Result<std::int64_t> header(char kind) {
    const auto text = line();
    if (!text) return std::unexpected(text.error());
    std::int64_t value = 0;
    if (text->empty() || text->front() != kind ||
        !number(std::string_view(*text).substr(1), value)) {
      return refused(*text);
    }
    return value;
  }
  Result<std::int64_t> integer_reply() { return header(':'); }

  // A bulk string, left in the buffer: valid until the next read; take(size + 2) passes over it.
  Result<std::string_view> string_reply() {
    const auto size = header('$');
    if (!size) return std::unexpected(size.error());
    if (*size < 0) return refused("a string is missing");
    const auto bytes = static_cast<std::size_t>(*size);
    if (Status there = connection_.await(bytes + kEnd.size()); !there) {
      return std::unexpected(there.error());
    }
    return connection_.in().substr(0, bytes);
  }

  Result<std::size_t> skip_string() {
    const auto text = string_reply();
    if (!text) return std::unexpected(text.error());
    const std::size_t bytes = text->size();
    connection_.take(bytes + kEnd.size());
    return bytes;
  }

  // One stream: its name, then entries of an id and its fields.
  Status read_entries(std::string& after, Consumed& consumed) {
    const auto streams = header('*');
    if (!streams) return std::unexpected(streams.error());
    if (*streams < 1) return refused("the stream ends before everything was read");
    if (const auto pair = header('*'); !pair) return std::unexpected(pair.error());
    if (const auto name = skip_string(); !name) return std::unexpected(name.error());
    const auto entries = header('*');
    if (!entries) return std::unexpected(entries.error());
    for (std::int64_t i = 0; i < *entries; ++i) {
      if (const auto pair = header('*'); !pair) return std::unexpected(pair.error());
      const auto id = string_reply();
      if (!id) return std::unexpected(id.error());
      if (i + 1 == *entries) after = *id;
      connection_.take(id->size() + kEnd.size());
      const auto fields = header('*');
      if (!fields) return std::unexpected(fields.error());
      for (std::int64_t field = 0; field < *fields; ++field) {
        const auto size = skip_string();
        if (!size) return std::unexpected(size.error());
        if (field % 2 == 1) consumed.bytes += *size;
      }
      ++consumed.messages;
    }
    return {};
  }

  std::string stream_;
  std::string prefix_;  // of each XADD: everything but the payload
};

}  // namespace

Result<std::unique_ptr<Peer>> open_redis(const PeerOptions& options) {
  Result<Connection> connection = Connection::open(options.port);
  if (!connection) return std::unexpected(connection.error());
  return std::make_unique<Redis>(std::move(*connection), options);
}

}  // namespace andyx::compare
