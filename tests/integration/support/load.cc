#include "tests/integration/support/load.h"

#include <doctest/doctest.h>

#include <random>
#include <utility>

#include "tests/integration/support/wait_until.h"

namespace andyx::test {
namespace {

constexpr std::uint32_t kKeys = 50;
constexpr std::size_t kBatchesBetweenConfirmations = 20;

client::Client connect(const std::string& server, std::uint64_t seed) {
  auto client = client::Client::connect(
      {.servers = {server}, .name = "load", .backoff_max_ms = 200, .seed = seed});
  REQUIRE_MESSAGE(client.has_value(), client.error().message);
  return std::move(*client);
}

client::Producer open_producer(client::Client& client, const std::string& topic,
                               const ProducerStyle& style) {
  auto producer = client.producer({.topic = topic,
                                   .acks = style.acks,
                                   .compression = style.compression,
                                   .linger_ms = style.linger_ms,
                                   .batch_bytes = style.batch_bytes});
  REQUIRE_MESSAGE(producer.has_value(), producer.error().message);
  return std::move(*producer);
}

client::Consumer attach(client::Client& client, const std::string& topic,
                        const ConsumerStyle& style) {
  auto consumer = client.subscribe({.topic = topic,
                                    .subscription = style.subscription,
                                    .type = style.type,
                                    .mode = style.mode,
                                    .start = client::Start::earliest(),
                                    .key_ordered = style.key_ordered,
                                    .max_deliveries = style.poison_every > 0 ? 2u : 0u});
  REQUIRE_MESSAGE(consumer.has_value(), consumer.error().message);
  return std::move(*consumer);
}

}  // namespace

ProducerLoad::ProducerLoad(Book& book, const std::string& server, const std::string& topic,
                           std::uint32_t id, ProducerStyle style, std::uint64_t seed)
    : book_(book),
      id_(id),
      style_(style),
      client_(connect(server, seed)),
      producer_(open_producer(client_, topic, style)),
      thread_([this, seed] { run(seed); }) {}

ProducerLoad::~ProducerLoad() {
  refusal_allowed_ = true;
  stopping_ = true;
  room_.notify_all();
  if (thread_.joinable()) thread_.join();
  client_.close();  // the last callbacks run here, while the members they use live
}

void ProducerLoad::run(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  for (std::uint32_t sequence = 0; !stopping_; ++sequence) {
    {
      std::unique_lock lock(room_mutex_);
      room_.wait(lock, [&] { return stopping_ || in_flight() < style_.max_in_flight_messages; });
    }
    if (stopping_) return;
    const std::string key = style_.keyed ? "key" + std::to_string(random() % kKeys) : "";
    const MessageId id{.producer = id_, .sequence = sequence};
    send_one(id, key, payload_of(id, random() % style_.max_payload_bytes));
  }
}

void ProducerLoad::send_one(MessageId id, const std::string& key, const std::string& payload) {
  client::OutMessage message{.payload = payload};
  if (!key.empty()) message.key = key;
  ++sent_;
  const Status accepted = producer_.send(
      message, [this, id](const client::SendOutcome& outcome) { answered(id, outcome); });
  if (accepted) return;
  ++answered_;
  fail(accepted.error());
}

void ProducerLoad::answered(MessageId id, const client::SendOutcome& outcome) {
  if (outcome) {
    const std::scoped_lock lock(book_.mutex);
    book_.messages.acknowledged(id, outcome->partition, outcome->offset);
    ++acknowledged_;
  } else {
    fail(outcome.error());
  }
  {
    const std::scoped_lock lock(room_mutex_);
    ++answered_;
  }
  room_.notify_all();
}

void ProducerLoad::fail(const Error& error) {
  stopping_ = true;
  if (refusal_allowed_) return;
  const std::scoped_lock lock(book_.mutex);
  book_.failures.add("producer " + std::to_string(id_) + ": " + std::string(error.name()) + ": " +
                     error.message);
}

void ProducerLoad::stop() {
  stopping_ = true;
  room_.notify_all();
  if (thread_.joinable()) thread_.join();
  if (refusal_allowed_) return;
  const Status flushed = producer_.flush();
  if (!flushed) fail(flushed.error());
}

ConsumerLoad::ConsumerLoad(Book& book, const std::string& server, const std::string& topic,
                           ConsumerStyle style, std::uint64_t seed)
    : book_(book),
      style_(std::move(style)),
      client_(connect(server, seed)),
      consumer_(attach(client_, topic, style_)),
      thread_([this, seed] { run(seed); }) {}

ConsumerLoad::~ConsumerLoad() {
  client_.close();  // a thread that waits for a server that is gone waits no longer
  stop();
}

void ConsumerLoad::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void ConsumerLoad::run(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  while (!stopping_) {
    Result<client::MessageBatch> batch = consumer_.poll(50);
    const std::uint32_t run = book_.run;
    if (!batch) {
      const std::scoped_lock lock(book_.mutex);
      book_.failures.add("consumer of " + style_.subscription + ": " +
                         std::string(batch.error().name()) + ": " + batch.error().message);
      return;
    }
    if (!batch->empty()) {
      Taken taken = take(*batch, run);
      if (random() % 100 < style_.late_percent) {
        late_.push_back(std::move(taken));
      } else {
        answer(taken, random);
      }
    }
    if (batch->empty() || unconfirmed_.size() >= kBatchesBetweenConfirmations) {
      for (const Taken& taken : std::exchange(late_, {})) answer(taken, random);
      confirm();
    }
  }
}

ConsumerLoad::Taken ConsumerLoad::take(client::MessageBatch& batch, std::uint32_t run) {
  const std::scoped_lock lock(book_.mutex);
  client::Message message;
  while (batch.next(message)) {
    style_.ledger->delivered(run, message.partition, message.offset, message.key);
  }
  if (!batch.status()) book_.failures.add("a batch of " + style_.subscription + " is damaged");
  return {batch.partition(), {batch.ranges().begin(), batch.ranges().end()}};
}

// Whole ranges, or message by message where answers differ.
void ConsumerLoad::answer(const Taken& taken, std::mt19937_64& random) {
  const bool one_by_one =
      style_.skip_percent + style_.unacknowledge_percent + style_.poison_every > 0;
  Taken settled{taken.partition, {}};
  for (const auto& range : taken.ranges) {
    if (!one_by_one) {
      consumer_.answer(client::AnswerKind::kAcknowledge, taken.partition, range);
      settled.ranges.push_back(range);
      continue;
    }
    for (Offset offset = range.first; offset <= range.last; ++offset) {
      const std::uint64_t dice = random() % 100;
      const bool fails = dice < style_.unacknowledge_percent ||
                         (style_.poison_every > 0 && offset % style_.poison_every == 0);
      if (fails) {
        const std::uint32_t delay_ms =
            random() % 2 == 0 ? 0 : static_cast<std::uint32_t>(random() % 50);
        consumer_.answer(client::AnswerKind::kUnacknowledge, taken.partition, {offset, offset},
                         delay_ms);
        continue;
      }
      const bool skip = dice < style_.unacknowledge_percent + style_.skip_percent;
      consumer_.answer(skip ? client::AnswerKind::kSkip : client::AnswerKind::kAcknowledge,
                       taken.partition, {offset, offset});
      settled.ranges.push_back({offset, offset});
    }
  }
  unconfirmed_.push_back(std::move(settled));
}

void ConsumerLoad::confirm() {
  if (unconfirmed_.empty()) return;
  const std::uint64_t refused_before = refused_;
  const Status confirmed = consumer_.flush_answers();
  refused_ = consumer_.stats().answers_refused;
  const std::uint32_t run = book_.run;  // now or earlier: the weaker promise of the two
  const std::scoped_lock lock(book_.mutex);
  if (!confirmed) {
    book_.failures.add("answers of " + style_.subscription + ": " +
                       std::string(confirmed.error().name()) + ": " + confirmed.error().message);
    return;
  }
  const auto answered = std::exchange(unconfirmed_, {});
  if (refused_ != refused_before)
    return;  // some were another consumer's by then: nothing is promised
  for (const Taken& taken : answered) {
    for (const auto& range : taken.ranges) {
      style_.ledger->confirmed(run, taken.partition, range.first, range.last);
    }
  }
}

}  // namespace andyx::test
