// What a subscription does in time: ack timeouts, delays, delayed messages, the end of a drain.
#include <algorithm>

#include "server/app/log.h"
#include "server/loop/core_loop.h"
#include "server/partition/partition.h"
#include "server/subscription/subscription.h"

namespace andyx::server {
namespace {

constexpr std::uint64_t kRetryMs = 1'000;

}  // namespace

// One entry in the loop's deadlines, for the earliest thing to be done.
void Subscription::arm() {
  const Now present = now();
  std::optional<TimeUs> next_us = core_.next_deadline_us();
  const auto sooner = [&](TimeUs at_us) { next_us = std::min(next_us.value_or(at_us), at_us); };
  for (const Drain& drain : drains_) sooner(static_cast<TimeUs>(drain.until_ms) * 1'000);
  if (!scanning_due_ && core_.mature_room() > 0) {
    if (const auto due = partition_.due_index().next_due_us_after(core_.due_cursor()))
      sooner(present.steady_us + std::max<TimeUs>(*due - present.wall_us, 0));
  }
  if (!next_us) return;
  const auto at_ms = static_cast<std::uint64_t>(std::max<TimeUs>(*next_us, 0) / 1'000 + 1);
  if (at_ms >= wake_at_ms_) return;
  wake_at_ms_ = at_ms;
  partition_.loop().deadlines().add(at_ms, alive_, [this, at_ms] {
    if (at_ms != wake_at_ms_) return;  // an earlier one has taken its place
    wake_at_ms_ = ~std::uint64_t{0};
    wake();
  });
}

void Subscription::wake() {
  core_.advance(now());
  check_drains();
  note_changes();
  pump();
}

void Subscription::check_drains() {
  if (drains_.empty()) return;
  const std::uint64_t now_ms = partition_.loop().net_loop().now_ms();
  std::vector<Drain> over;
  std::erase_if(drains_, [&](Drain& drain) {
    if (!core_.drained(drain.attach_epoch) && now_ms < drain.until_ms) return false;
    over.push_back(std::move(drain));
    return true;
  });
  for (Drain& drain : over) {
    core_.retire(drain.attach_epoch, now());
    drain.drained();
  }
  if (over.empty()) return;
  // Behind the confirmations of what was answered on them.
  partition_.cursor_log().changed(core_.id(), [this, alive = std::weak_ptr(alive_)](const Status&) {
    if (!alive.expired()) end_retired();
  });
}

void Subscription::end_retired() {
  for (const StreamId id : core_.end_retired())
    end_stream(id, {ErrorCode::kStaleAttach,
                    "the partition has gone to another consumer of " + record_->name});
  if (streams_.empty()) read_ahead_ = {};
}

// Delayed messages whose time has come: found in the partition's index, noted durably, then
// delivered.
void Subscription::mature() {
  if (scanning_due_ || !ready_) return;
  const std::size_t room = core_.mature_room();
  if (room == 0) return;
  const TimeUs until_us = net::wall_time_us();
  const auto due = partition_.due_index().next_due_us_after(core_.due_cursor());
  if (!due || *due > until_us) return;
  scanning_due_ = true;
  partition_.read_due(
      core_.due_cursor(), until_us, room,
      [this, alive = std::weak_ptr(alive_), room, until_us](Result<std::vector<DueKey>> found) {
        if (alive.expired()) return;
        scanning_due_ = false;
        const bool all = found && found->size() < room;
        matured(all ? DueKey{until_us, kNoOffset} : DueKey{}, std::move(found));
      });
}

void Subscription::matured(DueKey cursor, Result<std::vector<DueKey>> due) {
  if (!due) {
    log::error("delayed messages cannot be looked up", {{"partition", partition_.describe()},
                                                        {"subscription", record_->name},
                                                        {"error", due.error().message}});
    scanning_due_ = true;
    return later([this] { scanning_due_ = false; });
  }
  if (cursor == DueKey{}) cursor = due->back();
  core_.mature(*due, cursor);
  make_matured_durable();
}

void Subscription::make_matured_durable() {
  partition_.cursor_log().changed(core_.id(),
                                  [this, alive = std::weak_ptr(alive_)](Status durable) {
                                    if (alive.expired()) return;
                                    if (!durable) return later([this] { make_matured_durable(); });
                                    core_.matured_durable();
                                    durable_due_cursor_ = core_.due_cursor();
                                    due_passed_by_all();
                                    pump_later();
                                  });
}

// Rows of the index that no subscription needs any more go.
void Subscription::due_passed_by_all() {
  DueKey lowest = durable_due_cursor_;
  for (const auto& [id, subscription] : partition_.subscriptions())
    lowest = std::min(lowest, subscription->durable_due_cursor_);
  partition_.due_passed(lowest);
}

// After a failure of the disk, once more.
void Subscription::later(std::function<void()> run) {
  partition_.loop().deadlines().add(partition_.loop().net_loop().now_ms() + kRetryMs, alive_,
                                    [this, run = std::move(run)] {
                                      run();
                                      pump();
                                    });
}

}  // namespace andyx::server
