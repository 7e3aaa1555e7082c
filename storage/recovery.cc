#include "storage/recovery.h"

#include <algorithm>

#include "protocol/batch/batch_reader.h"
#include "storage/rocksdb_error.h"
#include "storage/rows.h"
#include "storage/wal_layout.h"

namespace andyx::storage {
namespace {

std::unexpected<Error> damaged_row(std::string_view key) {
  return fail(ErrorCode::kCorrupt,
              "a row of the head family is damaged (tag " + std::string(key.substr(0, 1)) + ")");
}

}  // namespace

Result<Round> Recovery::run() {
  if (Status loaded = load_heads(); !loaded) return std::unexpected(loaded.error());
  if (Status read = scan_open_generation(); !read) return std::unexpected(read.error());
  compare_with_mark();
  check_sealed_files();
  if (Status judged = judge_losses(); !judged) return std::unexpected(judged.error());
  if (!losses_.empty()) {
    if (Status settled = settle_losses(); !settled) return std::unexpected(settled.error());
  }
  restore();
  return seal();
}

Status Recovery::load_heads() {
  Status row_status;
  const Status read =
      database_.visit_rows(Family::kHead, "", [&](std::string_view key, std::string_view row) {
        row_status = load_head_row(key, row);
        return row_status.has_value();
      });
  return read ? row_status : read;
}

Status Recovery::load_head_row(std::string_view key, std::string_view row) {
  if (key == round_key()) {
    has_round_ = true;
    return decode_row(row, round_) ? Status() : damaged_row(key);
  }
  const auto id = decode_tagged_key(key);
  if (!id) return damaged_row(key);
  bool whole = false;
  std::uint64_t number = 0;
  switch (key.front()) {
    case kHeadTag:
      whole = decode_row(row, known_[*id].head.emplace());
      break;
    case kStartTag:
      whole = decode_row(row, known_[*id].start);
      break;
    case kDroppedTag:
      whole = decode_row(row, number);
      dropped_[*id] = static_cast<Generation>(number);
      break;
    case kSealedTag:
      whole = decode_row(row, generations_[*id]);
      break;
    default:
      break;
  }
  return whole ? Status() : damaged_row(key);
}

Recovery::Scanned& Recovery::scanned(LogId log) {
  const auto [it, created] = scanned_.try_emplace(log);
  if (!created) return it->second;
  Head& head = it->second.head;
  const auto known = known_.find(log);
  if (known == known_.end()) return it->second;
  if (known->second.head) {
    head = *known->second.head;
    const Offset start = std::min(std::max(head.start, known->second.start), head.end);
    if (head.end > head.start) {
      const auto share =
          static_cast<double>(head.end - start) / static_cast<double>(head.end - head.start);
      head.bytes = static_cast<std::uint64_t>(static_cast<double>(head.bytes) * share);
    }
    head.start = start;
  } else {
    head.start = head.end = known->second.start;
  }
  return it->second;
}

Status Recovery::scan_open_generation() {
  // Sealed in words only: the flush that would have ended it was not accepted, or nothing came
  // after it.
  std::erase_if(generations_,
                [&](const auto& sealed) { return sealed.first >= round_.generation; });
  Status batch_status;
  const Status read = database_.visit_batches_from(
      round_.generation,
      [&](std::string_view key, const std::optional<Place>& place, const SharedBytes& bytes) {
        const auto batch_key = decode_batch_key(key);
        if (!batch_key) {
          batch_status = fail(ErrorCode::kCorrupt, "a key of the log family is damaged");
        } else {
          batch_status = scan_batch(*batch_key, place, bytes.span());
        }
        return batch_status.has_value();
      });
  if (!read) return read;
  if (!batch_status) return batch_status;
  report_.replayed_batches = batches_;
  report_.replayed_bytes = bytes_;
  return {};
}

Status Recovery::scan_batch(const BatchKey& key, const std::optional<Place>& place,
                            ByteSpan bytes) {
  const auto header = batch::read_header(bytes);
  if (!header || header->size_bytes != bytes.size() || header->last_offset() != key.last_offset ||
      !batch::verify_checksum(bytes, *header)) {
    return fail(ErrorCode::kCorrupt, "log " + std::to_string(key.log) +
                                         ": the batch that ends at offset " +
                                         std::to_string(key.last_offset) + " is damaged");
  }
  if (key.generation != round_.generation) {
    note_loss("generation " + std::to_string(key.generation) + " lies beyond the last round, " +
              std::to_string(round_.number) + " in generation " +
              std::to_string(round_.generation));
    cut_.push_back(key);
    highest_generation_ = std::max(highest_generation_, key.generation);
    return {};
  }
  ++batches_;
  bytes_ += bytes.size();
  if (place) {
    first_file_ = first_file_ == 0 ? place->file : std::min(first_file_, place->file);
    if (place->file > last_file_) last_file_bytes_ = 0;
    last_file_ = std::max(last_file_, place->file);
    const std::uint64_t end =
        wal::record_end(place->record, std::uint64_t{place->at} + place->size);
    if (place->file == last_file_) last_file_bytes_ = std::max(last_file_bytes_, end);
  }
  if (dropped_.contains(key.log)) return {};

  Scanned& log = scanned(key.log);
  const AppendInfo info{.base = header->base_offset,
                        .end = header->end_offset(),
                        .epoch = header->main_epoch,
                        .append_time_us = header->append_time_us,
                        .size_bytes = header->size_bytes};
  const bool known_before =
      info.end <= log.head.end;  // copied forward, or cut after it was written
  if (!known_before) {
    if (log.gap || info.base != log.head.end) {
      if (!log.gap) {
        note_loss("log " + std::to_string(key.log) + " has a hole at offset " +
                  std::to_string(log.head.end));
      }
      log.gap = true;
      cut_.push_back(key);
      return {};
    }
    log.head.end = info.end;
    log.head.last_epoch = info.epoch;
    log.head.last_append_time_us = info.append_time_us;
    log.head.bytes += info.size_bytes;
  }
  extend_runs(log.runs, key.generation, info);
  return {};
}

void Recovery::compare_with_mark() {
  if (batches_ != round_.generation_batches || bytes_ != round_.generation_bytes) {
    note_loss("generation " + std::to_string(round_.generation) + " holds " +
              std::to_string(batches_) + " batches (" + std::to_string(bytes_) +
              " bytes), its last round counted " + std::to_string(round_.generation_batches) +
              " (" + std::to_string(round_.generation_bytes) + " bytes)");
  }
  if (!mark_) return;
  report_.clean_stop = mark_->clean_stop && mark_->round.number == round_.number;
  if (mark_->round.number <= round_.number) return;
  const std::uint64_t batches = mark_->round.total_batches - round_.total_batches;
  const std::uint64_t bytes = mark_->round.total_bytes - round_.total_bytes;
  note_loss("writes were acknowledged up to round " + std::to_string(mark_->round.number) +
            ", recovered up to round " + std::to_string(round_.number) + ": " +
            std::to_string(batches) + " batches (" + std::to_string(bytes) +
            " bytes) are missing at the end");
}

void Recovery::check_sealed_files() {
  const auto files = database_.log_files();
  for (const auto& [generation, sealed] : generations_) {
    const bool covered = std::ranges::any_of(files, [&](const Database::LogFile& file) {
      return file.lowest <= generation && generation <= file.highest;
    });
    const Segments& segments = database_.segments();
    const bool placed =
        sealed.first_file == 0 || (segments.has(sealed.first_file, 1) &&
                                   segments.has(sealed.last_file, sealed.last_file_bytes));
    if (!placed) {
      note_loss("a segment of generation " + std::to_string(generation) +
                " is missing or too short (" + std::to_string(sealed.batches) + " batches)");
    } else if (!covered && sealed.batches > 0) {
      note_loss("no file holds generation " + std::to_string(generation) + " (" +
                std::to_string(sealed.batches) + " batches)");
    }
  }
}

Status Recovery::judge_losses() {
  if (losses_.empty()) return {};
  constexpr std::size_t kNamed = 5;
  std::string text;
  for (std::size_t i = 0; i < std::min(losses_.size(), kNamed); ++i) {
    if (i > 0) text += "; ";
    text += losses_[i];
  }
  if (losses_.size() > kNamed) {
    text += "; and " + std::to_string(losses_.size() - kNamed) + " more";
  }
  report_.data_loss = text;
  // Without fsync a tail may be lost with the machine; that is what was asked for. It is still
  // reported.
  const bool tail_was_not_synced = mark_ && !mark_->fsync;
  if (accept_data_loss_ || tail_was_not_synced) return {};
  return fail(ErrorCode::kDataLoss,
              "acknowledged data is missing: " + text +
                  ". Restore the directory from a copy, or start once with --accept-data-loss to "
                  "go on without it");
}

// With a loss accepted, each log ends where its first hole is.
Status Recovery::settle_losses() {
  for (const auto& [log, known] : known_) {
    if (known.head && !dropped_.contains(log)) scanned(log);
  }
  std::unordered_map<LogId, RunList> runs;
  const Status read =
      database_.visit_rows(Family::kIndex, "", [&](std::string_view key, std::string_view row) {
        const auto decoded = decode_run(key, row);
        if (decoded && generations_.contains(decoded->run.generation)) {
          runs[decoded->log].push_back(decoded->run);
        }
        return true;
      });
  if (!read) return read;
  for (auto& [log, state] : scanned_) {
    RunList& all = runs[log];
    all.insert(all.end(), state.runs.begin(), state.runs.end());
    std::ranges::sort(all, {}, &Run::first);
    if (Status settled = settle_log(log, state, all); !settled) return settled;
  }
  return {};
}

Status Recovery::settle_log(LogId log, Scanned& state, RunList& runs) {
  Offset end = state.head.start;
  const Run* last = nullptr;
  for (const Run& run : runs) {
    if (run.end <= end) continue;
    if (run.first > end) break;
    end = std::min(run.end, state.head.end);
    last = &run;
  }
  if (end == state.head.end) return {};
  state.head.end = end;
  state.head.last_epoch = 0;
  state.head.last_append_time_us = 0;
  if (last != nullptr) {
    Status read =
        database_.visit_run(log, *last, end - 1, 0, [&](const BatchKey&, const SharedBytes& bytes) {
          const auto header = batch::read_header(bytes.span());
          state.head.last_epoch = header->main_epoch;
          state.head.last_append_time_us = header->append_time_us;
          return false;
        });
    if (!read) return read;
  }
  for (const Run& run : runs) {
    if (run.first < end) continue;
    cut_runs_.emplace_back(log, run);
    if (run.generation != round_.generation) continue;
    Status listed =
        database_.visit_run(log, run, run.first, 0, [&](const BatchKey& key, const SharedBytes&) {
          cut_.push_back(key);
          return true;
        });
    if (!listed) return listed;
  }
  std::erase_if(state.runs, [&](const Run& run) { return run.first >= end; });
  return {};
}

void Recovery::restore() {
  table_.restore_open_generation(round_.generation);
  for (const auto& [generation, sealed] : generations_)
    table_.restore_generation(generation, sealed);
  for (const auto& [log, generation] : dropped_) table_.restore_dropped(log, generation);
  for (const auto& [log, known] : known_) {
    if (known.head && !dropped_.contains(log)) scanned(log);
  }
  for (auto& [log, state] : scanned_) {
    table_.restore_log(log, state.head, std::move(state.runs));
  }
  report_.logs = static_cast<std::uint32_t>(scanned_.size());
  report_.cut_batches = cut_.size();
}

Result<Round> Recovery::seal() {
  RoundBatch batch;
  RowWriter rows(database_, batch);
  round_.number = std::max(round_.number, mark_ ? mark_->round.number : 0) + 1;
  round_.generation_batches = batches_;
  round_.generation_bytes = bytes_;
  for (const BatchKey& key : cut_) rows.delete_batch(key);
  for (const auto& [log, run] : cut_runs_) rows.delete_run(log, run);
  const Status listed = database_.visit_rows(Family::kIndex, run_prefix(round_.generation),
                                             [&](std::string_view key, std::string_view row) {
                                               if (const auto stale = decode_run(key, row))
                                                 rows.delete_run(stale->log, stale->run);
                                               return true;
                                             });
  if (!listed) return std::unexpected(listed.error());
  const bool something_to_seal = batches_ > 0 || !losses_.empty();
  if (something_to_seal) {
    const Sealed sealed{.batches = batches_,
                        .bytes = bytes_,
                        .first_file = first_file_,
                        .last_file = last_file_,
                        .last_file_bytes = last_file_bytes_};
    rows.put_cut(table_.cut_logs(), round_.generation, sealed);
    for (const auto& [log, state] : scanned_) {
      if (!losses_.empty()) rows.put_head(log, state.head);
    }
    table_.seal(sealed);
    round_.generation = std::max(round_.generation, highest_generation_) + 1;
    table_.restore_open_generation(round_.generation);
    round_.generation_batches = 0;
    round_.generation_bytes = 0;
  }
  rows.put_round(round_);
  rocksdb::WriteOptions options;
  options.sync = true;
  const auto written = database_.db().Write(options, &batch.rows);
  if (!written.ok()) return rocksdb_error(written, "write what was recovered");
  return round_;
}

}  // namespace andyx::storage
