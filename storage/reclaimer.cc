#include "storage/reclaimer.h"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <shared_mutex>

#include "protocol/batch/batch_reader.h"

namespace andyx::storage {
namespace {

constexpr std::size_t kCopyStepBytes = 1 << 20;
constexpr std::chrono::milliseconds kLeastPause{250};  // between passes
// 2 GB/s at most. Where a file system tells the disk of all that is freed, syncs wait for that: for
// 128 MB at once 20 to 30 ms, sometimes hundreds (tools/bench/BENCHMARKS.md).
constexpr std::uint64_t kFreeBytes = 4 << 20;
constexpr std::chrono::milliseconds kRest{2};
constexpr std::uint64_t kPausePerWork = 9;  // a pass scans all index rows: a tenth of the time

std::uint64_t live_share(const Run& run, const LogState& log) {
  const Offset first = std::max(run.first, log.start_offset);
  const auto share =
      static_cast<double>(run.end - first) / static_cast<double>(run.end - run.first);
  return static_cast<std::uint64_t>(static_cast<double>(run.bytes) * share);
}

// One step of a copy, owned by the task that writes it.
struct CopyStep {
  RunRow from;              // the row as it was read
  std::optional<Run> rest;  // of it, afterwards
  std::vector<AppendInfo> infos;
  std::vector<SharedBytes> batches;
  std::uint64_t bytes = 0;
  bool done = false;  // false: the row has changed meanwhile, or is gone
};

}  // namespace

void Reclaimer::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  wake_.notify_all();
}

void Reclaimer::something_died() {
  const std::lock_guard lock(mutex_);
  dirty_ = true;
  wake_.notify_all();
}

void Reclaimer::flush_ended() {
  const std::lock_guard lock(mutex_);
  flushed_ = dirty_ = true;
  wake_.notify_all();
}

bool Reclaimer::stopping() {
  const std::lock_guard lock(mutex_);
  return stopping_ || health_.fenced();
}

bool Reclaimer::wait() {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [this] { return stopping_ || dirty_; });
  const auto pause =
      std::max(kLeastPause, std::chrono::milliseconds(kPausePerWork * last_pass_ms_));
  wake_.wait_for(lock, pause, [this] { return stopping_; });
  dirty_ = false;
  // A flushed memtable goes back to the allocator in pieces, which keeps them.
  if (std::exchange(flushed_, false) && !stopping_) {
    lock.unlock();
    malloc_trim(0);
    lock.lock();
  }
  return !stopping_;
}

void Reclaimer::run() {
  while (wait()) {
    if (health_.fenced()) continue;
    const auto started = std::chrono::steady_clock::now();
    const Status done = pass();
    const auto took_ms =
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                       std::chrono::steady_clock::now() - started)
                                       .count());
    last_pass_ms_ = took_ms - std::min(took_ms, std::exchange(rested_ms_, 0));
    // A damaged batch stops the emptying of its generation, no more: readers of it will be told.
    if (!done && done.error().code == ErrorCode::kIo) health_.fence(done.error().message);
  }
}

Status Reclaimer::pass() {
  auto units = measure();
  if (!units) return std::unexpected(units.error());
  std::uint64_t files = 0, live = 0;
  for (const Unit& unit : *units) {
    files += unit.file_bytes;
    live += unit.live_bytes;
  }
  std::ranges::sort(*units, {}, [](const Unit& unit) {
    return static_cast<double>(unit.live_bytes) / static_cast<double>(unit.file_bytes + 1);
  });
  Status first_error;
  for (const Unit& unit : *units) {
    if (stopping()) return {};
    const bool mostly_dead = unit.live_bytes * 2 < unit.file_bytes || unit.live_bytes == 0;
    const bool over_bound = files > live + live * 2 / 5 + generation_bytes_ &&
                            unit.live_bytes < unit.file_bytes - unit.file_bytes / 10;
    if (!mostly_dead && !over_bound) break;
    if (unit.live_bytes > 0 && health_.reserve_gone()) continue;
    Status done = empty(unit);
    if (done) done = forget(unit);
    if (!done && first_error) first_error = done;
    if (done) files -= unit.file_bytes - unit.live_bytes;
  }
  if (Status deleted = delete_dead_files(); !deleted) return deleted;
  if (Status forgotten = forget_dropped_logs(); !forgotten) return forgotten;
  return first_error;
}

bool Reclaimer::is_live(const LogTable& table, const RunRow& row) {
  const auto state = table.state(row.log);
  return state && row.run.end > state->start_offset && row.run.first < state->end_offset;
}

Result<std::vector<Reclaimer::Unit>> Reclaimer::measure() {
  // What is still in memtables stays as it is.
  const Generation open = table_.open_generation();
  const Generation unflushed = database_.unflushed_memtables() + 1;
  const Generation flushed_below = open > unflushed ? open - unflushed : 0;
  std::map<Generation, std::uint64_t> live;
  for (const auto& [generation, sealed] : table_.generations()) {
    if (generation <= flushed_below) live[generation] = 0;
  }
  Status read =
      database_.visit_rows(Family::kIndex, "", [&](std::string_view key, std::string_view row) {
        const auto decoded = decode_run(key, row);
        if (!decoded) return true;
        const auto found = live.find(decoded->run.generation);
        const auto state = table_.state(decoded->log);
        if (found != live.end() && state && is_live(table_, *decoded)) {
          found->second += live_share(decoded->run, *state);
        }
        return true;
      });
  if (!read) return std::unexpected(read.error());

  auto files = database_.log_files();
  std::ranges::sort(files, {}, &Database::LogFile::lowest);
  std::vector<Unit> units;
  for (const Database::LogFile& file : files) {
    if (!units.empty() && file.lowest <= units.back().highest) {
      units.back().highest = std::max(units.back().highest, file.highest);
      units.back().file_bytes += file.bytes;
    } else {
      units.push_back({file.lowest, file.highest, file.bytes, 0});
    }
  }
  std::erase_if(units, [&](const Unit& unit) { return unit.highest > flushed_below; });
  add_segments(units);
  for (const auto& [generation, bytes] : live) {
    const auto unit = std::ranges::find_if(
        units, [&](const Unit& u) { return u.lowest <= generation && generation <= u.highest; });
    if (unit != units.end()) {
      unit->live_bytes += bytes;
    } else if (bytes == 0) {
      units.push_back({generation, generation, 0, 0});  // no file: only its rows are left
    }
  }
  const auto known = table_.generations();
  std::erase_if(units, [&](const Unit& unit) {  // dead already, its files are about to go
    const auto first = known.lower_bound(unit.lowest);
    return first == known.end() || first->first > unit.highest;
  });
  return units;
}

// Each segment counts once, for the first generation that has batches in it.
void Reclaimer::add_segments(std::vector<Unit>& units) {
  auto segments = database_.segments().kept();
  for (const auto& [generation, sealed] : table_.generations()) {
    const auto unit = std::ranges::find_if(
        units, [&](const Unit& u) { return u.lowest <= generation && generation <= u.highest; });
    const auto first = segments.lower_bound(sealed.first_file);
    const auto end = segments.upper_bound(sealed.last_file);
    if (sealed.first_file == 0 || first == end) continue;
    if (unit != units.end())
      for (auto each = first; each != end; ++each) unit->file_bytes += each->second;
    segments.erase(first, end);
  }
}

Status Reclaimer::empty(const Unit& unit) {
  if (unit.live_bytes == 0) return {};
  std::vector<RunRow> rows;
  Status read = database_.visit_rows_from(Family::kIndex, run_prefix(unit.lowest),
                                          [&](std::string_view key, std::string_view row) {
                                            const auto decoded = decode_run(key, row);
                                            if (!decoded || decoded->run.generation > unit.highest)
                                              return false;
                                            if (is_live(table_, *decoded)) rows.push_back(*decoded);
                                            return true;
                                          });
  if (!read) return read;
  for (const RunRow& row : rows) {
    if (stopping()) return {};
    if (Status copied = copy_run(row); !copied) return copied;
  }
  return {};
}

Status Reclaimer::copy_run(const RunRow& row) {
  RunRow rest = row;
  for (;;) {
    auto more = copy_step(rest, rest);
    if (!more) return std::unexpected(more.error());
    if (!*more || stopping()) return {};
  }
}

// Copies the first of what is live in `row`. True: `rest` is what is left to copy.
Result<bool> Reclaimer::copy_step(const RunRow& row, RunRow& rest) {
  const std::lock_guard one_plan(table_.plans());
  const auto state = table_.state(row.log);
  if (!state || !is_live(table_, row)) return false;
  const auto step = std::make_shared<CopyStep>();
  step->from = row;
  const Offset from = std::max(row.run.first, state->start_offset);
  Status read = database_.visit_run(
      row.log, row.run, from, kCopyStepBytes, [&](const BatchKey&, const SharedBytes& bytes) {
        if (step->bytes != 0 && step->bytes + bytes.size() > kCopyStepBytes) return false;
        const auto header = batch::read_header(bytes.span());
        step->infos.push_back({.base = header->base_offset,
                               .end = header->end_offset(),
                               .epoch = header->main_epoch,
                               .append_time_us = header->append_time_us,
                               .size_bytes = header->size_bytes});
        step->batches.push_back(bytes);
        step->bytes += bytes.size();
        return true;
      });
  if (!read) return std::unexpected(read.error());
  if (step->infos.empty()) return false;
  const Offset copied_to = step->infos.back().end;
  if (copied_to < row.run.end) {
    step->rest = row.run;
    step->rest->first = copied_to;
    step->rest->first_append_time_us = step->infos.back().append_time_us;
    step->rest->bytes -= std::min(row.run.bytes - 1, step->bytes);
  }
  const Status done =
      writer_.call([&database = database_, &table = table_, &writer = writer_, step]() -> Status {
        const RunRow& source = step->from;
        const std::unique_lock alone(table.moves());
        std::string now;
        const auto found =
            database.db().Get(rocksdb::ReadOptions(), database.family(Family::kIndex),
                              run_key(source.run.generation, source.log, source.run.first), &now);
        if (!found.ok() || now != encode_run(source.run) || !table.state(source.log)) return {};
        RoundBatch batch;
        RowWriter rows(database, batch);
        for (std::size_t i = 0; i < step->infos.size(); ++i) {
          rows.put_batch({writer.open_generation(), source.log, step->infos[i].last()},
                         step->batches[i].span());
        }
        rows.delete_run(source.log, source.run);
        if (step->rest) rows.put_run(source.log, *step->rest);
        const auto batches = static_cast<std::int64_t>(step->infos.size());
        Status written = writer.commit_task(
            batch, {.batches = batches, .bytes = static_cast<std::int64_t>(step->bytes)});
        if (!written) return written;
        writer.count_copied(step->bytes);
        table.add_copied(source.log, step->infos);
        step->done = true;
        return {};
      });
  if (!done) return std::unexpected(done.error());
  if (!step->done || !step->rest) return false;
  rest = {.log = row.log, .run = *step->rest};
  return true;
}

// Removes the rows of generations that hold nothing live any more. Their files go with
// delete_dead_files().
Status Reclaimer::forget(const Unit& unit) {
  return writer_.call([&database = database_, &table = table_, &writer = writer_,
                       unit]() -> Status {
    std::vector<Generation> generations;
    for (const auto& [generation, sealed] : table.generations()) {
      if (unit.lowest <= generation && generation <= unit.highest)
        generations.push_back(generation);
    }
    RoundBatch batch;
    RowWriter rows(database, batch);
    bool live = false;
    Status read = database.visit_rows_from(Family::kIndex, run_prefix(unit.lowest),
                                           [&](std::string_view key, std::string_view row) {
                                             const auto decoded = decode_run(key, row);
                                             if (!decoded || decoded->run.generation > unit.highest)
                                               return false;
                                             live = is_live(table, *decoded);
                                             rows.delete_run(decoded->log, decoded->run);
                                             return !live;
                                           });
    if (!read) return read;
    if (live || generations.empty()) return {};
    for (const Generation generation : generations) rows.delete_sealed(generation);
    Status written = writer.commit_task(batch, {});
    if (written) table.forget_generations(generations);
    return written;
  });
}

Status Reclaimer::delete_dead_files() {
  if (Status deleted = delete_dead_segments(); !deleted) return deleted;
  // In this order: a generation sealed in between counts as open.
  const Generation open = table_.open_generation();
  const auto living = table_.generations();
  for (const Database::LogFile& file : database_.log_files()) {
    if (file.highest >= open) continue;
    const auto first = living.lower_bound(file.lowest);
    if (first != living.end() && first->first <= file.highest) continue;
    if (Status deleted = database_.delete_log_files(file.lowest, file.highest); !deleted) {
      return deleted;
    }
  }
  return {};
}

Status Reclaimer::delete_dead_segments() {
  const FileNumber settled = database_.segments().settled_below();
  const auto living = table_.generations();
  auto next = living.begin();  // generations follow each other in the files, too
  for (const auto& [file, bytes] : database_.segments().kept()) {
    while (next != living.end() && next->second.last_file < file) ++next;
    const bool needed = next != living.end() && next->second.first_file <= file;
    if (needed || file >= settled) continue;
    if (Status deleted = delete_segment(file); !deleted || stopping()) return deleted;
  }
  return {};
}

Status Reclaimer::delete_segment(FileNumber file) {
  for (bool gone = false; !gone && rest();) {
    const auto removed = database_.segments().remove_some(file, kFreeBytes);
    if (!removed) return std::unexpected(removed.error());
    gone = *removed;
  }
  return {};
}

// Between two pieces that are freed. False: stop.
bool Reclaimer::rest() {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, kRest, [this] { return stopping_; });
  rested_ms_ += static_cast<std::uint64_t>(kRest.count());
  return !stopping_;
}

// The note of a dropped log is needed as long as its batches may lie in the generation that was
// open.
Status Reclaimer::forget_dropped_logs() {
  std::vector<LogId> forgotten;
  const auto living = table_.generations();
  const Generation oldest = living.empty() ? table_.open_generation() : living.begin()->first;
  for (const auto& [log, generation] : table_.dropped()) {
    if (generation < oldest) forgotten.push_back(log);
  }
  if (forgotten.empty()) return {};
  return writer_.call(
      [&database = database_, &table = table_, &writer = writer_, forgotten]() -> Status {
        RoundBatch batch;
        RowWriter rows(database, batch);
        for (const LogId log : forgotten) rows.delete_dropped(log);
        Status written = writer.commit_task(batch, {});
        for (const LogId log : forgotten) {
          if (written) table.forget_dropped(log);
        }
        return written;
      });
}

}  // namespace andyx::storage
