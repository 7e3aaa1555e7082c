#include "server/loop/write_queue.h"

#include <cassert>
#include <utility>

namespace andyx::server {
namespace {

constexpr std::size_t kMaxGroupBytes = 4 * limits::kMiB;
constexpr std::size_t kRowOverheadBytes = 64;    // as storage charges it
constexpr std::size_t kBusyPollBytes = 8 << 10;  // with more under way, throughput counts

std::uint64_t now_us() { return net::monotonic_ns() / 1'000; }

}  // namespace

WriteQueue::WriteQueue(net::Loop& loop, storage::StorageShard& shard,
                       std::size_t max_bytes_under_way, bool may_use_reserve)
    : loop_(loop),
      shard_(shard),
      max_bytes_under_way_(max_bytes_under_way),
      may_use_reserve_(may_use_reserve) {}

void WriteQueue::add(storage::LogAppend append, OnWritten on_written) {
  gathering_.bytes += append.batch.size();
  gathering_.group.appends.push_back(std::move(append));
  gathering_.callbacks.push_back(std::move(on_written));
  if (gathering_.awaited_since_us == 0) gathering_.awaited_since_us = now_us();
  arm();
}

void WriteQueue::add(std::vector<storage::LogAppend> appends, std::vector<storage::StatePut> puts,
                     OnWritten on_written, Awaited awaited) {
  for (auto& append : appends) {
    gathering_.bytes += append.batch.size();
    gathering_.group.appends.push_back(std::move(append));
  }
  for (auto& put : puts) {
    gathering_.bytes += kRowOverheadBytes + put.key.size() + (put.value ? put.value->size() : 0);
    gathering_.group.puts.push_back(std::move(put));
  }
  gathering_.callbacks.push_back(std::move(on_written));
  if (awaited == Awaited::kYes && gathering_.awaited_since_us == 0)
    gathering_.awaited_since_us = now_us();
  arm();
}

std::uint64_t WriteQueue::oldest_awaited_us() const {
  for (const auto* queue : {&under_way_, &backlog_}) {
    for (const Pending& pending : *queue) {
      if (pending.awaited_since_us != 0) return now_us() - pending.awaited_since_us;
    }
  }
  return 0;
}

void WriteQueue::arm() {
  if (gathering_.bytes >= kMaxGroupBytes) return end_of_turn();
  if (std::exchange(armed_, true)) return;
  loop_.at_end_of_turn([this] {
    armed_ = false;
    end_of_turn();
  });
}

void WriteQueue::end_of_turn() {
  if (gathering_.callbacks.empty()) return;
  backlog_bytes_ += gathering_.bytes;
  backlog_.push_back(std::exchange(gathering_, {}));
  submit_backlog();
}

void WriteQueue::submit_backlog() {
  while (!backlog_.empty()) {
    Pending& next = backlog_.front();
    if (!under_way_.empty() && bytes_under_way_ + next.bytes > max_bytes_under_way_) return;
    next.group.token = next_token_++;
    next.group.may_use_reserve = may_use_reserve_;
    auto submitted = shard_.submit(std::exchange(next.group, {}), *this);
    if (!submitted) return refuse_waiting(submitted.error().code);
    bytes_under_way_ += next.bytes;
    backlog_bytes_ -= next.bytes;
    under_way_.push_back(std::move(next));
    backlog_.pop_front();
    poll_for(under_way_.back());
  }
}

void WriteQueue::abandon() {
  gathering_ = {};
  backlog_.clear();
  under_way_.clear();
}

void WriteQueue::on_written(std::vector<storage::WriteResult> results) {
  loop_.post([this, results = std::move(results)]() mutable { finish(std::move(results)); });
}

void WriteQueue::finish(std::vector<storage::WriteResult> results) {
  for (const storage::WriteResult& result : results) {
    assert(!under_way_.empty());
    Pending done = std::move(under_way_.front());
    under_way_.pop_front();
    bytes_under_way_ -= done.bytes;
    if (done.awaited_since_us != 0 && on_age_) on_age_(now_us() - done.awaited_since_us);
    for (auto& callback : done.callbacks) callback(result.error);
    poll_for(done);
  }
  submit_backlog();
}

void WriteQueue::poll_for(const Pending& pending) {
  if (pending.awaited_since_us == 0 || busy_poll_us_ == 0) return;
  if (bytes_under_way_ + pending.bytes <= kBusyPollBytes) loop_.stay_awake(busy_poll_us_);
}

// What was gathered behind a refused group builds on it: it is refused as well, in order.
void WriteQueue::refuse_waiting(ErrorCode error) {
  auto refused = std::exchange(backlog_, {});
  backlog_bytes_ = 0;
  refused.push_back(std::exchange(gathering_, {}));
  for (auto& pending : refused) {
    for (auto& callback : pending.callbacks) callback(error);
  }
}

}  // namespace andyx::server
