#include "storage/log_table.h"

#include <algorithm>
#include <string>

namespace andyx::storage {
namespace {

constexpr std::size_t kMaxLoadedRuns = 1 << 20;  // 48 MiB

std::uint64_t share_of(std::uint64_t bytes, Offset part, Offset whole) {
  if (whole == 0) return 0;
  return static_cast<std::uint64_t>(static_cast<double>(bytes) * static_cast<double>(part) /
                                    static_cast<double>(whole));
}

Head head_of(const LogState& state) {
  return {.start = state.start_offset,
          .end = state.end_offset,
          .last_epoch = state.last_epoch,
          .last_append_time_us = state.last_append_time_us,
          .bytes = state.bytes};
}

LogState state_of(const Head& head) {
  return {.start_offset = head.start,
          .end_offset = head.end,
          .last_epoch = head.last_epoch,
          .last_append_time_us = head.last_append_time_us,
          .bytes = head.bytes};
}

}  // namespace

void extend_runs(RunList& runs, Generation generation, const AppendInfo& batch) {
  const auto after = std::ranges::upper_bound(runs, batch.base, {}, &Run::first);
  if (after != runs.begin()) {
    Run& before = *std::prev(after);
    if (before.end == batch.base && before.bytes < kMaxRunBytes) {
      before.end = batch.end;
      before.last_append_time_us = batch.append_time_us;
      before.bytes += batch.size_bytes;
      return;
    }
  }
  runs.insert(after, {.generation = generation,
                      .first = batch.base,
                      .end = batch.end,
                      .first_append_time_us = batch.append_time_us,
                      .last_append_time_us = batch.append_time_us,
                      .bytes = batch.size_bytes});
}

std::uint64_t rest_of(const Run& run, Offset from) {
  if (from <= run.first) return run.bytes;
  return share_of(run.bytes, run.end - from, run.end - run.first);
}

void LogTable::restore_generation(Generation generation, const Sealed& sealed) {
  generations_[generation] = sealed;
}

void LogTable::restore_dropped(LogId log, Generation generation) { dropped_[log] = generation; }

void LogTable::restore_log(LogId log, const Head& head, RunList open_runs) {
  Entry& entry = logs_[log];
  entry.state = state_of(head);
  entry.submitted_end = head.end;
  entry.exists = true;
  entry.version = next_version_++;
  entry.open_runs = std::move(open_runs);
  if (!entry.open_runs.empty()) touched_.push_back(log);
}

Status LogTable::reserve(const QueuedGroup& queued) {
  const auto& appends = queued.group.appends;
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < appends.size(); ++i) {
    const LogId log = appends[i].log;
    const AppendInfo& info = queued.infos[i];
    if (dropped_.contains(log)) {
      return fail(ErrorCode::kBadArgument, "log " + std::to_string(log) + " was dropped");
    }
    Offset expected = info.base;
    const auto known = logs_.find(log);
    if (known != logs_.end()) expected = known->second.submitted_end;
    for (std::size_t before = i; before-- > 0;) {
      if (appends[before].log != log) continue;
      expected = queued.infos[before].end;
      break;
    }
    if (info.base != expected) {
      return fail(ErrorCode::kBadArgument, "log " + std::to_string(log) + " ends at offset " +
                                               std::to_string(expected) + ", the batch starts at " +
                                               std::to_string(info.base));
    }
  }
  for (std::size_t i = 0; i < appends.size(); ++i) {
    auto [it, created] = logs_.try_emplace(appends[i].log);
    Entry& entry = it->second;
    if (created) {
      entry.state.start_offset = entry.state.end_offset = queued.infos[i].base;
      entry.version = next_version_++;
      changes_.push_back({.log = appends[i].log, .start = entry.state.start_offset});
    }
    entry.submitted_end = queued.infos[i].end;
  }
  return {};
}

void LogTable::skip_dropped(std::vector<QueuedGroup>& round) const {
  const std::lock_guard lock(mutex_);
  if (dropped_.empty()) return;
  for (QueuedGroup& queued : round) {
    for (std::size_t i = 0; i < queued.infos.size(); ++i) {
      if (dropped_.contains(queued.group.appends[i].log)) queued.infos[i].size_bytes = 0;
    }
  }
}

void LogTable::touch(LogId log, Entry& entry) {
  if (entry.open_runs.empty()) touched_.push_back(log);
}

void LogTable::publish_appends(const std::vector<QueuedGroup>& round) {
  const std::lock_guard lock(mutex_);
  for (const QueuedGroup& queued : round) {
    for (std::size_t i = 0; i < queued.infos.size(); ++i) {
      const AppendInfo& info = queued.infos[i];
      const LogId log = queued.group.appends[i].log;
      const auto found = logs_.find(log);
      if (info.size_bytes == 0 || found == logs_.end()) continue;
      Entry& entry = found->second;
      touch(log, entry);
      extend_runs(entry.open_runs, open_generation_, info);
      entry.exists = true;
      entry.state.end_offset = info.end;
      entry.state.last_epoch = info.epoch;
      entry.state.last_append_time_us = info.append_time_us;
      entry.state.bytes += info.size_bytes;
    }
  }
}

std::vector<CutLog> LogTable::cut_logs() const {
  const std::lock_guard lock(mutex_);
  std::vector<CutLog> out;
  out.reserve(touched_.size());
  for (const LogId log : touched_) {
    const auto found = logs_.find(log);
    if (found == logs_.end()) continue;
    out.push_back({log, head_of(found->second.state), found->second.open_runs});
  }
  return out;
}

void LogTable::seal(const Sealed& sealed) {
  const std::lock_guard lock(mutex_);
  for (const LogId log : touched_) {
    const auto found = logs_.find(log);
    if (found == logs_.end()) continue;
    Entry& entry = found->second;
    if (entry.sealed_loaded) {
      entry.sealed.insert(entry.sealed.end(), entry.open_runs.begin(), entry.open_runs.end());
      std::ranges::sort(entry.sealed, {}, &Run::first);
      loaded_runs_ += entry.open_runs.size();
    }
    entry.open_runs = {};
    entry.version = next_version_++;
  }
  touched_.clear();
  generations_[open_generation_] = sealed;
  ++open_generation_;
}

std::vector<HeadChange> LogTable::take_changes() {
  const std::lock_guard lock(mutex_);
  return std::exchange(changes_, {});
}

bool LogTable::has_changes() const {
  const std::lock_guard lock(mutex_);
  return !changes_.empty();
}

void LogTable::unload(Entry& entry) {
  loaded_runs_ -= entry.sealed.size();
  entry.sealed = {};
  entry.sealed_loaded = false;
}

void LogTable::add_copied(LogId log, const std::vector<AppendInfo>& batches) {
  const std::lock_guard lock(mutex_);
  const auto found = logs_.find(log);
  if (found == logs_.end()) return;
  Entry& entry = found->second;
  touch(log, entry);
  for (const AppendInfo& batch : batches) extend_runs(entry.open_runs, open_generation_, batch);
  unload(entry);
  entry.version = next_version_++;
}

void LogTable::truncated(LogId log, const Head& head, const std::optional<Run>& last) {
  const std::lock_guard lock(mutex_);
  const auto found = logs_.find(log);
  if (found == logs_.end()) return;
  Entry& entry = found->second;
  entry.state = state_of(head);
  entry.submitted_end = head.end;
  std::erase_if(entry.open_runs, [&](const Run& run) { return run.first >= head.end; });
  if (entry.open_runs.empty()) std::erase(touched_, log);
  for (Run& run : entry.open_runs) {
    if (last && run.generation == last->generation && run.first == last->first) run = *last;
  }
  unload(entry);
  entry.version = next_version_++;
}

void LogTable::began_anew(LogId log, const Head& head) {
  const std::lock_guard lock(mutex_);
  const auto found = logs_.find(log);
  if (found == logs_.end()) return;
  Entry& entry = found->second;
  entry.state = state_of(head);
  entry.submitted_end = head.end;
  entry.open_runs.clear();
  std::erase(touched_, log);
  // The start has been written, and an earlier one that still waits may not come behind it.
  std::erase_if(changes_, [log](const HeadChange& change) { return change.log == log; });
  unload(entry);
  entry.version = next_version_++;
}

void LogTable::forget_generations(const std::vector<Generation>& generations) {
  const std::lock_guard lock(mutex_);
  for (const Generation generation : generations) generations_.erase(generation);
}

void LogTable::forget_dropped(LogId log) {
  const std::lock_guard lock(mutex_);
  dropped_.erase(log);
}

std::optional<LogState> LogTable::state(LogId log) const {
  const std::lock_guard lock(mutex_);
  const auto found = logs_.find(log);
  if (found == logs_.end() || !found->second.exists) return {};
  return found->second.state;
}

std::vector<LogId> LogTable::logs() const {
  std::vector<LogId> ids;
  {
    const std::lock_guard lock(mutex_);
    ids.reserve(logs_.size());
    for (const auto& [id, entry] : logs_) {
      if (entry.exists) ids.push_back(id);
    }
  }
  std::ranges::sort(ids);
  return ids;
}

bool LogTable::in_flight(LogId log) const {
  const std::lock_guard lock(mutex_);
  const auto found = logs_.find(log);
  return found != logs_.end() && found->second.submitted_end != found->second.state.end_offset;
}

Generation LogTable::open_generation() const {
  const std::lock_guard lock(mutex_);
  return open_generation_;
}

RunList LogTable::open_runs(LogId log) const {
  const std::lock_guard lock(mutex_);
  const auto found = logs_.find(log);
  return found == logs_.end() ? RunList{} : found->second.open_runs;
}

LogLayout LogTable::layout(LogId log, Offset from) const {
  const std::lock_guard lock(mutex_);
  const auto found = logs_.find(log);
  if (found == logs_.end()) return {.loaded = true};
  const Entry& entry = found->second;
  LogLayout out{.loaded = entry.sealed_loaded,
                .start = entry.state.start_offset,
                .end = entry.state.end_offset,
                .version = entry.version};
  const bool open_is_enough =
      !entry.open_runs.empty() && entry.open_runs.front().first <= from &&
      entry.open_runs.back().end == out.end &&
      std::ranges::adjacent_find(entry.open_runs, [](const Run& a, const Run& b) {
        return a.end != b.first;
      }) == entry.open_runs.end();
  if (open_is_enough || from >= out.end) out.loaded = true;
  if (!out.loaded) {
    for (const auto& [generation, sealed] : generations_) out.generations.push_back(generation);
    return out;
  }
  if (!open_is_enough) {
    const auto first = std::ranges::upper_bound(entry.sealed, from, {}, &Run::end);
    out.runs.assign(first, entry.sealed.end());
  }
  for (const Run& run : entry.open_runs) {
    if (run.end > from) out.runs.push_back(run);
  }
  std::ranges::sort(out.runs, {}, &Run::first);
  return out;
}

void LogTable::loaded(LogId log, std::uint64_t version, RunList sealed_runs) {
  const std::lock_guard lock(mutex_);
  const auto found = logs_.find(log);
  if (found == logs_.end() || found->second.version != version || found->second.sealed_loaded) {
    return;
  }
  if (loaded_runs_ + sealed_runs.size() > kMaxLoadedRuns) {
    for (auto& [id, entry] : logs_) unload(entry);
  }
  loaded_runs_ += sealed_runs.size();
  found->second.sealed = std::move(sealed_runs);
  found->second.sealed_loaded = true;
}

std::map<Generation, Sealed> LogTable::generations() const {
  const std::lock_guard lock(mutex_);
  return generations_;
}

std::vector<std::pair<LogId, Generation>> LogTable::dropped() const {
  const std::lock_guard lock(mutex_);
  return {dropped_.begin(), dropped_.end()};
}

// By the runs where all that matter are known, else as if all batches were of one size.
std::uint64_t LogTable::live_bytes(const Entry& entry, Offset start) {
  const LogState& state = entry.state;
  const bool known =
      entry.sealed_loaded || (!entry.open_runs.empty() && entry.open_runs.front().first <= start);
  if (!known) {
    return share_of(state.bytes, state.end_offset - start, state.end_offset - state.start_offset);
  }
  std::uint64_t bytes = 0;
  for (const RunList* runs : {&entry.sealed, &entry.open_runs}) {
    for (const Run& run : *runs) {
      if (run.end > start) bytes += rest_of(run, start);
    }
  }
  return bytes;
}

Status LogTable::advance_start(LogId log, Offset new_start) {
  const std::lock_guard lock(mutex_);
  const auto found = logs_.find(log);
  const Offset end = found == logs_.end() ? 0 : found->second.state.end_offset;
  if (new_start > end) {
    return fail(ErrorCode::kOffsetOutOfRange, "log " + std::to_string(log) + " ends at offset " +
                                                  std::to_string(end) + ", its start cannot be " +
                                                  std::to_string(new_start));
  }
  if (found == logs_.end() || new_start <= found->second.state.start_offset) return {};
  Entry& entry = found->second;
  entry.state.bytes = live_bytes(entry, new_start);
  entry.state.start_offset = new_start;
  const auto live = std::ranges::upper_bound(entry.sealed, new_start, {}, &Run::end);
  loaded_runs_ -= static_cast<std::size_t>(live - entry.sealed.begin());
  entry.sealed.erase(entry.sealed.begin(), live);
  changes_.push_back({.log = log, .start = new_start});
  return {};
}

void LogTable::drop(LogId log) {
  const std::lock_guard lock(mutex_);
  const auto found = logs_.find(log);
  if (found != logs_.end()) {
    unload(found->second);
    logs_.erase(found);
    std::erase(touched_, log);
  }
  if (dropped_.emplace(log, open_generation_).second) {
    changes_.push_back({.log = log, .dropped = true});
  }
}

}  // namespace andyx::storage
