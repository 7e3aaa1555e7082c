// What the cores want done: pulls answered and taken, batches stored, the log cut.
#include <algorithm>
#include <cassert>

#include "frame_generated.h"
#include "server/app/log.h"
#include "server/loop/core_loop.h"
#include "server/loop/reply.h"
#include "server/replication/replicated_log.h"

namespace andyx::server {
namespace {

constexpr std::uint64_t kCutRetryMs = 1'000;
constexpr std::uint64_t kRetryWithinMs = 200;

struct Moved {
  std::size_t bytes = 0;
  Offset records = 0;
  // About as many, of so many other records of that log.
  std::size_t bytes_of(Offset others) const {
    return records == 0 ? 0 : static_cast<std::size_t>(others) * bytes / records;
  }
};

Moved moved_by(std::span<const SharedBytes> batches) {
  Moved moved;
  for (const SharedBytes& batch : batches) {
    moved.bytes += batch.size();
    moved.records += batch::read_header(batch.span())->count;
  }
  return moved;
}

FetchAnswer answer_of(const protocol::ReplicaAnswer& body) {
  return {.kind = static_cast<FetchAnswer::Kind>(body.kind()),
          .main_epoch = body.main_epoch(),
          .incarnation = body.incarnation(),
          .request = body.request(),
          .refusal = static_cast<FetchRefusal>(body.refusal()),
          .from = body.from(),
          .to = body.to(),
          .epoch = body.epoch(),
          .epoch_end = body.epoch_end(),
          .start = body.start(),
          .durable = body.durable(),
          .committed = body.committed()};
}

// Read pool. A log that begins anew is saved aside first, unless all of it lies below.
Result<net::Task> cut_log(storage::StorageShard& shard, storage::LogId log, const CutLog& cut,
                          ReplicatedLog::CutWork& work, const std::string& what) {
  if (work.before) {
    if (auto ready = work.before(); !ready) return std::unexpected(ready.error());
  }
  const auto state = shard.log_state(log);
  const bool holds_more = state && state->end_offset > cut.restart_at.value_or(cut.from);
  if (holds_more) {
    const auto tail =
        shard.truncate(log, cut.restart_at ? state->start_offset : std::max(cut.from, Offset{0}));
    if (!tail) return std::unexpected(tail.error());
    log::warn("log cut: it differs from its main's", {{"log", what},
                                                      {"from", tail->from},
                                                      {"to", tail->to},
                                                      {"bytes", tail->bytes},
                                                      {"saved_as", tail->saved_as}});
  }
  if (cut.restart_at) {
    log::info("log begins anew", {{"log", what}, {"start", *cut.restart_at}});
    if (auto reset = shard.reset_log(log, *cut.restart_at, std::move(work.reset_puts)); !reset)
      return std::unexpected(reset.error());
  }
  if (!work.after) return net::Task([] {});
  return work.after();
}

}  // namespace

void ReplicatedLog::act() {
  if (std::exchange(acting_, true)) return;  // the loop below takes it
  for (bool more = true; std::exchange(more, false);) {
    if (main_) {
      for (const MainAction& action : main_->take_actions()) {
        act_on(action);
        more = true;
      }
    }
    if (replica_) {
      for (const ReplicaAction& action : replica_->take_actions()) {
        act_on(action);
        more = true;
      }
    }
  }
  acting_ = false;
}

void ReplicatedLog::act_on(const MainAction& action) {
  if (const auto* fetch = std::get_if<AnswerFetch>(&action)) answer_fetch(*fetch);
  if (const auto* producer = std::get_if<AnswerProducer>(&action))
    owner_.answer(producer->token, producer->error);
  if (const auto* set = std::get_if<ProposeSet>(&action)) owner_.propose(set->proposal);
  if (const auto* moved = std::get_if<CommittedMoved>(&action))
    owner_.committed_moved(moved->committed);
  if (std::holds_alternative<ServingBegins>(action)) owner_.serving_begins();
  if (std::holds_alternative<AskForNewEpoch>(action)) owner_.ask_for_new_epoch(epoch_);
}

void ReplicatedLog::act_on(const ReplicaAction& action) {
  if (const auto* send = std::get_if<SendFetch>(&action))
    loop_.pulls().send_fetch(partition_, internal_, *send, behind_ ? awaited_ : Awaited::kYes);
  if (const auto* batches = std::get_if<StoreBatches>(&action)) store(*batches);
  if (const auto* log = std::get_if<CutLog>(&action)) cut(*log);
  if (const auto* moved = std::get_if<ReplicaCommittedMoved>(&action))
    owner_.committed_moved(moved->committed);
  if (const auto* start = std::get_if<ReplicaStartMoved>(&action)) owner_.start_moved(start->start);
  if (const auto* failing = std::get_if<PullsFailing>(&action))
    owner_.pulls_failing(failing->failing);
}

// ---- As main ----

ReplicatedLog::Puller* ReplicatedLog::find_puller(NodeId node) {
  const auto found = std::ranges::find(pullers_, node, &Puller::node);
  return found == pullers_.end() ? nullptr : &*found;
}

void ReplicatedLog::fetch(const FetchEntry& entry, const std::shared_ptr<ReplicaLink>& link,
                          std::size_t max_bytes, std::uint64_t max_wait_ms) {
  max_bytes = std::min(max_bytes, PullSessions::kMaxAnswerBytes);
  if (main_) {
    const std::uint64_t now_ms = replication_now_ms();
    Puller* puller = find_puller(entry.replica);
    if (puller == nullptr) puller = &pullers_.emplace_back(Puller{.node = entry.replica});
    puller->link = link;
    puller->max_bytes = max_bytes;
    puller->until_ms = now_ms + max_wait_ms;
    heard_controller();
    main_->fetch(entry, now_ms + max_wait_ms, now_ms);
    act();
    if (main_ && lively()) loop_.pulls().wake(partition_);
    return;
  }
  if (!entry.progress_only)
    loop_.pulls().send_answer(link, refusal_of(partition_, internal_, entry));
}

void ReplicatedLog::answer_fetch(const AnswerFetch& action) {
  Puller* const found = find_puller(action.replica);
  if (found == nullptr) return;
  Puller& puller = *found;
  const FetchAnswer& answer = action.answer;
  if (answer.kind != FetchAnswer::Kind::kMatched || answer.from >= answer.to)
    return send_answer(puller, answer, {});
  auto batches = in_memory(answer.from, answer.to, puller.max_bytes);
  if (batches.empty()) return read_for(action, puller);
  send_answer(puller, answer, std::move(batches));
}

std::vector<SharedBytes> ReplicatedLog::in_memory(Offset from, Offset to, std::size_t max_bytes) {
  std::vector<SharedBytes> batches;
  std::size_t bytes = 0;
  while (from < to) {
    const auto kept = std::ranges::lower_bound(
        recent_, from, {}, [](const Arrived& each) { return each.header.base_offset; });
    const bool here = kept != recent_.end() && kept->header.base_offset == from;
    SharedBytes next = here ? kept->bytes : owner_.remembered(from);
    if (next.empty() || (!batches.empty() && bytes + next.size() > max_bytes)) break;
    from = batch::read_header(next.span())->end_offset();
    bytes += next.size();
    batches.push_back(std::move(next));
  }
  return batches;
}

// What is not in memory is durable.
void ReplicatedLog::read_for(const AnswerFetch& action, Puller& known) {
  const Offset seen_end = std::exchange(known.seen_end, action.answer.to);
  const Offset grown =
      seen_end == 0 || seen_end > action.answer.to ? 0 : action.answer.to - seen_end;
  const Puller puller = known;
  auto begin = [this, keep = owner_.keep(), action, puller, grown](
                   std::size_t max_bytes, PullSessions::ReadEnded ended) mutable {
    auto job = [this, keep, action, puller, grown, max_bytes, ended = std::move(ended)]() mutable {
      auto read = loop_.node().shard->read(log_id(), action.answer.from,
                                           std::min(max_bytes, puller.max_bytes));
      auto& loop = loop_.net_loop();
      loop.post([this, keep = std::move(keep), action, puller, grown, read = std::move(read),
                 ended = std::move(ended)]() mutable {
        const Moved moved = read ? moved_by(*read) : Moved{};
        loop_.node().catch_up_pace.grew(moved.bytes_of(grown));
        ended(moved.bytes);
        answer_read(action, puller, std::move(read));
      });
    };
    loop_.off_loop(std::move(job));
  };
  auto give_up = [this, keep = owner_.keep(), action, puller] {
    answer_read(action, puller, std::vector<SharedBytes>{});
  };
  loop_.pulls().read_later(puller.link,
                           {.awaited = main_->waits_for(puller.node) ? Awaited::kYes : Awaited::kNo,
                            .until_ms = puller.until_ms,
                            .begin = std::move(begin),
                            .give_up = std::move(give_up)});
}

// With nothing: the replica asks again.
void ReplicatedLog::answer_read(const AnswerFetch& action, const Puller& puller,
                                Result<std::vector<SharedBytes>> read) {
  // A main that has resigned meanwhile has said so already.
  if (!main_ || main_->resigned() || main_->epoch() != action.answer.main_epoch) return;
  const bool gone = !read && read.error().code == ErrorCode::kOffsetOutOfRange;  // by retention
  if (!read && !gone) {
    log::error("a replica cannot be given what it lacks",
               {{"log", owner_.describe()}, {"error", read.error().message}});
    return;
  }
  send_answer(puller, action.answer, gone ? std::vector<SharedBytes>{} : std::move(*read));
}

void ReplicatedLog::send_answer(const Puller& puller, const FetchAnswer& answer,
                                std::vector<SharedBytes> batches) {
  const auto body = [&](flatbuffers::FlatBufferBuilder& builder,
                        flatbuffers::Offset<flatbuffers::Vector<std::uint8_t>> payload) {
    flatbuffers::Offset<flatbuffers::Vector<std::uint8_t>> state;
    // Also where it diverges: nothing that the replica holds may be left, and then it begins here.
    if (answer.kind == FetchAnswer::Kind::kReset || answer.kind == FetchAnswer::Kind::kDiverged)
      state = builder.CreateVector(owner_.state_below(answer.start));
    const auto made = protocol::CreateReplicaAnswer(
        builder, partition_, internal_, static_cast<std::uint8_t>(answer.kind),
        static_cast<std::uint8_t>(answer.refusal), answer.main_epoch, answer.epoch,
        answer.incarnation, answer.request, answer.from, answer.to, answer.epoch_end, answer.start,
        answer.durable, answer.committed, state, payload);
    return frame::Body{static_cast<std::uint8_t>(protocol::Body::ReplicaAnswer), made.Union()};
  };
  auto frame =
      batches.empty()
          ? frame_writer().write(
                0, [&](flatbuffers::FlatBufferBuilder& builder) { return body(builder, {}); })
          : frame_writer().write_with_payload(0, std::move(batches), body);
  loop_.pulls().send_answer(puller.link, std::move(frame));
}

// ---- As replica ----

void ReplicatedLog::answered(const protocol::ReplicaAnswer& body, const SharedBytes& frame) {
  // Behind writes that storage refuses there is nothing to store: it is asked for again.
  if (!replica_ || refused_from_) return;
  if (body.kind() > static_cast<std::uint8_t>(FetchAnswer::Kind::kRefused)) return;
  Status taken = take_batches(body, frame);
  if (taken) {
    see_distance(body);
    // A cut that waits for writes still needs what came with it.
    auto state_before = std::exchange(arrived_state_, {});
    if (body.producers() != nullptr)
      arrived_state_.assign(body.producers()->begin(), body.producers()->end());
    std::vector<BatchSpan> spans;
    for (const Arrived& each : arrived_)
      spans.push_back({.epoch = each.header.main_epoch,
                       .base = each.header.base_offset,
                       .end = each.header.end_offset()});
    taken = replica_->answered(answer_of(body), spans, replication_now_ms());
    if (!taken) arrived_state_ = std::move(state_before);
    // Late answers are dropped; they are nothing to speak of.
    if (!taken && taken.error().code == ErrorCode::kNotMain) taken = {};
  }
  if (!taken)
    log::warn("a main's answer is not taken",
              {{"log", owner_.describe()}, {"error", taken.error().message}});
  act();
  arrived_.clear();
  if (body.kind() == static_cast<std::uint8_t>(FetchAnswer::Kind::kRefused)) retry_soon();
  if (lively()) loop_.pulls().wake(partition_);
}

Status ReplicatedLog::take_batches(const protocol::ReplicaAnswer& body, const SharedBytes& frame) {
  arrived_.clear();
  if (body.batches() == nullptr ||
      body.kind() != static_cast<std::uint8_t>(FetchAnswer::Kind::kMatched))
    return {};
  const auto views = batch::split_batches({body.batches()->data(), body.batches()->size()});
  if (!views) return std::unexpected(views.error());
  for (const ByteSpan view : *views) {
    auto header = batch::read_header(view);
    if (!header) return std::unexpected(header.error());
    if (auto whole = batch::verify_checksum(view, *header); !whole) return whole;
    arrived_.push_back(
        {*header, frame.slice(static_cast<std::size_t>(view.data() - frame.data()), view.size())});
  }
  return {};
}

// Behind: the answer was not all that there is.
void ReplicatedLog::see_distance(const protocol::ReplicaAnswer& body) {
  if (body.kind() != static_cast<std::uint8_t>(FetchAnswer::Kind::kMatched)) return;
  if (arrived_.empty()) {
    behind_ = behind_ && body.from() < body.to();
    return;
  }
  Moved moved;
  for (const Arrived& each : arrived_) {
    moved.bytes += each.bytes.size();
    moved.records += each.header.count;
  }
  behind_ = arrived_.back().header.end_offset() < body.to();
  const Offset seen_end = std::exchange(seen_end_, body.to());
  if (behind_ && seen_end != 0 && seen_end < body.to())
    loop_.node().catch_up_pace.grew(moved.bytes_of(body.to() - seen_end));
}

void ReplicatedLog::store(const StoreBatches& action) {
  MainEpoch before = 0;
  const auto& entries = copy_.epochs.entries();
  for (const Arrived& each : arrived_) {
    if (refused_from_ || failed_) return;  // storage said so at once
    if (each.header.base_offset < action.from || each.header.end_offset() > action.to) continue;
    std::vector<storage::StatePut> puts;
    // With the first batch of an epoch, in the same write.
    const bool begins = each.header.main_epoch != before &&
                        std::ranges::find(entries, each.header.base_offset,
                                          &EpochTable::Entry::start) != entries.end();
    if (begins) puts.push_back(epochs_row());
    before = each.header.main_epoch;
    ++writes_under_way_;
    owner_.store(each.header, each.bytes, std::move(puts), awaited_);
  }
}

void ReplicatedLog::main_unreachable(NodeId main) {
  if (!replica_ || replica_->main() != main) return;
  // As if it had refused the newest fetch: that is asked again in a moment.
  const FetchAnswer refused{.kind = FetchAnswer::Kind::kRefused,
                            .main_epoch = replica_->epoch(),
                            .incarnation = loop_.node().incarnation,
                            .request = replica_->next_request() - 1};
  (void)replica_->answered(refused, {}, replication_now_ms());  // false: it waits for nothing
  retry_soon();
}

// The core asks again in a moment, when it is looked at.
void ReplicatedLog::retry_soon() {
  lively_until_ms_ = replication_now_ms() + kRetryWithinMs;
  loop_.pulls().wake(partition_);
}

// ---- Cutting ----

void ReplicatedLog::cut(const CutLog& cut) {
  cutting_ = true;
  auto job = [this, keep = owner_.keep(), cut, what = owner_.describe(),
              work = owner_.cut_work(cut, arrived_state_)]() mutable {
    if (cut.restart_at)
      work.reset_puts.push_back({storage::Table::kCursor, epochs_key(), std::nullopt});
    auto outcome = cut_log(*loop_.node().shard, log_id(), cut, work, what);
    auto& loop = loop_.net_loop();
    loop.post([this, keep = std::move(keep), cut, outcome = std::move(outcome)]() mutable {
      cut_ended(cut, std::move(outcome));
    });
  };
  loop_.off_loop(std::move(job));
}

void ReplicatedLog::cut_ended(CutLog cut, Result<net::Task> outcome) {
  if (!outcome) {
    log::error("log not cut", {{"log", owner_.describe()}, {"error", outcome.error().message}});
    // Nothing is fetched meanwhile. A shard that has failed stays so until it is opened anew.
    if (outcome.error().code == ErrorCode::kStorageFailed) return;
    loop_.deadlines().add(loop_.net_loop().now_ms() + kCutRetryMs, std::weak_ptr<bool>(alive_),
                          [this, cut] { this->cut(cut); });
    return;
  }
  cutting_ = false;
  (*outcome)();
  if (replica_) {
    replica_->log_cut(replication_now_ms());
  }
  act();
  owner_.settled();
}

}  // namespace andyx::server
