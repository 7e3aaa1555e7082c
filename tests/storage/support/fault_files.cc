#include "tests/storage/support/fault_files.h"

namespace andyx::storage::test {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

// Appended to, and synced: WAL, tables, manifest.
class FaultWritableFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  FaultWritableFile(std::unique_ptr<rocksdb::FSWritableFile> file, FaultFileSystem& owner,
                    std::string path)
      : FSWritableFileOwnerWrapper(std::move(file)),
        owner_(owner),
        path_(std::move(path)),
        kind_(kind_of(path_)) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
    return write(data, [&](const Slice& part) {
      IOStatus status = target()->Append(part, options, debug);
      if (status.ok()) owner_.note_append(path_, part.size());
      return status;
    });
  }
  IOStatus PositionedAppend(const Slice& data, std::uint64_t offset, const IOOptions& options,
                            IODebugContext* debug) override {
    return write(data, [&](const Slice& part) {
      IOStatus status = target()->PositionedAppend(part, offset, options, debug);
      if (status.ok()) owner_.note_write_over_zeros(path_, offset, part.size());
      return status;
    });
  }
  IOStatus Append(const Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo&,
                  IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  IOStatus Truncate(std::uint64_t size, const IOOptions& options, IODebugContext* debug) override {
    if (owner_.power_lost()) return no_power();
    IOStatus status = target()->Truncate(size, options, debug);
    if (status.ok()) owner_.note_truncate(path_, size);
    return status;
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    return sync([&] { return target()->Sync(options, debug); });
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return sync([&] { return target()->Fsync(options, debug); });
  }

 private:
  template <typename Call>
  IOStatus write(const Slice& data, Call&& call) {
    if (IOStatus status = owner_.before_write(kind_); !status.ok()) return status;
    switch (owner_.next_operation()) {
      case FaultFileSystem::Fate::kDead:
        return no_power();
      case FaultFileSystem::Fate::kTorn:
        call(Slice(data.data(), owner_.torn_size(data.size()))).PermitUncheckedError();
        return no_power();
      case FaultFileSystem::Fate::kGo:
        break;
    }
    return call(data);
  }

  template <typename Call>
  IOStatus sync(Call&& call) {
    if (IOStatus status = owner_.before_sync(kind_); !status.ok()) return status;
    if (owner_.next_operation() != FaultFileSystem::Fate::kGo) return no_power();
    IOStatus status = call();
    if (status.ok()) owner_.note_sync(path_);
    return status;
  }

  FaultFileSystem& owner_;
  const std::string path_;
  const FileKind kind_;
};

// Written in place: the watermark.
class FaultRandomRWFile final : public rocksdb::FSRandomRWFileOwnerWrapper {
 public:
  FaultRandomRWFile(std::unique_ptr<rocksdb::FSRandomRWFile> file, FaultFileSystem& owner,
                    std::string path)
      : FSRandomRWFileOwnerWrapper(std::move(file)),
        target_(target()),
        owner_(owner),
        path_(std::move(path)),
        kind_(kind_of(path_)) {}

  IOStatus Write(std::uint64_t offset, const Slice& data, const IOOptions& options,
                 IODebugContext* debug) override {
    if (IOStatus status = owner_.before_write(kind_); !status.ok()) return status;
    const auto fate = owner_.next_operation();
    if (fate == FaultFileSystem::Fate::kDead) return no_power();
    IOStatus status = target_->Write(offset, data, options, debug);
    if (status.ok()) owner_.note_page_write(path_, offset, data.ToString());
    return fate == FaultFileSystem::Fate::kTorn ? no_power() : status;
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    if (IOStatus status = owner_.before_sync(kind_); !status.ok()) return status;
    if (owner_.next_operation() != FaultFileSystem::Fate::kGo) return no_power();
    IOStatus status = target_->Sync(options, debug);
    if (status.ok()) owner_.note_sync(path_);
    return status;
  }

 private:
  rocksdb::FSRandomRWFile* const target_;
  FaultFileSystem& owner_;
  const std::string path_;
  const FileKind kind_;
};

class FaultDirectory final : public rocksdb::FSDirectoryWrapper {
 public:
  FaultDirectory(std::unique_ptr<rocksdb::FSDirectory> directory, FaultFileSystem& owner,
                 std::string path)
      : FSDirectoryWrapper(directory.get()),
        directory_(std::move(directory)),
        owner_(owner),
        path_(std::move(path)) {}

  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    if (owner_.next_operation() != FaultFileSystem::Fate::kGo) return no_power();
    IOStatus status = directory_->Fsync(options, debug);
    if (status.ok()) owner_.note_directory_sync(path_);
    return status;
  }
  IOStatus FsyncWithDirOptions(const IOOptions& options, IODebugContext* debug,
                               const rocksdb::DirFsyncOptions&) override {
    return Fsync(options, debug);
  }

 private:
  const std::unique_ptr<rocksdb::FSDirectory> directory_;
  FaultFileSystem& owner_;
  const std::string path_;
};

}  // namespace

std::unique_ptr<rocksdb::FSWritableFile> with_faults(std::unique_ptr<rocksdb::FSWritableFile> file,
                                                     FaultFileSystem& owner, std::string path) {
  return std::make_unique<FaultWritableFile>(std::move(file), owner, std::move(path));
}

std::unique_ptr<rocksdb::FSRandomRWFile> with_faults(std::unique_ptr<rocksdb::FSRandomRWFile> file,
                                                     FaultFileSystem& owner, std::string path) {
  return std::make_unique<FaultRandomRWFile>(std::move(file), owner, std::move(path));
}

std::unique_ptr<rocksdb::FSDirectory> with_faults(std::unique_ptr<rocksdb::FSDirectory> directory,
                                                  FaultFileSystem& owner, std::string path) {
  return std::make_unique<FaultDirectory>(std::move(directory), owner, std::move(path));
}

}  // namespace andyx::storage::test
