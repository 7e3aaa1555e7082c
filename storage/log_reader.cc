#include "storage/log_reader.h"

#include <algorithm>
#include <shared_mutex>

#include "protocol/batch/batch_reader.h"

namespace andyx::storage {
namespace {

constexpr int kAttempts = 8;  // each after a move of the batches, which are rare

std::unexpected<Error> out_of_range(LogId log, const LogLayout& layout, Offset from) {
  return fail(ErrorCode::kOffsetOutOfRange,
              "log " + std::to_string(log) + " holds offsets " + std::to_string(layout.start) +
                  " to " + std::to_string(layout.end) + ", asked for " + std::to_string(from));
}

Status check_tiling(LogId log, const LogLayout& layout, Offset from) {
  Offset next = from;
  for (const Run& run : layout.runs) {
    if (run.first > next) break;
    next = std::max(next, run.end);
  }
  if (next >= layout.end) return {};
  return fail(ErrorCode::kCorrupt, "log " + std::to_string(log) + ": no row says where offset " +
                                       std::to_string(next) + " lies");
}

}  // namespace

bool LogReader::moved_since(LogId log, std::uint64_t version) const {
  return table_.layout(log, 0).version != version;
}

Result<RunList> LogReader::load_runs(LogId log, const std::vector<Generation>& generations) {
  RunList runs;
  bool damaged = false;
  for (const Generation generation : generations) {
    const Status read = database_.visit_rows(Family::kIndex, run_prefix(generation, log),
                                             [&](std::string_view key, std::string_view row) {
                                               const auto decoded = decode_run(key, row);
                                               if (decoded) {
                                                 runs.push_back(decoded->run);
                                               } else {
                                                 damaged = true;
                                               }
                                               return !damaged;
                                             });
    if (!read) return std::unexpected(read.error());
  }
  if (damaged) {
    return fail(ErrorCode::kCorrupt, "an index row of log " + std::to_string(log) + " is damaged");
  }
  std::ranges::sort(runs, {}, &Run::first);
  return runs;
}

Result<RunList> LogReader::all_rows(LogId log) {
  // Asked for first: sealed meanwhile, it is among the others.
  std::vector<Generation> generations = {table_.open_generation()};
  for (const auto& [generation, sealed] : table_.generations()) generations.push_back(generation);
  return load_runs(log, generations);
}

Result<LogLayout> LogReader::loaded_layout(LogId log, Offset from) {
  LogLayout layout = table_.layout(log, from);
  for (int attempt = 0; attempt < kAttempts && !layout.loaded; ++attempt) {
    // Only a cut may come in between, and only once in a generation.
    const std::shared_lock nothing_moves(table_.moves());
    layout = table_.layout(log, from);
    if (layout.loaded) break;
    auto runs = load_runs(log, layout.generations);
    if (!runs) return std::unexpected(runs.error());
    table_.loaded(log, layout.version, std::move(*runs));
    layout = table_.layout(log, from);
  }
  if (layout.loaded) return layout;
  return fail(ErrorCode::kOverloaded,
              "the index of log " + std::to_string(log) + " keeps changing; try again");
}

Result<LogLayout> LogReader::layout(LogId log, Offset from) {
  for (int attempt = 0;; ++attempt) {
    auto layout = loaded_layout(log, from);
    if (!layout) return layout;
    if (from < layout->start || from > layout->end) return out_of_range(log, *layout, from);
    const Status tiled = check_tiling(log, *layout, from);
    if (tiled) return layout;
    if (attempt >= kAttempts || !moved_since(log, layout->version)) {
      return std::unexpected(tiled.error());
    }
  }
}

Result<std::vector<SharedBytes>> LogReader::read(LogId log, Offset from, std::size_t max_bytes) {
  for (int attempt = 0;; ++attempt) {
    std::uint64_t version = 0;
    auto batches = read_once(log, from, max_bytes, version);
    if (batches || batches.error().code != ErrorCode::kCorrupt) return batches;
    const bool start_passed = from < table_.layout(log, from).start;
    if (attempt >= kAttempts || (!start_passed && !moved_since(log, version))) return batches;
  }
}

Result<std::vector<SharedBytes>> LogReader::read_once(LogId log, Offset from, std::size_t max_bytes,
                                                      std::uint64_t& version) {
  auto where = layout(log, from);
  if (!where) return std::unexpected(where.error());
  version = where->version;
  std::vector<SharedBytes> out;
  std::size_t bytes = 0;
  bool full = false;
  for (const Run& run : where->runs) {
    if (full || from >= where->end) break;
    const std::size_t wanted = std::min(rest_of(run, from), max_bytes - std::min(bytes, max_bytes));
    const Status read = database_.visit_run(
        log, run, from, wanted, [&](const BatchKey& key, const SharedBytes& batch) {
          full = !out.empty() && bytes + batch.size() > max_bytes;
          if (full) return false;
          out.push_back(batch);
          bytes += batch.size();
          from = key.last_offset + 1;
          full = bytes >= max_bytes;
          return !full;
        });
    if (!read) return std::unexpected(read.error());
  }
  return out;
}

template <typename Look>
std::invoke_result_t<Look, std::uint64_t&> LogReader::look_at(LogId log, Look&& look) {
  for (int attempt = 0;; ++attempt) {
    std::uint64_t version = 0;
    auto found = look(version);
    if (found || attempt >= kAttempts) return found;
    const bool may_have_moved =
        found.error().code == ErrorCode::kCorrupt && moved_since(log, version);
    const bool start_passed = found.error().code == ErrorCode::kOffsetOutOfRange;
    if (!may_have_moved && !start_passed) return found;
  }
}

Result<Offset> LogReader::find_time(LogId log, TimeUs time_us) {
  return look_at(log,
                 [&](std::uint64_t& version) { return find_time_once(log, time_us, version); });
}

Result<StorageShard::Sized> LogReader::find_size(LogId log, std::uint64_t max_bytes) {
  return look_at(log,
                 [&](std::uint64_t& version) { return find_size_once(log, max_bytes, version); });
}

Result<StorageShard::Sized> LogReader::find_size_once(LogId log, std::uint64_t max_bytes,
                                                      std::uint64_t& version) {
  const Offset start = table_.layout(log, 0).start;
  auto where = layout(log, start);
  if (!where) return std::unexpected(where.error());
  version = where->version;
  StorageShard::Sized sized{.from = where->end};
  for (auto run = where->runs.rbegin(); run != where->runs.rend(); ++run) {
    if (run->first >= start && sized.bytes + run->bytes <= max_bytes) {
      sized = {.from = run->first, .bytes = sized.bytes + run->bytes};
      continue;
    }
    std::vector<StorageShard::Sized> batches;
    const Status read =
        database_.visit_run(log, *run, std::max(run->first, start), run->bytes,
                            [&](const BatchKey&, const SharedBytes& bytes) {
                              const auto header = batch::read_header(bytes.span());
                              batches.push_back({header->base_offset, bytes.size()});
                              return true;
                            });
    if (!read) return std::unexpected(read.error());
    for (auto batch = batches.rbegin(); batch != batches.rend(); ++batch) {
      if (sized.bytes != 0 && sized.bytes + batch->bytes > max_bytes) return sized;
      sized = {.from = std::max(batch->from, start), .bytes = sized.bytes + batch->bytes};
    }
  }
  return sized;
}

Result<std::uint64_t> LogReader::bytes_from(LogId log, Offset from) {
  auto where = layout(log, from);
  if (!where) return std::unexpected(where.error());
  std::uint64_t bytes = 0;
  for (const Run& run : where->runs) bytes += rest_of(run, from);
  return bytes;
}

Result<Offset> LogReader::find_time_once(LogId log, TimeUs time_us, std::uint64_t& version) {
  const Offset start = table_.layout(log, 0).start;
  auto where = layout(log, start);
  if (!where) return std::unexpected(where.error());
  version = where->version;
  for (const Run& run : where->runs) {
    if (run.last_append_time_us < time_us) continue;
    if (run.first >= start && run.first_append_time_us >= time_us) return run.first;
    std::optional<Offset> found;
    const Status read = database_.visit_run(log, run, std::max(run.first, start), run.bytes,
                                            [&](const BatchKey&, const SharedBytes& bytes) {
                                              const auto header = batch::read_header(bytes.span());
                                              if (header->append_time_us >= time_us)
                                                found = std::max(header->base_offset, start);
                                              return !found.has_value();
                                            });
    if (!read) return std::unexpected(read.error());
    if (found) return *found;
  }
  return where->end;
}

}  // namespace andyx::storage
