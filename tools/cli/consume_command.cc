#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "protocol/net/loop.h"
#include "tools/cli/session.h"
#include "tools/common/output.h"
#include "tools/common/stop_signal.h"

namespace andyx::cli {
namespace {

constexpr std::uint32_t kPollMs = 200;  // how soon a signal is noticed

std::uint64_t now_ms() { return net::monotonic_ns() / 1'000'000; }

// What was not given is as the subscription is; a new one is unique and resilient.
Result<client::ConsumerOptions> consumer_options(Session& session, const Consume& command) {
  client::ConsumerOptions options;
  options.topic = command.topic;
  options.subscription = command.subscription;
  options.start = command.from.value_or(client::Start::latest());
  options.answer_timeout_ms = session.options.timeout_ms;
  options.name = command.consumer;
  options.priority = command.priority;
  options.take_over = command.take_over;
  options.ack_timeout_ms = command.ack_timeout_ms;
  options.max_deliveries = command.max_deliveries;
  if (!command.type || !command.mode) {
    const auto existing =
        session.client.admin().describe_subscription(command.topic, command.subscription);
    if (existing) {
      options.type = existing->type;
      options.mode = existing->mode;
      options.key_ordered = existing->key_ordered && !command.type;
    } else if (existing.error().code != ErrorCode::kUnknownSubscription) {
      return std::unexpected(existing.error());
    }
  }
  options.type = command.type.value_or(options.type);
  options.mode = command.mode.value_or(options.mode);
  options.key_ordered = options.key_ordered || command.key_ordered;
  return options;
}

class Consuming {
 public:
  Consuming(Session& session, client::Consumer& consumer, const Consume& command)
      : session_(session), consumer_(consumer), command_(command), output_(STDOUT_FILENO) {}

  // Until --count, --idle-exit, a signal, or the reader of the output is gone.
  Outcome run() {
    restart_idle();
    while (!enough() && !signal_.stopped() && !output_.closed()) {
      const std::uint64_t left_ms = idle_limit_ms() - std::min(idle_limit_ms(), idle_ms());
      auto batch =
          consumer_.poll(static_cast<std::uint32_t>(std::min<std::uint64_t>(kPollMs, left_ms)));
      if (!batch) return std::unexpected(batch.error());
      if (!batch->empty()) {
        if (Status handled = handle(*batch); !handled) return std::unexpected(handled.error());
      }
      if (enough() || idle_ms() < idle_limit_ms()) continue;
      if (Status there = check_server(); !there) return std::unexpected(there.error());
      if (idle_ms() < idle_limit_ms()) continue;
      if (command_.count) return give_up();
      if (command_.idle_exit_ms) break;
      restart_idle();
    }
    return tools::kDone;
  }

 private:
  // Answers only what has been written out: a message whose output is lost is delivered again.
  Status handle(client::MessageBatch& batch) {
    client::Message message;
    Offset last = kNoOffset;
    while (!enough() && batch.next(message)) {
      append_message(output_.buffer(), command_.print, message);
      last = message.offset;
      ++consumed_;
      // With --answer unack every message comes again, for ever: that is no news.
      const bool again =
          command_.answer == client::AnswerKind::kUnacknowledge && message.delivery_count > 1;
      if (!again) restart_idle();
      if (Status written = output_.written(); !written) return written;
    }
    const Status read = batch.status();
    if (Status flushed = output_.flush(); !flushed) return flushed;
    if (output_.closed() || last == kNoOffset) return read;
    for (client::OffsetRange range : batch.ranges()) {
      if (range.first > last) break;
      range.last = std::min(range.last, last);
      consumer_.answer(command_.answer, batch.partition(), range, command_.delay_ms);
    }
    return read;
  }

  bool enough() const { return command_.count && consumed_ >= *command_.count; }

  std::uint64_t idle_ms() const { return now_ms() - last_message_ms_; }
  std::uint64_t idle_limit_ms() const {
    return command_.idle_exit_ms.value_or(session_.options.timeout_ms);
  }
  void restart_idle() { last_message_ms_ = now_ms(); }

  // Silence counts only while the server is there. This asks it, which waits for a lost connection,
  // at most --timeout; when there was one, the silence begins anew.
  Status check_server() {
    const auto alive = session_.client.admin().node_status();
    if (!alive) return std::unexpected(alive.error());
    const std::uint64_t reconnects = consumer_.stats().reconnects;
    if (reconnects != reconnects_) restart_idle();
    reconnects_ = reconnects;
    return {};
  }

  tools::ExitStatus give_up() const {
    std::fprintf(stderr, "andyx-cli: no message came for %llu ms, after %llu of %llu\n",
                 static_cast<unsigned long long>(idle_limit_ms()),
                 static_cast<unsigned long long>(consumed_),
                 static_cast<unsigned long long>(*command_.count));
    return tools::kTimedOut;
  }

  Session& session_;
  client::Consumer& consumer_;
  const Consume& command_;
  tools::Output output_;
  tools::StopSignal signal_;
  std::uint64_t consumed_ = 0;
  std::uint64_t last_message_ms_ = 0;
  std::uint64_t reconnects_ = 0;
};

}  // namespace

Outcome run_command(Session& session, const Consume& command) {
  auto options = consumer_options(session, command);
  if (!options) return std::unexpected(options.error());
  auto consumer = session.client.subscribe(std::move(*options));
  if (!consumer) return std::unexpected(consumer.error());
  Consuming consuming(session, *consumer, command);
  const Outcome consumed = consuming.run();
  const Status confirmed = consumer->close();
  if (!consumed || confirmed) return consumed;
  return std::unexpected(confirmed.error());
}

}  // namespace andyx::cli
