#include "storage/data_directory.h"

#include <rocksdb/file_system.h>
#include <xxhash.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <utility>

#include "storage/rocksdb_error.h"

namespace andyx::storage {
namespace {

constexpr std::string_view kFormatWords = "andyx storage format ";

// Two lines that every version keeps: the version, and the checksum of the first line.
std::string format_text(int version) {
  const std::string line = std::string(kFormatWords) + std::to_string(version) + "\n";
  std::array<char, 20> checksum;
  std::snprintf(checksum.data(), checksum.size(), "%016llx\n",
                static_cast<unsigned long long>(XXH3_64bits(line.data(), line.size())));
  return line + checksum.data();
}

}  // namespace

DataDirectory::DataDirectory(std::shared_ptr<rocksdb::FileSystem> fs, std::string path)
    : fs_(std::move(fs)), path_(std::move(path)) {}

void DataDirectory::unlock() {
  if (lock_ == nullptr) return;
  fs_->UnlockFile(std::exchange(lock_, nullptr), rocksdb::IOOptions(), nullptr)
      .PermitUncheckedError();
}

Result<std::unique_ptr<DataDirectory>> DataDirectory::open(std::shared_ptr<rocksdb::FileSystem> fs,
                                                           const std::string& path) {
  const rocksdb::IOOptions io;
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (const auto made = fs->CreateDirIfMissing(part, io, nullptr); !made.ok()) {
      return rocksdb_error(made, "create the data directory " + part);
    }
    if (slash == std::string::npos) break;
  }
  std::unique_ptr<DataDirectory> directory(new DataDirectory(std::move(fs), path));
  const auto locked = directory->fs_->LockFile(path + "/LOCK", io, &directory->lock_, nullptr);
  if (!locked.ok()) {
    directory->lock_ = nullptr;
    return fail(
        ErrorCode::kDataDirLocked,
        "the data directory " + path + " is in use by another process: " + locked.ToString());
  }
  if (Status format = directory->read_format(); !format) return std::unexpected(format.error());
  return directory;
}

Status DataDirectory::read_format() {
  const rocksdb::IOOptions io;
  const std::string file = path_ + "/FORMAT";
  if (fs_->FileExists(file, io, nullptr).IsNotFound()) return {};
  std::unique_ptr<rocksdb::FSSequentialFile> reader;
  auto status = fs_->NewSequentialFile(file, rocksdb::FileOptions(), &reader, nullptr);
  if (!status.ok()) return rocksdb_error(status, "open " + file);
  std::array<char, 256> scratch;
  rocksdb::Slice read;
  status = reader->Read(scratch.size(), io, &read, scratch.data(), nullptr);
  if (!status.ok()) return rocksdb_error(status, "read " + file);

  const std::string_view text = read.ToStringView();
  int version = 0;
  if (text.starts_with(kFormatWords)) {
    const char* number = text.data() + kFormatWords.size();
    std::from_chars(number, text.data() + text.size(), version);
  }
  if (version <= 0 || !text.starts_with(format_text(version))) {
    return fail(ErrorCode::kCorrupt, file + " is damaged");
  }
  if (version > kFormatVersion) {
    return fail(ErrorCode::kDataDirVersion,
                path_ + " was written in format " + std::to_string(version) +
                    ", this program knows up to " + std::to_string(kFormatVersion));
  }
  if (text.size() != format_text(version).size()) {
    return fail(ErrorCode::kCorrupt, file + " is damaged");
  }
  formatted_ = true;
  return version < kFormatVersion ? mark_formatted() : Status{};
}

Status DataDirectory::mark_formatted() {
  const rocksdb::IOOptions io;
  if (Status made = write_file(path_ + "/FORMAT.tmp", format_text(kFormatVersion)); !made)
    return made;
  const auto renamed = fs_->RenameFile(path_ + "/FORMAT.tmp", path_ + "/FORMAT", io, nullptr);
  if (!renamed.ok()) return rocksdb_error(renamed, "rename FORMAT.tmp in " + path_);
  formatted_ = true;
  return sync();
}

Status DataDirectory::write_file(const std::string& path, const std::string& bytes) {
  const rocksdb::IOOptions io;
  std::unique_ptr<rocksdb::FSWritableFile> file;
  auto status = fs_->NewWritableFile(path, rocksdb::FileOptions(), &file, nullptr);
  if (status.ok()) status = file->Append(bytes, io, nullptr);
  if (status.ok()) status = file->Sync(io, nullptr);
  if (status.ok()) status = file->Close(io, nullptr);
  if (!status.ok()) return rocksdb_error(status, "write " + path);
  return {};
}

Status DataDirectory::sync_directory(const std::string& path) {
  const rocksdb::IOOptions io;
  std::unique_ptr<rocksdb::FSDirectory> directory;
  auto status = fs_->NewDirectory(path, io, &directory, nullptr);
  if (status.ok()) status = directory->Fsync(io, nullptr);
  if (!status.ok()) return rocksdb_error(status, "sync the directory " + path);
  return {};
}

Status DataDirectory::sync() { return sync_directory(path_); }

void DataDirectory::remove_cut_file(const std::string& name) {
  // One that stays says too much, and does no harm.
  fs_->DeleteFile(path_ + "/cut/" + name, rocksdb::IOOptions(), nullptr).PermitUncheckedError();
}

Result<std::unique_ptr<CutFile>> DataDirectory::create_cut_file(const std::string& name) {
  const std::string folder = path_ + "/cut";
  const auto made = fs_->CreateDirIfMissing(folder, rocksdb::IOOptions(), nullptr);
  if (!made.ok()) return rocksdb_error(made, "create " + folder);
  std::unique_ptr<rocksdb::FSWritableFile> file;
  const auto opened =
      fs_->NewWritableFile(folder + "/" + name, rocksdb::FileOptions(), &file, nullptr);
  if (!opened.ok()) return rocksdb_error(opened, "create " + folder + "/" + name);
  return std::unique_ptr<CutFile>(new CutFile(*this, folder + "/" + name, std::move(file)));
}

CutFile::CutFile(DataDirectory& directory, std::string path,
                 std::unique_ptr<rocksdb::FSWritableFile> file)
    : directory_(directory), path_(std::move(path)), file_(std::move(file)) {}

CutFile::~CutFile() {
  if (finished_) return;
  file_.reset();
  directory_.fs_->DeleteFile(path_, rocksdb::IOOptions(), nullptr).PermitUncheckedError();
}

Status CutFile::append(ByteSpan bytes) {
  const rocksdb::Slice slice(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto status = file_->Append(slice, rocksdb::IOOptions(), nullptr);
  if (!status.ok()) return rocksdb_error(status, "write " + path_);
  return {};
}

Status CutFile::finish() {
  const rocksdb::IOOptions io;
  auto status = file_->Sync(io, nullptr);
  if (status.ok()) status = file_->Close(io, nullptr);
  if (!status.ok()) return rocksdb_error(status, "sync " + path_);
  finished_ = true;
  if (Status synced = directory_.sync_directory(directory_.path_ + "/cut"); !synced) return synced;
  return directory_.sync();
}

Result<std::uint64_t> DataDirectory::free_bytes() const {
  std::uint64_t free = 0;
  const auto status = fs_->GetFreeSpace(path_, rocksdb::IOOptions(), &free, nullptr);
  if (!status.ok()) return rocksdb_error(status, "free space of " + path_);
  return free;
}

}  // namespace andyx::storage
