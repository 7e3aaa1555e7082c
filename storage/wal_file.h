// A WAL file as RocksDB writes it, over the real one: it counts what is appended, and while syncs
// come after little data each, it keeps zeros ahead of the end. A sync of bytes inside the file is
// one write to the disk; of bytes that make it longer the file system has to write its journal,
// too, which costs as much again (tools/bench/BENCHMARKS.md). RocksDB takes zeros for the end of
// the file.
//
// One thread at a time, as RocksDB does.
#pragma once

#include <rocksdb/file_system.h>

#include <cstdint>
#include <functional>
#include <memory>

namespace andyx::storage {

class WalFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  using OnAppended = std::function<void(std::uint64_t bytes)>;

  WalFile(std::unique_ptr<rocksdb::FSWritableFile> file, OnAppended on_appended);

  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           const rocksdb::DataVerificationInfo& verification,
                           rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus Sync(const rocksdb::IOOptions& options,
                         rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus Close(const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* debug) override;
  std::uint64_t GetFileSize(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
    return end_;
  }

 private:
  void write_zeros(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug);

  const OnAppended on_appended_;
  std::uint64_t end_ = 0;          // of what was appended
  std::uint64_t zeros_end_ = 0;    // of the file, where there are zeros; else below end_
  std::uint64_t synced_end_ = 0;   // where the last sync found the end
  std::uint32_t small_syncs_ = 0;  // in a row
};

}  // namespace andyx::storage
