#include "tests/fault/workload/consumer_worker.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace andyx::test::fault {
namespace {

constexpr std::uint32_t kPollMs = 50;
constexpr std::uint32_t kAttachAgainMs = 100;
constexpr std::uint32_t kConfirmMs = 10'000;
constexpr std::size_t kSettledBeforeConfirm = 200;
constexpr std::uint64_t kFarBehindMessages = 5'000;
constexpr std::uint64_t kLongestDelayMs = 50;

}  // namespace

void Progress::note(std::uint32_t partition, Offset offset) {
  const std::scoped_lock lock(mutex_);
  std::vector<bool>& seen = seen_.at(partition);
  if (seen.size() <= offset) seen.resize(offset + 1);
  if (!seen[offset]) ++counts_[partition];
  seen[offset] = true;
}

std::uint64_t Progress::distinct(std::uint32_t partition) const {
  const std::scoped_lock lock(mutex_);
  return counts_.at(partition);
}

std::uint64_t Progress::behind(const std::vector<std::atomic<Offset>>& ends) const {
  std::uint64_t all = 0;
  for (std::uint32_t partition = 0; partition < ends.size(); ++partition) {
    const std::uint64_t end = ends[partition];
    all += end - std::min(end, distinct(partition));
  }
  return all;
}

ConsumerWorker::ConsumerWorker(Stage& stage, ConsumerPlan plan, SubscriptionIndex subscription,
                               ConsumerId id, Progress& progress, std::uint64_t seed)
    : stage_(stage),
      plan_(std::move(plan)),
      subscription_(subscription),
      id_(id),
      progress_(progress),
      random_(seed),
      thread_([this] { run(); }) {}

ConsumerWorker::~ConsumerWorker() { stop(); }

void ConsumerWorker::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void ConsumerWorker::run() {
  while (!stopping_) {
    if (!consumer_ && !attach()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(kAttachAgainMs));
      continue;
    }
    const std::uint64_t events_before = stage_.history.size();
    Result<client::MessageBatch> batch = consumer_->poll(kPollMs);
    if (!batch) {
      stage_.history.add(Note{"consumer of " + plan_.subscription + ": " + batch.error().message});
      consumer_.reset();
      unconfirmed_.clear();
      continue;
    }
    if (batch->empty()) {
      stage_.history.add(PollEmpty{id_, events_before});
    } else {
      take(*batch);
      answer(*batch);
    }
    if (batch->empty() || unconfirmed_.size() >= kSettledBeforeConfirm) confirm();
  }
  if (consumer_) confirm();
  consumer_.reset();
  if (client_) client_->close();
}

bool ConsumerWorker::attach() {
  if (!client_) {
    auto client = client::Client::connect({.servers = stage_.servers,
                                           .name = "fault-test",
                                           .backoff_max_ms = 200,
                                           .seed = random_()});
    if (!client) return false;
    client_ = std::move(*client);
  }
  auto consumer = client_->subscribe({.topic = stage_.topic,
                                      .subscription = plan_.subscription,
                                      .type = plan_.type,
                                      .mode = plan_.mode,
                                      .start = client::Start::earliest(),
                                      .key_ordered = plan_.key_ordered,
                                      .answer_timeout_ms = kConfirmMs});
  if (!consumer) {
    stage_.history.add(
        Note{"cannot attach to " + plan_.subscription + ": " + consumer.error().message});
    return false;
  }
  consumer_ = std::move(*consumer);
  refused_ = 0;
  return true;
}

void ConsumerWorker::take(client::MessageBatch& batch) {
  std::vector<Event> events;
  client::Message message;
  while (batch.next(message)) {
    events.push_back(
        Delivered{subscription_, id_,
                  Record{.partition = message.partition,
                         .offset = message.offset,
                         .id = id_in(message.payload).value_or(kNobody),
                         .content = content_of(message.payload, message.key.value_or(""))}});
    progress_.note(message.partition, message.offset);
  }
  if (!batch.status()) {  // nothing of it was ever sent
    events.push_back(Delivered{subscription_, id_,
                               Record{.partition = batch.partition(), .offset = 0, .id = kNobody}});
  }
  stage_.history.add_all(std::move(events));
  stage_.far_behind.at(subscription_) =
      progress_.behind(stage_.acknowledged_ends) > kFarBehindMessages;
}

void ConsumerWorker::answer(const client::MessageBatch& batch) {
  const bool one_by_one = plan_.skip_percent + plan_.unacknowledge_percent > 0;
  for (const client::OffsetRange& range : batch.ranges()) {
    if (!one_by_one) {
      consumer_->answer(client::AnswerKind::kAcknowledge, batch.partition(), range);
      unconfirmed_.push_back({batch.partition(), range});
      continue;
    }
    for (Offset offset = range.first; offset <= range.last; ++offset) {
      const std::uint64_t dice = random_() % 100;
      if (dice < plan_.unacknowledge_percent) {
        const auto delay_ms =
            random_() % 2 == 0 ? 0u : static_cast<std::uint32_t>(random_() % kLongestDelayMs);
        consumer_->answer(client::AnswerKind::kUnacknowledge, batch.partition(), {offset, offset},
                          delay_ms);
        continue;
      }
      const bool skip = dice < plan_.unacknowledge_percent + plan_.skip_percent;
      consumer_->answer(skip ? client::AnswerKind::kSkip : client::AnswerKind::kAcknowledge,
                        batch.partition(), {offset, offset});
      unconfirmed_.push_back({batch.partition(), {offset, offset}});
    }
  }
}

// Where some answers were another consumer's by then, nothing is promised about any of them.
void ConsumerWorker::confirm() {
  if (unconfirmed_.empty()) return;
  const std::uint64_t refused_before = refused_;
  const Status confirmed = consumer_->flush_answers();
  refused_ = consumer_->stats().answers_refused;
  const auto settled = std::exchange(unconfirmed_, {});
  if (!confirmed || refused_ != refused_before) return;
  std::vector<Event> events;
  for (const Settled& each : settled) {
    events.push_back(Confirmed{subscription_, each.partition, each.range.first, each.range.last});
  }
  stage_.history.add_all(std::move(events));
}

}  // namespace andyx::test::fault
