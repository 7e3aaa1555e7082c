#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "protocol/net/loop.h"
#include "tools/cli/line_reader.h"
#include "tools/cli/session.h"
#include "tools/cli/show_text.h"
#include "tools/common/output.h"
#include "tools/common/progress.h"

namespace andyx::cli {
namespace {

class InputFile {
 public:
  static Result<InputFile> open(const std::string& path) {
    if (path == "-") return InputFile(STDIN_FILENO);
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
      return fail(ErrorCode::kIo, "cannot read '" + path + "': " + std::strerror(errno));
    }
    return InputFile(fd);
  }
  InputFile(InputFile&& other) noexcept : fd_(std::exchange(other.fd_, STDIN_FILENO)) {}
  InputFile& operator=(InputFile&&) = delete;
  ~InputFile() {
    if (fd_ != STDIN_FILENO) ::close(fd_);
  }
  int fd() const { return fd_; }

 private:
  explicit InputFile(int fd) : fd_(fd) {}
  int fd_;
};

// What came of the batches: written on the client's thread, read by the one that sends.
class Outcomes {
 public:
  void add(const client::BatchOutcome& outcome) {
    if (outcome.error == nullptr) {
      if (outcome.copies < fewest_copies_) fewest_copies_ = outcome.copies;
    } else if (!failed()) {
      error_ = *outcome.error;
      failed_.store(true, std::memory_order_release);
    }
  }
  bool failed() const { return failed_.load(std::memory_order_acquire); }
  const Error& error() const { return error_; }  // the first one, once it failed
  // That hold each message, at least; 0: not known.
  std::uint32_t fewest_copies() const {
    const std::uint32_t fewest = fewest_copies_;
    return fewest == kNone ? 0 : fewest;
  }

 private:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  std::atomic<bool> failed_ = false;
  std::atomic<std::uint32_t> fewest_copies_ = kNone;
  Error error_;
};

// A line with the separator is key and payload; without it, payload alone.
void split_key(std::string_view line, const std::optional<std::string>& separator,
               client::OutMessage& message) {
  message.payload = line;
  if (!separator) return;
  message.key.reset();
  const std::size_t at = line.find(*separator);
  if (at == std::string_view::npos) return;
  message.key = line.substr(0, at);
  message.payload = line.substr(at + separator->size());
}

// Sends every line; stops at the first that is refused, and soon after a batch has failed.
Status send_lines(LineReader& reader, client::Producer& producer, const Produce& command,
                  const Outcomes& outcomes) {
  std::vector<client::Header> headers;
  client::OutMessage message;
  for (const auto& [name, value] : command.headers) {
    headers.push_back({name, value});
    if (name == command.message_id_header) message.message_id = value;
  }
  message.headers = headers;
  if (command.key) message.key = *command.key;
  message.deliver_at_us = command.deliver_at.value_or(0);
  tools::Progress progress;
  const auto progress_text = [&] {
    return tools::short_count(static_cast<double>(reader.lines())) + " messages read, " +
           tools::short_count(static_cast<double>(producer.stats().messages_acked)) +
           " acknowledged, " + tools::short_bytes(static_cast<double>(reader.bytes()));
  };
  constexpr std::uint64_t kProgressEveryLines = 1024;
  std::string_view line;
  while (!outcomes.failed()) {
    const Result<bool> more = reader.next(line);
    if (!more) return std::unexpected(more.error());
    if (!*more) break;
    split_key(line, command.key_separator, message);
    if (Status sent = producer.send(message); !sent) {
      sent.error().message = "line " + std::to_string(reader.lines()) + ": " + sent.error().message;
      return sent;
    }
    if (reader.lines() % kProgressEveryLines == 0) progress.update(progress_text);
  }
  return {};
}

Outcome print_result(const Session& session, const client::ProducerStats& stats,
                     std::uint64_t bytes, double elapsed_s, std::uint32_t copies) {
  tools::Output output(STDOUT_FILENO);
  if (session.json()) {
    output.buffer() = json_line({{"messages_acked", stats.messages_acked},
                                 {"bytes", bytes},
                                 {"elapsed_s", elapsed_s},
                                 {"copies", copies == 0 ? Json(nullptr) : Json(copies)}});
  } else {
    char text[128];
    std::snprintf(text, sizeof text, "%llu messages acknowledged in %.3f s\n",
                  static_cast<unsigned long long>(stats.messages_acked), elapsed_s);
    output.buffer() = text;
  }
  if (Status flushed = output.flush(); !flushed) return std::unexpected(flushed.error());
  return tools::kDone;
}

}  // namespace

Outcome run_command(Session& session, const Produce& command) {
  const Result<InputFile> input = InputFile::open(command.file);
  if (!input) return std::unexpected(input.error());

  const auto outcomes = std::make_shared<Outcomes>();  // callbacks may outlive this call
  client::ProducerOptions options;
  options.topic = command.topic;
  options.name = command.producer;
  options.instance = command.instance;
  options.acks = command.acks;
  options.compression = command.compression;
  options.delivery_timeout_ms = session.options.timeout_ms;
  options.on_batch = [outcomes](const client::BatchOutcome& outcome) { outcomes->add(outcome); };
  Result<client::Producer> producer = session.client.producer(std::move(options));
  if (!producer) return std::unexpected(producer.error());

  const std::uint64_t started_ns = net::monotonic_ns();
  LineReader reader(input->fd());
  Status sent = send_lines(reader, *producer, command, *outcomes);
  // A batch that failed says more than a send that was refused because of it.
  if (outcomes->failed()) sent = std::unexpected(outcomes->error());
  // What was accepted before a bad line is sent all the same; not when waiting has timed out
  // already.
  const bool given_up = !sent && tools::exit_status_of(sent.error()) == tools::kTimedOut;
  const Status flushed = given_up ? Status{} : producer->close();
  const double elapsed_s = static_cast<double>(net::monotonic_ns() - started_ns) / 1e9;
  const client::ProducerStats stats = producer->stats();
  if (sent && flushed) {
    const std::uint32_t copies = outcomes->fewest_copies();
    if (command.acks == client::Acks::kQuorum && copies == 1) {
      std::fprintf(stderr,
                   "andyx-cli: quorum was one copy, on one disk (topic describe says why)\n");
    }
    return print_result(session, stats, reader.bytes(), elapsed_s, copies);
  }
  std::fprintf(stderr, "andyx-cli: %llu messages were acknowledged before this:\n",
               static_cast<unsigned long long>(stats.messages_acked));
  return std::unexpected(sent ? flushed.error() : sent.error());
}

}  // namespace andyx::cli
