// dead list, dead redrive: the dead-letter topic of a topic, and the way back. What was sent back
// is answered on a subscription of the dead-letter topic, so that nothing is listed or sent again.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <mutex>

#include "protocol/net/loop.h"
#include "tools/cli/session.h"
#include "tools/cli/show_text.h"
#include "tools/common/output.h"

namespace andyx::cli {
namespace {

constexpr const char* kRedriveSubscription = "andyx.redrive";
constexpr std::string_view kOriginPrefix = "andyx-dead-";
constexpr std::uint32_t kReadBytes = 1'048'576;
constexpr std::uint32_t kPollMs = 200;

std::string dead_topic(const std::string& topic) { return topic + ".dead"; }

std::string_view header(const client::Message& message, std::string_view name) {
  for (const client::Header& one : message.headers)
    if (one.name == name) return one.value;
  return "-";
}

bool wanted(const client::Message& message, const std::optional<std::string>& subscription) {
  return !subscription || header(message, "andyx-dead-subscription") == *subscription;
}

void append_line(std::string& out, const client::Message& message) {
  out.append(number(message.partition)).append(":").append(number(message.offset)).append("\t");
  out.append(header(message, "andyx-dead-subscription")).append("\t");
  out.append(header(message, "andyx-dead-partition")).append(":");
  out.append(header(message, "andyx-dead-offset")).append("\t");
  out.append(header(message, "andyx-dead-deliveries")).append("\t");
  append_message(out, Print::kKeyValue, message);
}

// Those that were not sent back: from the floor of the redrive subscription, where there is one.
Result<std::vector<Offset>> first_offsets(client::Admin& admin, const std::string& topic) {
  auto described = admin.describe_topic(topic);
  if (!described) return std::unexpected(described.error());
  std::vector<Offset> first;
  for (const auto& partition : described->partitions) first.push_back(partition.start_offset);
  auto redriven = admin.describe_subscription(topic, kRedriveSubscription);
  if (!redriven) {
    if (redriven.error().code == ErrorCode::kUnknownSubscription) return first;
    return std::unexpected(redriven.error());
  }
  for (const auto& partition : redriven->partitions)
    if (partition.partition < first.size())
      first[partition.partition] = std::max(first[partition.partition], partition.floor);
  return first;
}

class Redrive {
 public:
  Redrive(Session& session, const DeadRedrive& command) : session_(session), command_(command) {}

  Status run() {
    const std::string dead = dead_topic(command_.topic);
    auto admin = session_.client.admin();
    client::ConsumerOptions options;
    options.topic = dead;
    options.subscription = kRedriveSubscription;
    options.mode = client::SubscriptionMode::kNonresilient;
    options.start = client::Start::earliest();
    options.answer_timeout_ms = session_.options.timeout_ms;
    auto consumer = session_.client.subscribe(std::move(options));
    if (!consumer) return std::unexpected(consumer.error());
    auto producer = session_.client.producer({.topic = command_.topic});
    if (!producer) return std::unexpected(producer.error());
    auto described = admin.describe_subscription(dead, kRedriveSubscription);
    if (!described) return std::unexpected(described.error());
    std::uint64_t waiting = 0;
    for (const auto& partition : described->partitions) waiting += partition.lag_messages;
    Status moved = move(*consumer, *producer, waiting);
    const Status confirmed = consumer->close();
    return moved ? confirmed : moved;
  }

  std::uint64_t sent() const { return sent_; }

 private:
  // Until everything that waited at the start has been looked at.
  Status move(client::Consumer& consumer, client::Producer& producer, std::uint64_t waiting) {
    std::uint64_t seen = 0;
    std::uint64_t progress_ms = net::monotonic_ns() / 1'000'000;
    while (seen < waiting && !enough()) {
      auto batch = consumer.poll(kPollMs);
      if (!batch) return std::unexpected(batch.error());
      const std::uint64_t now_ms = net::monotonic_ns() / 1'000'000;
      if (!batch->empty()) progress_ms = now_ms;
      if (now_ms - progress_ms > session_.options.timeout_ms)
        return fail(ErrorCode::kTimedOut, "the dead letters did not come");
      seen += batch->count();
      if (Status sent = send_back(producer, *batch); !sent) return sent;
      for (const client::OffsetRange& range : stored_)
        consumer.answer(client::AnswerKind::kAcknowledge, batch->partition(), range);
    }
    return consumer.flush_answers();
  }

  bool enough() const { return command_.count && sent_ >= *command_.count; }

  // Acknowledged are those that the topic has stored.
  Status send_back(client::Producer& producer, client::MessageBatch& batch) {
    stored_.clear();
    client::Message message;
    while (!enough() && batch.next(message)) {
      if (!wanted(message, command_.subscription)) continue;
      std::vector<client::Header> headers;
      for (const client::Header& one : message.headers)
        if (!one.name.starts_with(kOriginPrefix)) headers.push_back(one);
      const client::OutMessage out{.key = message.key,
                                   .payload = message.payload,
                                   .headers = headers,
                                   .time_us = message.time_us};
      if (Status sent = producer.send(out); !sent) return sent;
      stored_.push_back({message.offset, message.offset});
      ++sent_;
    }
    if (!batch.status()) return batch.status();
    return producer.flush();
  }

  Session& session_;
  const DeadRedrive& command_;
  std::vector<client::OffsetRange> stored_;
  std::uint64_t sent_ = 0;
};

bool no_dead_letters(const Error& error) { return error.code == ErrorCode::kUnknownTopic; }

}  // namespace

Outcome run_command(Session& session, const DeadList& command) {
  auto admin = session.client.admin();
  if (auto topic = admin.describe_topic(command.topic); !topic)
    return std::unexpected(topic.error());
  const std::string dead = dead_topic(command.topic);
  tools::Output output(STDOUT_FILENO);
  auto next = first_offsets(admin, dead);
  if (!next) {
    if (no_dead_letters(next.error())) return tools::kDone;
    return std::unexpected(next.error());
  }
  std::uint64_t printed = 0;
  const auto enough = [&] {
    return output.closed() || (command.count && printed >= *command.count);
  };
  for (std::uint32_t partition = 0; partition < next->size(); ++partition) {
    for (Offset at = (*next)[partition]; !enough();) {
      auto read = admin.read(dead, partition, at, kReadBytes);
      if (!read) return std::unexpected(read.error());
      if (read->next_offset == at) break;
      at = read->next_offset;
      client::Message message;
      while (!enough() && read->messages.next(message)) {
        if (!wanted(message, command.subscription)) continue;
        if (session.json())
          append_message(output.buffer(), Print::kJson, message);
        else
          append_line(output.buffer(), message);
        ++printed;
        if (Status written = output.written(); !written) return std::unexpected(written.error());
      }
      if (!read->messages.status()) return std::unexpected(read->messages.status().error());
    }
  }
  if (Status flushed = output.flush(); !flushed) return std::unexpected(flushed.error());
  return tools::kDone;
}

Outcome run_command(Session& session, const DeadRedrive& command) {
  auto admin = session.client.admin();
  if (auto topic = admin.describe_topic(command.topic); !topic)
    return std::unexpected(topic.error());
  Redrive redrive(session, command);
  const auto dead = admin.describe_topic(dead_topic(command.topic));
  Status done;
  if (dead)
    done = redrive.run();
  else if (!no_dead_letters(dead.error()))
    done = std::unexpected(dead.error());
  if (session.json())
    std::fputs(
        json_line({{"topic", topic_url(command.topic)}, {"redriven", redrive.sent()}}).c_str(),
        stdout);
  else
    std::printf("%llu sent back to %s\n", static_cast<unsigned long long>(redrive.sent()),
                topic_url(command.topic).c_str());
  if (!done) return std::unexpected(done.error());
  return tools::kDone;
}

}  // namespace andyx::cli
