#include "tests/fault/workload/producer_worker.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace andyx::test::fault {
namespace {

constexpr std::uint32_t kKeys = 50;
constexpr std::uint32_t kOpenAgainMs = 100;
constexpr std::uint32_t kSlower = 5;  // while a subscription is far behind

Outcome outcome_of(const client::SendOutcome& outcome) {
  if (outcome) return Outcome::kCommitted;
  return outcome.error().stored == Storedness::kNotStored ? Outcome::kNotStored
                                                          : Outcome::kMaybeStored;
}

}  // namespace

void Stage::committed(std::uint32_t partition, Offset offset) {
  last_commit_ms.at(partition) = history.now_ms();
  if (offset == kNoOffset) return;
  std::atomic<Offset>& end = acknowledged_ends.at(partition);
  Offset known = end;
  while (known <= offset && !end.compare_exchange_weak(known, offset + 1)) {
  }
}

bool Stage::somebody_is_far_behind() const {
  return std::ranges::any_of(far_behind, [](const auto& behind) { return behind.load(); });
}

ProducerWorker::ProducerWorker(Stage& stage, ProducerPlan plan, std::uint64_t seed)
    : stage_(stage), plan_(std::move(plan)), random_(seed), thread_([this] { run(); }) {}

ProducerWorker::~ProducerWorker() { stop(); }

void ProducerWorker::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void ProducerWorker::run() {
  auto next = std::chrono::steady_clock::now();
  while (!stopping_) {
    if (!session_ || session_->broken) {
      if (!open()) pause(kOpenAgainMs);
      next = std::chrono::steady_clock::now();
      continue;
    }
    if (session_->in_flight < plan_.max_in_flight) send_one();
    next +=
        std::chrono::milliseconds(plan_.every_ms * (stage_.somebody_is_far_behind() ? kSlower : 1));
    std::this_thread::sleep_until(next);
  }
  // What is not answered in time is answered when the producer goes.
  if (producer_) static_cast<void>(producer_->flush());
  producer_.reset();
  if (client_) client_->close();
}

bool ProducerWorker::open() {
  producer_.reset();
  if (!client_) {
    auto client = client::Client::connect({.servers = stage_.servers,
                                           .name = "fault-test",
                                           .backoff_max_ms = 200,
                                           .seed = random_()});
    if (!client) return false;
    client_ = std::move(*client);
  }
  auto producer = client_->producer({.topic = stage_.topic,
                                     .name = plan_.name,
                                     .instance = plan_.instance,
                                     .acks = plan_.acks,
                                     .compression = plan_.compression,
                                     .linger_ms = plan_.linger_ms});
  if (!producer) {
    stage_.history.add(
        Note{"producer " + plan_.name + " cannot open: " + producer.error().message});
    return false;
  }
  producer_ = std::move(*producer);
  session_ = std::make_shared<Session>(stage_, stage_.producers++);
  sequence_ = 0;
  return true;
}

void ProducerWorker::send_one() {
  const MessageId id{.producer = session_->id, .sequence = sequence_++};
  const std::string key = plan_.keyed ? "key" + std::to_string(random_() % kKeys) : "";
  const std::string payload = message_text(id, random_() % plan_.max_payload_bytes);
  client::OutMessage message{.payload = payload, .partition = plan_.partition};
  if (plan_.keyed) message.key = key;
  stage_.history.add(Sent{.id = id, .content = content_of(payload, key)});
  ++session_->in_flight;
  const Status accepted =
      producer_->try_send(message, [session = session_, id](const client::SendOutcome& outcome) {
        answered(*session, id, outcome);
      });
  if (accepted) {
    ++sent_;
    return;
  }
  // Not accepted: it must never appear.
  --session_->in_flight;
  stage_.history.add(Answered{.id = id, .outcome = Outcome::kNotStored});
  if (accepted.error().code != ErrorCode::kOverloaded) session_->broken = true;
}

void ProducerWorker::answered(Session& session, MessageId id, const client::SendOutcome& outcome) {
  Answered event{.id = id, .outcome = outcome_of(outcome)};
  if (outcome) {
    event.partition = outcome->partition;
    event.offset = outcome->offset;
    session.stage.committed(outcome->partition, outcome->offset);
  }
  session.stage.history.add(event);
  if (!outcome) {
    session.stage.history.add(Note{id.text() + " failed: " + std::string(outcome.error().name()) +
                                   ": " + outcome.error().message});
    if (!outcome.error().retriable()) session.broken = true;
  }
  --session.in_flight;
}

void ProducerWorker::pause(std::uint32_t ms) const {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
}

}  // namespace andyx::test::fault
