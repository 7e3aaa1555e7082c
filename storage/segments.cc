#include "storage/segments.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/rocksdb_error.h"
#include "storage/wal_file.h"
#include "storage/wal_layout.h"

namespace andyx::storage {
namespace {

constexpr std::size_t kMostReaders = 64;  // files that are held open to be read
constexpr std::string_view kSuffix = ".log";

// "000012.log": 12; anything else: 0.
FileNumber number_of(std::string_view name) {
  if (!name.ends_with(kSuffix)) return 0;
  name.remove_suffix(kSuffix.size());
  FileNumber number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  return error == std::errc() && end == name.data() + name.size() ? number : 0;
}

std::string name_of(FileNumber file) {
  char name[32];
  std::snprintf(name, sizeof name, "%06llu.log", static_cast<unsigned long long>(file));
  return name;
}

std::unexpected<Error> too_short(const Place& place) {
  return fail(ErrorCode::kCorrupt, "segment " + name_of(place.file) + " has no " +
                                       std::to_string(place.size) + " bytes at " +
                                       std::to_string(wal::position(place.record, place.at)));
}

}  // namespace

Segments::Segments(std::shared_ptr<rocksdb::FileSystem> fs, std::string database, std::string kept,
                   std::function<void()> on_kept)
    : FileSystemWrapper(std::move(fs)),
      database_(std::move(database)),
      kept_(std::move(kept)),
      on_kept_(std::move(on_kept)) {}

Result<std::shared_ptr<Segments>> Segments::open(std::shared_ptr<rocksdb::FileSystem> fs,
                                                 std::string database, std::string kept,
                                                 std::function<void()> on_kept) {
  const auto made = fs->CreateDirIfMissing(kept, rocksdb::IOOptions(), nullptr);
  if (!made.ok()) return rocksdb_error(made, "create " + kept);
  std::shared_ptr<Segments> segments(
      new Segments(std::move(fs), std::move(database), std::move(kept), std::move(on_kept)));
  if (Status listed = segments->list(segments->database_, false); !listed)
    return std::unexpected(listed.error());
  if (Status listed = segments->list(segments->kept_, true); !listed)
    return std::unexpected(listed.error());
  if (Status synced = segments->sync_all(); !synced) return std::unexpected(synced.error());
  return segments;
}

// What a process left behind that was killed, or whose last sync failed, may be in the kernel's
// cache only. RocksDB writes the rows of what it recovers into tables of their own; the batches
// stay where they are.
Status Segments::sync_all() {
  const rocksdb::IOOptions io;
  bool any = false;
  for (const auto& [number, file] : files_) {
    if (file.kept) continue;
    any = true;
    const std::string path = database_ + "/" + name_of(number);
    std::unique_ptr<rocksdb::FSWritableFile> opened;
    auto status = target()->ReopenWritableFile(path, rocksdb::FileOptions(), &opened, nullptr);
    if (status.ok()) status = opened->Fsync(io, nullptr);
    if (status.ok()) status = opened->Close(io, nullptr);
    if (!status.ok()) return rocksdb_error(status, "sync " + path);
  }
  if (!any) return {};
  std::unique_ptr<rocksdb::FSDirectory> directory;
  auto status = target()->NewDirectory(database_, io, &directory, nullptr);
  if (status.ok()) status = directory->Fsync(io, nullptr);
  if (!status.ok()) return rocksdb_error(status, "sync the directory " + database_);
  return {};
}

Status Segments::list(const std::string& directory, bool kept) {
  const rocksdb::IOOptions io;
  std::vector<std::string> names;
  const auto listed = target()->GetChildren(directory, io, &names, nullptr);
  if (listed.IsNotFound()) return {};  // RocksDB has not made it yet
  if (!listed.ok()) return rocksdb_error(listed, "list " + directory);
  for (const std::string& name : names) {
    const FileNumber number = number_of(name);
    if (number == 0) continue;
    std::uint64_t bytes = 0;
    const auto sized = target()->GetFileSize(directory + "/" + name, io, &bytes, nullptr);
    if (!sized.ok()) return rocksdb_error(sized, "look at " + directory + "/" + name);
    files_[number] = {.bytes = bytes, .kept = kept, .reader = nullptr};
  }
  return {};
}

FileNumber Segments::wal_number(const std::string& path) const {
  const std::string_view view(path);
  if (!view.starts_with(database_) || view.size() <= database_.size() + 1) return 0;
  return number_of(view.substr(database_.size() + 1));
}

std::string Segments::kept_path(FileNumber file) const { return kept_ + "/" + name_of(file); }

Segments::Tail Segments::tail() const {
  const std::lock_guard lock(mutex_);
  if (files_.empty()) return {};
  return {files_.rbegin()->first, files_.rbegin()->second.bytes};
}

rocksdb::IOStatus Segments::NewWritableFile(const std::string& path,
                                            const rocksdb::FileOptions& options,
                                            std::unique_ptr<rocksdb::FSWritableFile>* file,
                                            rocksdb::IODebugContext* debug) {
  auto status = target()->NewWritableFile(path, options, file, debug);
  const FileNumber number = wal_number(path);
  if (!status.ok() || number == 0) return status;
  // This is the file system that RocksDB writes through: it outlives its files.
  *file = std::make_unique<WalFile>(
      std::move(*file), [this, number](std::uint64_t bytes) { appended(number, bytes); });
  const std::lock_guard lock(mutex_);
  files_[number] = {};
  return status;
}

void Segments::appended(FileNumber file, std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  files_[file].bytes += bytes;
}

rocksdb::IOStatus Segments::DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                                       rocksdb::IODebugContext* debug) {
  const FileNumber number = wal_number(path);
  if (number == 0) return target()->DeleteFile(path, options, debug);
  {
    const std::lock_guard lock(mutex_);  // nobody opens it halfway
    auto status = target()->RenameFile(path, kept_path(number), options, debug);
    if (!status.ok()) return status;
    files_[number].kept = true;
  }
  on_kept_();
  return rocksdb::IOStatus::OK();
}

Result<std::shared_ptr<rocksdb::FSRandomAccessFile>> Segments::reader(FileNumber file) {
  const std::lock_guard lock(mutex_);
  const auto found = files_.find(file);
  if (found == files_.end()) {
    return fail(ErrorCode::kCorrupt, "segment " + name_of(file) + " is missing");
  }
  if (found->second.reader) return found->second.reader;
  if (readers_ >= kMostReaders) {
    for (auto& [number, other] : files_) {
      if (other.reader.use_count() == 1) close_reader(other);  // not one who reads now: remove_some
    }
  }
  const std::string path = found->second.kept ? kept_path(file) : database_ + "/" + name_of(file);
  std::unique_ptr<rocksdb::FSRandomAccessFile> opened;
  const auto status = target()->NewRandomAccessFile(path, rocksdb::FileOptions(), &opened, nullptr);
  if (status.IsNotFound() || status.IsPathNotFound())
    return fail(ErrorCode::kCorrupt, "segment " + path + " is missing");
  if (!status.ok()) return rocksdb_error(status, "open " + path);
  found->second.reader = std::move(opened);
  ++readers_;
  return found->second.reader;
}

Result<SharedBytes> Segments::read(const Place& place) {
  if (place.size == 0) return too_short(place);
  const auto file = reader(place.file);
  if (!file) return std::unexpected(file.error());
  const std::uint64_t begin = wal::position(place.record, place.at);
  const std::size_t size = static_cast<std::size_t>(
      wal::position(place.record, std::uint64_t{place.at} + place.size - 1) + 1 - begin);
  SharedBytes bytes = SharedBytes::allocate(size);
  char* const data = reinterpret_cast<char*>(bytes.mutable_data());
  rocksdb::Slice got;
  const auto status = (*file)->Read(begin, size, rocksdb::IOOptions(), &got, data, nullptr);
  if (!status.ok()) return rocksdb_error(status, "read segment " + name_of(place.file));
  if (got.size() != size) return too_short(place);
  if (got.data() != data) std::memmove(data, got.data(), size);
  return bytes.slice(0, wal::strip_heads(data, size, begin));
}

void Segments::read_ahead(const Place& place, std::size_t bytes) {
  const auto file = reader(place.file);
  if (!file) return;  // the read will say it
  (*file)
      ->Prefetch(wal::position(place.record, place.at), bytes, rocksdb::IOOptions(), nullptr)
      .PermitUncheckedError();  // not every file system can
}

bool Segments::has(FileNumber file, std::uint64_t bytes) const {
  const std::lock_guard lock(mutex_);
  const auto found = files_.find(file);
  return found != files_.end() && found->second.bytes >= bytes;
}

std::uint64_t Segments::bytes() const {
  const std::lock_guard lock(mutex_);
  std::uint64_t all = 0;
  for (const auto& [number, file] : files_) all += file.bytes;
  return all;
}

std::map<FileNumber, std::uint64_t> Segments::kept() const {
  const std::lock_guard lock(mutex_);
  std::map<FileNumber, std::uint64_t> out;
  for (const auto& [number, file] : files_)
    if (file.kept) out.emplace(number, file.bytes);
  return out;
}

Result<bool> Segments::remove_some(FileNumber file, std::uint64_t bytes) {
  std::uint64_t left = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto found = files_.find(file);
    if (found == files_.end() || !found->second.kept) return true;
    File& segment = found->second;
    // Cut, it would fail one who is reading it; deleted, it is there until that one has done.
    const bool being_read = segment.reader.use_count() > 1;
    close_reader(segment);
    if (!being_read && segment.bytes > bytes) left = segment.bytes -= bytes;
    if (left == 0) files_.erase(found);
  }
  if (left != 0) {
    if (shrink(kept_path(file), left).ok()) return false;
    const std::lock_guard lock(mutex_);  // where it cannot be cut, it goes whole
    close_reader(files_[file]);
    files_.erase(file);
  }
  const auto status = target()->DeleteFile(kept_path(file), rocksdb::IOOptions(), nullptr);
  if (!status.ok() && !status.IsNotFound() && !status.IsPathNotFound())
    return rocksdb_error(status, "delete " + kept_path(file));
  return true;
}

void Segments::close_reader(File& file) {
  if (std::exchange(file.reader, nullptr)) --readers_;
}

rocksdb::IOStatus Segments::shrink(const std::string& path, std::uint64_t bytes) {
  const rocksdb::IOOptions io;
  std::unique_ptr<rocksdb::FSWritableFile> file;
  auto status = target()->ReopenWritableFile(path, rocksdb::FileOptions(), &file, nullptr);
  if (status.ok()) status = file->Truncate(bytes, io, nullptr);
  if (status.ok()) status = file->Close(io, nullptr);
  return status;
}

FileNumber Segments::settled_below() const {
  const FileNumber newest = tail().file;
  const FileNumber open = open_from_;
  return open == 0 ? newest : std::min(open, newest);
}

}  // namespace andyx::storage
