#include "raft/host/reads.h"

#include <utility>

namespace andyx::raft {

std::uint64_t Reads::begin_round() {
  if (fresh_.empty()) return 0;
  if (next_context_ == 0) ++next_context_;
  const auto context = next_context_++;
  rounds_[context] = std::exchange(fresh_, {});
  return context;
}

std::vector<std::uint64_t> Reads::unconfirmed() const {
  std::vector<std::uint64_t> contexts;
  for (const auto& [context, reads] : rounds_) contexts.push_back(context);
  return contexts;
}

void Reads::confirmed(std::uint64_t context, Index index) {
  auto round = rounds_.extract(context);
  if (round.empty()) return;  // timed out, or asked and answered twice
  waiting_.emplace(index, std::move(round.mapped()));
}

void Reads::answer(Read& read, Result<Index> result) {
  --size_;
  read.done(std::move(result));
}

void Reads::applied(Index index) {
  while (!waiting_.empty() && waiting_.begin()->first <= index) {
    auto ready = waiting_.extract(waiting_.begin());
    for (Read& read : ready.mapped()) answer(read, ready.key());
  }
}

void Reads::expire(std::vector<Read>& reads, std::uint64_t now_ms) {
  std::vector<Read> kept, late;
  for (Read& read : reads) (read.deadline_ms > now_ms ? kept : late).push_back(std::move(read));
  reads = std::move(kept);
  for (Read& read : late) {
    answer(read, fail(ErrorCode::kTimedOut, "no leader confirmed the read in time"));
  }
}

void Reads::expire(std::uint64_t now_ms) {
  expire(fresh_, now_ms);
  for (auto& [context, reads] : rounds_) expire(reads, now_ms);
  for (auto& [index, reads] : waiting_) expire(reads, now_ms);
  std::erase_if(rounds_, [](const auto& round) { return round.second.empty(); });
  std::erase_if(waiting_, [](const auto& wait) { return wait.second.empty(); });
}

void Reads::fail_all(const Error& error) {
  std::vector<Read> all = std::exchange(fresh_, {});
  const auto take = [&all](std::vector<Read>& reads) {
    for (Read& read : reads) all.push_back(std::move(read));
  };
  auto rounds = std::exchange(rounds_, {});
  auto waiting = std::exchange(waiting_, {});
  for (auto& [context, reads] : rounds) take(reads);
  for (auto& [index, reads] : waiting) take(reads);
  for (Read& read : all) answer(read, std::unexpected(error));
}

}  // namespace andyx::raft
