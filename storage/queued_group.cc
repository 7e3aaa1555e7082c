#include "storage/queued_group.h"

#include <string>

#include "protocol/batch/batch_reader.h"

namespace andyx::storage {
namespace {

constexpr std::size_t kGroupOverheadBytes = 64;
constexpr std::size_t kEntryOverheadBytes = 64;  // key, memtable node, WriteBatch record

}  // namespace

Result<QueuedGroup> inspect_group(WriteGroup group, WriteObserver& observer) {
  QueuedGroup queued;
  queued.observer = &observer;
  queued.charged_bytes = kGroupOverheadBytes;
  queued.infos.reserve(group.appends.size());
  for (const LogAppend& append : group.appends) {
    auto header = batch::read_header(append.batch.span());
    if (!header) return std::unexpected(header.error());
    if (header->size_bytes != append.batch.size()) {
      return fail(ErrorCode::kBadBatch, "append to log " + std::to_string(append.log) + ": " +
                                            std::to_string(append.batch.size()) +
                                            " bytes given, the batch has " +
                                            std::to_string(header->size_bytes));
    }
    queued.infos.push_back({.base = header->base_offset,
                            .end = header->end_offset(),
                            .epoch = header->main_epoch,
                            .append_time_us = header->append_time_us,
                            .size_bytes = header->size_bytes});
    queued.charged_bytes += append.batch.size() + kEntryOverheadBytes;
  }
  for (const StatePut& put : group.puts) {
    if (put.key.empty()) return fail(ErrorCode::kBadArgument, "state key is empty");
    queued.charged_bytes +=
        put.key.size() + (put.value ? put.value->size() : 0) + kEntryOverheadBytes;
  }
  queued.group = std::move(group);
  return queued;
}

void ResultsByObserver::add(WriteObserver* observer, WriteResult result) {
  for (auto& [known, results] : results_) {
    if (known == observer) {
      results.push_back(result);
      return;
    }
  }
  results_.emplace_back(observer, std::vector<WriteResult>{result});
}

void ResultsByObserver::publish() {
  for (auto& [observer, results] : results_) observer->on_written(std::move(results));
  results_.clear();
}

}  // namespace andyx::storage
