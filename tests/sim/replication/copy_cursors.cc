// The main's subscriptions: read back from the internal log, begun, and their changes written to
// it, as the server's Partition and CursorLog do.
#include <utility>

#include "common_generated.h"
#include "tests/sim/replication/copy.h"
#include "tests/sim/replication/node.h"
#include "tests/sim/replication/world.h"

namespace andyx::server::sim {

namespace {

constexpr std::uint32_t kRecordsPerSnapshot = 30;

}  // namespace

SimSubscription* Copy::subscription(SubscriptionId id) {
  const auto found = subscriptions_.find(id);
  return found == subscriptions_.end() ? nullptr : &found->second;
}

SimCoordinator* Copy::coordinator(SubscriptionId id) {
  const auto found = coordinators_.find(id);
  return found == coordinators_.end() ? nullptr : &found->second;
}

// ---- Serving ----

// What the internal log says is whole only when all of it is durable here and in the set.
void Copy::serve_if_ready() {
  if (serving_ || !messages_.serving() || !internal_.serving()) return;
  serve();
}

void Copy::serve() {
  serving_ = true;
  restore_subscriptions();
  sync_subscriptions();
  for (auto& [id, ready] : std::exchange(when_serving_, {})) when_ready(id, std::move(ready));
}

void Copy::restore_subscriptions() {
  const auto topic = node_.image()->topics_by_id.begin();
  std::map<SubscriptionId, std::shared_ptr<const SubscriptionRecord>> records;
  for (auto it = topic->subscriptions.begin(); it != topic->subscriptions.end(); ++it)
    records.emplace(it->id, it.item());
  for (const Batch& batch : internal_.log().range(internal_.copy().start, internal_.copy().end)) {
    const auto record = decode_cursor_record(*batch.payload);
    if (!record) violated("records of cursors are whole", internal_.describe());
    for (const CursorChange& change : record->changes) {
      const auto known = records.find(change.subscription);
      if (known == records.end()) violated("cursors are of subscriptions", internal_.describe());
      const auto [there, created] =
          subscriptions_.try_emplace(change.subscription, *this, known->second);
      there->second.core().apply(change);
    }
  }
  for (auto& [id, subscription] : subscriptions_) subscription.recovered();
}

void Copy::sync_subscriptions() {
  const auto topic = node_.image()->topics_by_id.begin();
  for (auto it = topic->subscriptions.begin(); it != topic->subscriptions.end(); ++it) {
    const auto [there, added] = subscriptions_.try_emplace(it->id, *this, it.item());
    if (!added) continue;
    const bool earliest = it->start_kind == protocol::StartKind::earliest;
    there->second.start_at(earliest ? messages_.copy().start : messages_.copy().committed);
  }
}

// ---- What arrives ----

void Copy::when_ready(SubscriptionId id, Done ready) {
  if (messages_.main() == nullptr) return ready(ErrorCode::kNotMain);
  if (!serving_) {
    when_serving_.emplace_back(id, std::move(ready));
    return;
  }
  if (auto* found = subscription(id)) return found->when_ready(std::move(ready));
  ready(ErrorCode::kUnknownSubscription);
}

bool Copy::may_attach() const { return serving() && messages_.heard_controller(); }

void Copy::attach(SubscriptionId id, const SubscribeRequest& request, const SubscribeReply& reply) {
  const auto refuse = [&](ErrorCode code) {
    reply({.error = code, .attach_epoch = 0, .grants = {}});
  };
  const SimSubscription* known = subscription(id);
  if (!may_attach() || known == nullptr) return refuse(ErrorCode::kNotMain);
  const auto [coordinator, begun] = coordinators_.try_emplace(
      id, *this, known->record(), messages_.epoch(), node_.world().options().partitions);
  auto attached = coordinator->second.attach(request);
  if (!attached) return refuse(attached.error().code);
  reply(std::move(*attached));
}

void Copy::revoke(SubscriptionId id, std::uint64_t epoch, Done drained) {
  SimSubscription* found = serving() ? subscription(id) : nullptr;
  if (found == nullptr) return drained(ErrorCode::kNotMain);
  found->revoke(epoch, std::move(drained));
}

void Copy::connection_lost(std::uint64_t connection) {
  for (auto& [id, subscription] : subscriptions_) subscription.connection_lost(connection);
  for (auto& [id, coordinator] : coordinators_) coordinator.connection_lost(connection);
}

// ---- The internal log ----

// One record for all that changed while the last one was being written.
void Copy::changed(SubscriptionId id, Done confirmed) {
  dirty_.insert(id);
  confirms_.push_back(std::move(confirmed));
  if (confirms_.size() > 1 || round_) return;  // it is under way
  node_.later(0, [this] { write_round(); });
}

void Copy::write_round() {
  if (round_ || !serving() || confirms_.empty()) return;
  Round round;
  std::vector<CursorChange> changes;
  for (const SubscriptionId id : std::exchange(dirty_, {})) {
    if (auto change = subscriptions_.at(id).core().take_change()) {
      changes.push_back(std::move(*change));
      round.subscriptions.push_back(id);
    }
  }
  round.confirmed = std::exchange(confirms_, {});
  if (changes.empty()) {
    for (Done& confirmed : round.confirmed) confirmed(ErrorCode::kOk);
    return;
  }
  if (const Status may = internal_.may_append(protocol::Acks::quorum); !may)
    return lose(std::move(round), may.error().code);
  round.token = next_token_++;
  const bool snapshot = ++records_ > kRecordsPerSnapshot;
  if (snapshot) round.snapshot = internal_.copy().end + 1;
  const std::uint64_t token = round.token;
  round_ = std::move(round);
  // The answer to the last record is the answer to all.
  append_record(changes, snapshot ? 0 : token);
  if (!snapshot) return;
  std::vector<CursorChange> states;
  for (auto& [id, subscription] : subscriptions_) states.push_back(subscription.core().state());
  append_record(states, token);
}

void Copy::append_record(const std::vector<CursorChange>& changes, std::uint64_t token) {
  Batch batch{
      .operation = node_.world().next_operation(),
      .header = {},
      .payload = std::make_shared<const std::vector<std::uint8_t>>(encode_cursor_record(changes))};
  batch.header.count = 1;
  internal_.append(std::move(batch), token == 0 ? protocol::Acks::none : protocol::Acks::quorum,
                   token);
}

void Copy::finish(ErrorCode error) {
  Round round = *std::exchange(round_, std::nullopt);
  if (error != ErrorCode::kOk) return lose(std::move(round), error);
  for (Done& confirmed : round.confirmed) confirmed(ErrorCode::kOk);
  if (round.snapshot) {
    records_ = 0;
    internal_.retain(*round.snapshot);
  }
  if (!confirms_.empty()) node_.later(0, [this] { write_round(); });
}

// Not written, or maybe: who asked is told; the state in memory stands, and goes with the next
// record.
void Copy::lose(Round round, ErrorCode error) {
  for (const SubscriptionId id : round.subscriptions) {
    subscriptions_.at(id).core().change_lost();
    dirty_.insert(id);
  }
  for (Done& confirmed : round.confirmed) confirmed(error);
}

}  // namespace andyx::server::sim
