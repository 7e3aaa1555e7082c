#include "storage/truncation.h"

#include <algorithm>
#include <chrono>
#include <mutex>

#include "protocol/batch/batch_reader.h"

namespace andyx::storage {
namespace {

constexpr int kAttempts = 8;  // each after a generation was cut meanwhile

std::int64_t unix_time_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

Result<CutTail> Truncation::truncate(LogId log, Offset from) {
  const std::lock_guard one_plan(table_.plans());
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (table_.in_flight(log)) {
      return fail(ErrorCode::kBadArgument, "log " + std::to_string(log) + " has appends in flight");
    }
    auto planned = plan(log, from);
    if (!planned) return std::unexpected(planned.error());
    if (planned->cut.to == from) return planned->cut;
    const auto shared = std::make_shared<const Plan>(std::move(*planned));
    const auto moved = std::make_shared<bool>(false);
    const Status done = writer_.call(
        [&database = database_, &table = table_, &writer = writer_, shared, moved]() -> Status {
          const LogId cut_log = shared->cut.log;
          const std::unique_lock alone(table.moves());
          *moved = table.layout(cut_log, 0).version != shared->version;
          if (*moved) return {};
          RoundBatch batch;
          RowWriter rows(database, batch);
          for (const BatchKey& key : shared->open_batches) rows.delete_batch(key);
          for (const Run& run : shared->removed) rows.delete_run(cut_log, run);
          if (shared->new_last) rows.put_run(cut_log, *shared->new_last);
          Head head = shared->head;
          head.start = std::max(head.start, table.layout(cut_log, 0).start);
          rows.put_head(cut_log, head);
          Status written = writer.commit_task(
              batch, {.batches = -static_cast<std::int64_t>(shared->open_batches.size()),
                      .bytes = -static_cast<std::int64_t>(shared->open_bytes)});
          if (written) table.truncated(cut_log, head, shared->new_last);
          return written;
        });
    if (!done) return std::unexpected(done.error());
    if (!*moved) return shared->cut;
    directory_.remove_cut_file(shared->cut.saved_as);  // planned anew
  }
  return fail(ErrorCode::kOverloaded, "generations follow each other too fast to cut log " +
                                          std::to_string(log) + "; try again");
}

Result<Truncation::Plan> Truncation::plan(LogId log, Offset from) {
  LogReader reader(database_, table_);
  const LogState before = table_.state(log).value_or(LogState{});
  if (from < before.start_offset || from > before.end_offset) {
    return fail(ErrorCode::kOffsetOutOfRange, "log " + std::to_string(log) + " holds offsets " +
                                                  std::to_string(before.start_offset) + " to " +
                                                  std::to_string(before.end_offset) +
                                                  ", it cannot be cut at " + std::to_string(from));
  }
  Plan plan;
  plan.cut = {.log = log, .from = from, .to = before.end_offset};
  if (from == before.end_offset) return plan;
  // From the batch before the cut on: it gives the epoch that the log ends with afterwards.
  auto layout = reader.layout(log, from > before.start_offset ? from - 1 : from);
  if (!layout) return std::unexpected(layout.error());
  plan.version = layout->version;
  plan.head = {.start = before.start_offset, .end = from};
  plan.cut.saved_as = "log-" + std::to_string(log) + "-" + std::to_string(from) + "-" +
                      std::to_string(plan.cut.to) + "-at-" + std::to_string(unix_time_us());
  auto file = directory_.create_cut_file(plan.cut.saved_as);
  if (!file) return std::unexpected(file.error());
  for (const Run& run : layout->runs) {
    if (Status collected = collect_run(run, from, plan, **file); !collected) {
      return std::unexpected(collected.error());
    }
  }
  if (Status saved = (*file)->finish(); !saved) return std::unexpected(saved.error());
  plan.head.bytes = before.bytes - std::min(before.bytes, plan.cut.bytes);
  return plan;
}

Status Truncation::collect_run(const Run& run, Offset from, Plan& plan, CutFile& file) {
  const Offset first = std::max(run.first, from > plan.head.start ? from - 1 : from);
  const Generation open = table_.open_generation();
  std::uint64_t cut_bytes = 0;
  Status saved;
  Status read = database_.visit_run(
      plan.cut.log, run, first, run.bytes, [&](const BatchKey& key, const SharedBytes& bytes) {
        const auto header = batch::read_header(bytes.span());
        if (header->end_offset() <= from) {
          plan.head.last_epoch = header->main_epoch;
          plan.head.last_append_time_us = header->append_time_us;
          return true;
        }
        if (header->base_offset < from && from > plan.head.start) {
          saved = fail(ErrorCode::kBadArgument,
                       "offset " + std::to_string(from) + " lies inside of a batch");
          return false;
        }
        if (key.generation == open) {
          plan.open_batches.push_back(key);
          plan.open_bytes += bytes.size();
        }
        cut_bytes += bytes.size();
        saved = file.append(bytes.span());
        return saved.has_value();
      });
  if (!read) return read;
  if (!saved) return saved;
  plan.cut.bytes += cut_bytes;
  if (run.first >= from || from == plan.head.start) {
    plan.removed.push_back(run);
  } else if (run.end > from) {
    plan.new_last = run;
    plan.new_last->end = from;
    plan.new_last->bytes -= std::min(run.bytes, cut_bytes);
    plan.new_last->last_append_time_us = plan.head.last_append_time_us;
  }
  return {};
}

Status Truncation::reset(LogId log, Offset start, std::vector<StatePut> puts) {
  const std::lock_guard one_plan(table_.plans());
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (table_.in_flight(log)) {
      return fail(ErrorCode::kBadArgument, "log " + std::to_string(log) + " has appends in flight");
    }
    auto planned = plan_reset(log, start);
    if (!planned) return std::unexpected(planned.error());
    const auto shared = std::make_shared<const Plan>(std::move(*planned));
    const auto rows_beside = std::make_shared<const std::vector<StatePut>>(puts);
    const auto moved = std::make_shared<bool>(false);
    const Status done = writer_.call([&database = database_, &table = table_, &writer = writer_,
                                      shared, rows_beside, moved]() -> Status {
      const LogId log_id = shared->cut.log;
      const std::unique_lock alone(table.moves());
      *moved = table.layout(log_id, 0).version != shared->version;
      if (*moved) return {};
      RoundBatch batch;
      RowWriter rows(database, batch);
      for (const BatchKey& key : shared->open_batches) rows.delete_batch(key);
      for (const Run& run : shared->removed) rows.delete_run(log_id, run);
      if (shared->version != 0) {  // it exists
        rows.put_head(log_id, shared->head);
        // Over an earlier start, which may be a higher one.
        rows.put_change({.log = log_id, .start = shared->head.start}, writer.open_generation());
      }
      for (const StatePut& put : *rows_beside) rows.put_state(put);
      Status written = writer.commit_task(
          batch, {.batches = -static_cast<std::int64_t>(shared->open_batches.size()),
                  .bytes = -static_cast<std::int64_t>(shared->open_bytes)});
      if (written) table.began_anew(log_id, shared->head);
      return written;
    });
    if (!done) return std::unexpected(done.error());
    if (!*moved) return {};
  }
  return fail(ErrorCode::kOverloaded, "generations follow each other too fast to begin log " +
                                          std::to_string(log) + " anew; try again");
}

Result<Truncation::Plan> Truncation::plan_reset(LogId log, Offset start) {
  const LogState before = table_.state(log).value_or(LogState{});
  Plan plan;
  plan.cut = {.log = log, .from = before.start_offset, .to = before.end_offset};
  plan.head = {.start = start, .end = start};
  plan.version = table_.layout(log, 0).version;
  // None may stay: the log may come to hold the same offsets again.
  auto rows = LogReader(database_, table_).all_rows(log);
  if (!rows) return std::unexpected(rows.error());
  plan.removed = std::move(*rows);
  for (const Run& run : table_.open_runs(log)) {
    Status listed = database_.visit_run(log, run, run.first, 0,
                                        [&](const BatchKey& key, const SharedBytes& bytes) {
                                          plan.open_batches.push_back(key);
                                          plan.open_bytes += bytes.size();
                                          return true;
                                        });
    if (!listed) return std::unexpected(listed.error());
  }
  return plan;
}

}  // namespace andyx::storage
