#include "tests/storage/support/fault_fs.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "tests/storage/support/fault_files.h"

namespace andyx::storage::test {
namespace {

namespace fs = std::filesystem;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

constexpr std::uint64_t kPageBytes = 4096;
constexpr std::uint64_t kSectorBytes = 512;

std::string folder_of(const std::string& path) { return fs::path(path).parent_path().string(); }

std::string contents_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

void write_at(std::string& contents, std::uint64_t offset, const std::string& bytes) {
  if (contents.size() < offset + bytes.size()) contents.resize(offset + bytes.size());
  contents.replace(offset, bytes.size(), bytes);
}

std::string without_trailing_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

}  // namespace

FileKind kind_of(const std::string& path) {
  if (path.ends_with(".log")) return FileKind::kWal;
  if (path.ends_with(".sst")) return FileKind::kTable;
  if (path.ends_with("/watermark")) return FileKind::kWatermark;
  if (path.find("/MANIFEST-") != std::string::npos) return FileKind::kManifest;
  return FileKind::kOther;
}

FaultFileSystem::FaultFileSystem(std::string graveyard, std::uint64_t seed)
    : FileSystemWrapper(rocksdb::FileSystem::Default()),
      graveyard_(std::move(graveyard)),
      random_(seed) {
  fs::create_directories(graveyard_);
}

std::uint64_t FaultFileSystem::operations() const {
  const std::lock_guard lock(mutex_);
  return operations_;
}

void FaultFileSystem::lose_power_at(std::uint64_t operation) {
  const std::lock_guard lock(mutex_);
  power_lost_at_ = operation;
}

bool FaultFileSystem::power_lost() const {
  const std::lock_guard lock(mutex_);
  return operations_ > power_lost_at_;
}

void FaultFileSystem::fail_syncs(FileKind kind, bool fail) {
  const std::lock_guard lock(mutex_);
  failing_syncs_[index(kind)] = fail;
}

void FaultFileSystem::fail_writes(FileKind kind, std::optional<IOStatus> with) {
  const std::lock_guard lock(mutex_);
  failing_writes_[index(kind)] = std::move(with);
  writes_left_[index(kind)] = 0;
}

void FaultFileSystem::fail_writes_after(FileKind kind, std::uint64_t writes) {
  const std::lock_guard lock(mutex_);
  failing_writes_[index(kind)] = rocksdb::IOStatus::NoSpace("injected");
  writes_left_[index(kind)] = writes;
}

void FaultFileSystem::hang_syncs(FileKind kind) {
  const std::lock_guard lock(mutex_);
  hanging_syncs_[index(kind)] = true;
}

void FaultFileSystem::delay_syncs(FileKind kind, std::uint64_t ms) {
  const std::lock_guard lock(mutex_);
  delay_ms_[index(kind)] = ms;
}

void FaultFileSystem::wait_until_hanging() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return hanging_ > 0; });
}

void FaultFileSystem::release() {
  const std::lock_guard lock(mutex_);
  hanging_syncs_ = {};
  changed_.notify_all();
}

void FaultFileSystem::set_free_bytes(std::optional<std::uint64_t> bytes) {
  const std::lock_guard lock(mutex_);
  free_bytes_ = bytes;
}

FaultFileSystem::Fate FaultFileSystem::next_operation() {
  const std::lock_guard lock(mutex_);
  const std::uint64_t operation = operations_++;
  if (operation < power_lost_at_) return Fate::kGo;
  return operation == power_lost_at_ ? Fate::kTorn : Fate::kDead;
}

IOStatus FaultFileSystem::before_write(FileKind kind) {
  const std::lock_guard lock(mutex_);
  if (writes_left_[index(kind)] > 0) {
    --writes_left_[index(kind)];
    return IOStatus::OK();
  }
  return failing_writes_[index(kind)].value_or(IOStatus::OK());
}

IOStatus FaultFileSystem::before_sync(FileKind kind) {
  std::uint64_t delay_ms = 0;
  {
    std::unique_lock lock(mutex_);
    if (hanging_syncs_[index(kind)]) {
      ++hanging_;
      changed_.notify_all();
      changed_.wait(lock, [&] { return !hanging_syncs_[index(kind)]; });
      --hanging_;
    }
    delay_ms = delay_ms_[index(kind)];
    if (failing_syncs_[index(kind)]) return IOStatus::IOError("Input/output error (injected)");
  }
  if (delay_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
  ++syncs_[index(kind)];
  return IOStatus::OK();
}

std::size_t FaultFileSystem::torn_size(std::size_t size) {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(random_() % (size + 1));
}

void FaultFileSystem::note_append(const std::string& path, std::size_t bytes) {
  written_[index(kind_of(path))] += bytes;
  const std::lock_guard lock(mutex_);
  files_[path].size += bytes;
}

void FaultFileSystem::note_write_over_zeros(const std::string& path, std::uint64_t offset,
                                            std::size_t bytes) {
  written_[index(kind_of(path))] += bytes;
  const std::lock_guard lock(mutex_);
  FileState& state = files_[path];
  state.size = std::max(state.size, offset + bytes);
  state.over_zeros.emplace_back(offset, offset + bytes);
}

void FaultFileSystem::note_truncate(const std::string& path, std::uint64_t size) {
  const std::lock_guard lock(mutex_);
  FileState& state = files_[path];
  state.size = size;
  state.synced = std::min(state.synced, size);
}

void FaultFileSystem::note_sync(const std::string& path) {
  const std::lock_guard lock(mutex_);
  FileState& state = files_[path];
  state.synced = state.size;
  state.over_zeros.clear();
  for (const PageWrite& write : state.pending) {
    write_at(state.durable, write.offset, write.bytes);
  }
  state.pending.clear();
}

void FaultFileSystem::note_page_write(const std::string& path, std::uint64_t offset,
                                      const std::string& bytes) {
  written_[index(kind_of(path))] += bytes.size();
  const std::lock_guard lock(mutex_);
  // A page at a time reaches the disk, in any order.
  for (std::uint64_t at = 0; at < bytes.size();) {
    const std::uint64_t room = kPageBytes - (offset + at) % kPageBytes;
    files_[path].pending.push_back({offset + at, bytes.substr(at, room)});
    at += room;
  }
}

void FaultFileSystem::note_directory_sync(const std::string& path) {
  const std::lock_guard lock(mutex_);
  for (const DirectoryChange& change : changes_) {
    if (change.directory == path && change.settle) change.settle();
  }
  std::erase_if(changes_, [&](const DirectoryChange& change) { return change.directory == path; });
}

IOStatus FaultFileSystem::NewWritableFile(const std::string& path,
                                          const rocksdb::FileOptions& options,
                                          std::unique_ptr<rocksdb::FSWritableFile>* file,
                                          IODebugContext* debug) {
  if (next_operation() != Fate::kGo) return no_power();
  const bool existed = fs::exists(path);
  std::unique_ptr<rocksdb::FSWritableFile> inner;
  IOStatus status = target()->NewWritableFile(path, options, &inner, debug);
  if (!status.ok()) return status;
  {
    const std::lock_guard lock(mutex_);
    files_[path] = {};
    if (!existed) {
      changes_.push_back({folder_of(path),
                          [this, path] {
                            fs::remove(path);
                            files_.erase(path);
                          },
                          {}});
    }
  }
  *file = with_faults(std::move(inner), *this, path);
  return status;
}

IOStatus FaultFileSystem::ReopenWritableFile(const std::string& path,
                                             const rocksdb::FileOptions& options,
                                             std::unique_ptr<rocksdb::FSWritableFile>* file,
                                             IODebugContext* debug) {
  if (power_lost()) return no_power();
  std::unique_ptr<rocksdb::FSWritableFile> inner;
  IOStatus status = target()->ReopenWritableFile(path, options, &inner, debug);
  if (!status.ok()) return status;
  const std::uint64_t size = fs::file_size(path);
  {
    const std::lock_guard lock(mutex_);
    files_.try_emplace(path, FileState{.size = size, .synced = size});  // it outlived the power
  }
  *file = with_faults(std::move(inner), *this, path);
  return status;
}

IOStatus FaultFileSystem::NewRandomRWFile(const std::string& path,
                                          const rocksdb::FileOptions& options,
                                          std::unique_ptr<rocksdb::FSRandomRWFile>* file,
                                          IODebugContext* debug) {
  std::unique_ptr<rocksdb::FSRandomRWFile> inner;
  IOStatus status = target()->NewRandomRWFile(path, options, &inner, debug);
  if (!status.ok()) return status;
  {
    const std::lock_guard lock(mutex_);
    FileState& state = files_[path];
    if (!state.paged) {
      state.paged = true;
      state.durable = contents_of(path);
    }
  }
  *file = with_faults(std::move(inner), *this, path);
  return status;
}

IOStatus FaultFileSystem::NewDirectory(const std::string& path, const IOOptions& options,
                                       std::unique_ptr<rocksdb::FSDirectory>* directory,
                                       IODebugContext* debug) {
  std::unique_ptr<rocksdb::FSDirectory> inner;
  IOStatus status = target()->NewDirectory(path, options, &inner, debug);
  if (status.ok()) {
    *directory = with_faults(std::move(inner), *this, without_trailing_slash(path));
  }
  return status;
}

std::string FaultFileSystem::bury(const std::string& path) {
  const std::string grave = graveyard_ + "/" + std::to_string(buried_++);
  fs::rename(path, grave);
  return grave;
}

IOStatus FaultFileSystem::DeleteFile(const std::string& path, const IOOptions&, IODebugContext*) {
  if (next_operation() != Fate::kGo) return no_power();
  const std::lock_guard lock(mutex_);
  if (!fs::exists(path)) return IOStatus::PathNotFound(path);
  const std::string grave = bury(path);
  changes_.push_back({folder_of(path), [grave, path] { fs::rename(grave, path); },
                      [grave] { fs::remove(grave); }});
  return IOStatus::OK();
}

std::optional<FaultFileSystem::FileState> FaultFileSystem::take_state(const std::string& path) {
  auto state = files_.extract(path);
  if (state.empty()) return {};
  return std::move(state.mapped());
}

void FaultFileSystem::put_state(const std::string& path, std::optional<FileState> state) {
  if (state) files_[path] = std::move(*state);
}

IOStatus FaultFileSystem::RenameFile(const std::string& from, const std::string& to,
                                     const IOOptions& options, IODebugContext* debug) {
  if (next_operation() != Fate::kGo) return no_power();
  const std::lock_guard lock(mutex_);
  std::string grave;
  if (fs::exists(to)) grave = bury(to);
  IOStatus status = target()->RenameFile(from, to, options, debug);
  if (!status.ok()) return status;
  // What nobody has written since the power was lost is on the disk as it is.
  const auto replaced = take_state(to);
  put_state(to, take_state(from));
  changes_.push_back({folder_of(to),
                      [this, from, to, grave, replaced] {
                        fs::rename(to, from);
                        put_state(from, take_state(to));
                        if (!grave.empty()) fs::rename(grave, to);
                        put_state(to, replaced);
                      },
                      [grave] {
                        if (!grave.empty()) fs::remove(grave);
                      }});
  return status;
}

IOStatus FaultFileSystem::GetFreeSpace(const std::string& path, const IOOptions& options,
                                       std::uint64_t* bytes, IODebugContext* debug) {
  {
    const std::lock_guard lock(mutex_);
    if (free_bytes_) {
      *bytes = *free_bytes_;
      return IOStatus::OK();
    }
  }
  return target()->GetFreeSpace(path, options, bytes, debug);
}

// What was written since the last sync is on the disk in part, or not, or as zeros.
void FaultFileSystem::lose_unsynced_bytes(const std::string& path, const FileState& state) {
  if (state.paged) {
    std::string contents = state.durable;
    std::uint64_t end = contents.size();
    for (const PageWrite& write : state.pending) {
      end = std::max<std::uint64_t>(end, write.offset + write.bytes.size());
    }
    for (std::uint64_t page = 0; page < end; page += kPageBytes) {
      const std::size_t reached = random_() % (state.pending.size() + 1);
      for (std::size_t i = 0; i < reached; ++i) {
        const PageWrite& write = state.pending[i];
        if (write.offset < page || write.offset >= page + kPageBytes) continue;
        write_at(contents, write.offset, write.bytes);
      }
    }
    std::ofstream(path, std::ios::binary | std::ios::trunc) << contents;
    return;
  }
  const std::uint64_t unsynced = state.size - state.synced;
  const std::uint64_t kept = unsynced == 0 ? 0 : random_() % (unsynced + 1);
  const bool zeros =
      random_() % 3 == 0;  // the size reached the disk, whole sectors of data did not
  std::uint64_t end = state.synced + kept;
  if (zeros) end = std::max(state.synced, end - end % kSectorBytes);
  fs::resize_file(path, end);
  if (zeros) fs::resize_file(path, end + random_() % (state.size - end + 1));
  lose_pages_over_zeros(path, state);
}

// Each page has reached the disk or not, in any order: all of them, none, or some.
void FaultFileSystem::lose_pages_over_zeros(const std::string& path, const FileState& state) {
  if (state.over_zeros.empty()) return;
  const std::uint64_t size = fs::file_size(path);
  const std::uint64_t lost_of_2 = random_() % 3;
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  for (auto [at, to] : state.over_zeros) {
    for (to = std::min(to, size); at < to;) {
      const std::uint64_t end = std::min(to, at + kPageBytes - at % kPageBytes);
      if (random_() % 2 < lost_of_2) {
        file.seekp(static_cast<std::streamoff>(at));
        file << std::string(end - at, '\0');
      }
      at = end;
    }
  }
}

void FaultFileSystem::lose_power() {
  const std::lock_guard lock(mutex_);
  const std::size_t reached = random_() % (changes_.size() + 1);
  while (changes_.size() > reached) {
    changes_.back().undo();
    changes_.pop_back();
  }
  for (const auto& [path, state] : files_) {
    if (fs::exists(path)) lose_unsynced_bytes(path, state);
  }
  files_.clear();
  changes_.clear();
  power_lost_at_ = ~std::uint64_t{0};
  operations_ = 0;
}

}  // namespace andyx::storage::test
