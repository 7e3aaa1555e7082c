// Batches with known contents, directories that go away, and observers that can be waited for.
#pragma once

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "protocol/batch/batch_builder.h"
#include "protocol/batch/batch_reader.h"
#include "storage/storage_shard.h"

namespace andyx::storage::test {

// The payload of one record says where it belongs, and is as long as asked.
inline std::string payload_at(LogId log, Offset offset, std::size_t bytes) {
  std::string text = "log " + std::to_string(log) + " offset " + std::to_string(offset) + " ";
  std::uint64_t state = (std::uint64_t{log} << 32) ^ offset ^ 0x9E3779B97F4A7C15ull;
  while (text.size() < bytes) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    text.push_back(static_cast<char>('a' + (state >> 60)));
  }
  return text;
}

struct BatchShape {
  std::uint32_t count = 1;
  std::size_t payload_bytes = 20;
  MainEpoch epoch = 1;
  TimeUs append_time_us = 1'000;
};

inline SharedBytes make_batch(LogId log, Offset base, const BatchShape& shape = {}) {
  batch::BatchBuilder builder;
  for (std::uint32_t i = 0; i < shape.count; ++i) {
    const std::string payload = payload_at(log, base + i, shape.payload_bytes);
    if (!builder.add({.payload = payload, .time_us = 1})) std::abort();
  }
  SharedBytes bytes = builder.build({});
  batch::patch_server_fields(bytes.mutable_data(), shape.epoch, base, shape.append_time_us);
  return bytes;
}

// Whether `bytes` are the batch that make_batch gives for its offsets.
inline bool is_expected(LogId log, const SharedBytes& bytes, std::size_t payload_bytes) {
  auto reader = batch::BatchReader::open(bytes.span());
  if (!reader) return false;
  batch::Record record;
  for (std::uint32_t i = 0; i < reader->count(); ++i) {
    if (!reader->read(i, record) ||
        record.payload != payload_at(log, record.offset, payload_bytes)) {
      return false;
    }
  }
  return true;
}

class TempDir {
 public:
  enum Where { kDisk, kMemory };  // memory: many small files, no real syncs

  explicit TempDir(Where where = kDisk) {
    const char* set = std::getenv("TMPDIR");
    std::string base = set != nullptr ? set : "/tmp";
    if (where == kMemory && std::filesystem::exists("/dev/shm")) base = "/dev/shm";
    std::string pattern = base + "/andyx-storage-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) std::abort();
    path_ = pattern;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Remembers results in the order of their arrival.
class Recorder final : public WriteObserver {
 public:
  void on_written(std::vector<WriteResult> results) override {
    const std::lock_guard lock(mutex_);
    for (const WriteResult& result : results) results_.push_back(result);
    arrived_.notify_all();
  }

  // Waits for so many results in all.
  std::vector<WriteResult> wait(std::size_t count) {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [&] { return results_.size() >= count; });
    return results_;
  }
  std::vector<WriteResult> results() {
    const std::lock_guard lock(mutex_);
    return results_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<WriteResult> results_;
};

// Submits one group and waits for its result.
inline ErrorCode write(StorageShard& shard, WriteGroup group) {
  Recorder recorder;
  if (Status submitted = shard.submit(std::move(group), recorder); !submitted) {
    return submitted.error().code;
  }
  return recorder.wait(1).front().error;
}

inline ErrorCode append(StorageShard& shard, LogId log, Offset base, const BatchShape& shape = {}) {
  WriteGroup group;
  group.appends.push_back({log, make_batch(log, base, shape)});
  return write(shard, std::move(group));
}

// Reads a log to its end; checks offsets and contents. The offset reached, or the error.
inline Result<Offset> read_all(StorageShard& shard, LogId log, Offset from,
                               std::size_t payload_bytes) {
  for (;;) {
    auto batches = shard.read(log, from, 64 << 10);
    if (!batches) return std::unexpected(batches.error());
    if (batches->empty()) return from;
    for (const SharedBytes& bytes : *batches) {
      const auto header = batch::read_header(bytes.span());
      if (!header || header->base_offset > from || header->end_offset() <= from) {
        return fail(ErrorCode::kInternal, "not the batch that was asked for");
      }
      if (!is_expected(log, bytes, payload_bytes)) {
        return fail(ErrorCode::kInternal, "other contents at offset " + std::to_string(from));
      }
      from = header->end_offset();
    }
  }
}

}  // namespace andyx::storage::test
