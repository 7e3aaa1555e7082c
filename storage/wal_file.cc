#include "storage/wal_file.h"

#include <algorithm>
#include <array>
#include <utility>

namespace andyx::storage {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

// Zeros are bytes written, too, as many as they save syncs a journal: worth it for a few messages,
// not for a batch of 16 KB.
constexpr std::uint64_t kSmallBytes = 8 * 1024;
constexpr std::uint32_t kSmallSyncs = 4;           // in a row, before zeros are written
constexpr std::uint64_t kZerosBytes = 256 * 1024;  // at once

constexpr std::array<char, 32 * 1024> kZeros{};

}  // namespace

WalFile::WalFile(std::unique_ptr<rocksdb::FSWritableFile> file, OnAppended on_appended)
    : FSWritableFileOwnerWrapper(std::move(file)), on_appended_(std::move(on_appended)) {}

IOStatus WalFile::Append(const Slice& data, const IOOptions& options, IODebugContext* debug) {
  IOStatus status = target()->PositionedAppend(data, end_, options, debug);
  if (!status.ok()) return status;
  end_ += data.size();
  on_appended_(data.size());
  const bool small = small_syncs_ >= kSmallSyncs && end_ - synced_end_ <= kSmallBytes;
  if (small && end_ >= zeros_end_) write_zeros(options, debug);
  return status;
}

IOStatus WalFile::Append(const Slice& data, const IOOptions& options,
                         const rocksdb::DataVerificationInfo&, IODebugContext* debug) {
  return Append(data, options, debug);
}

// Without them all goes on as well, only slower: where the disk is full, say.
void WalFile::write_zeros(const IOOptions& options, IODebugContext* debug) {
  const std::uint64_t end = end_ + kZerosBytes;
  for (zeros_end_ = end_; zeros_end_ < end;) {
    const std::size_t size = std::min<std::uint64_t>(kZeros.size(), end - zeros_end_);
    const Slice zeros(kZeros.data(), size);
    if (!target()->PositionedAppend(zeros, zeros_end_, options, debug).ok()) {
      small_syncs_ = 0;
      return;
    }
    zeros_end_ += size;
  }
}

IOStatus WalFile::Sync(const IOOptions& options, IODebugContext* debug) {
  small_syncs_ = end_ - synced_end_ <= kSmallBytes ? small_syncs_ + 1 : 0;
  synced_end_ = end_;
  return target()->Sync(options, debug);
}

IOStatus WalFile::Close(const IOOptions& options, IODebugContext* debug) {
  IOStatus trimmed;
  if (zeros_end_ > end_) trimmed = target()->Truncate(end_, options, debug);
  IOStatus closed = target()->Close(options, debug);
  return trimmed.ok() ? closed : trimmed;
}

}  // namespace andyx::storage
