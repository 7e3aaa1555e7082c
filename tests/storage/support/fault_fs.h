// A file system for tests, over the real one: counts what is written, fails, delays and hangs
// calls, tells lies about free space, and loses power: from a chosen operation on everything fails,
// and lose_power() then leaves on the disk what a real one might have: all that was synced, and a
// random part of the rest. Directory entries count as unsynced until their directory is synced.
//
// Any thread. lose_power() only when nobody uses the files.
#pragma once

#include <rocksdb/file_system.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace andyx::storage::test {

enum class FileKind : std::uint8_t { kWal, kTable, kManifest, kWatermark, kOther };
inline constexpr std::size_t kFileKinds = 5;
FileKind kind_of(const std::string& path);

class FaultFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  // `graveyard`: a directory of the same device for files whose deletion is not synced yet.
  explicit FaultFileSystem(std::string graveyard, std::uint64_t seed = 1);
  const char* Name() const override { return "FaultFileSystem"; }

  // --- what happened
  std::uint64_t operations() const;  // that change something on the disk
  std::uint64_t written_bytes(FileKind kind) const { return written_[index(kind)]; }
  std::uint64_t syncs(FileKind kind) const { return syncs_[index(kind)]; }

  // --- faults
  void lose_power_at(std::uint64_t operation);  // this one is torn, all later ones fail
  bool power_lost() const;
  void lose_power();                          // now: what is unsynced goes
  void fail_syncs(FileKind kind, bool fail);  // EIO
  void fail_writes(FileKind kind, std::optional<rocksdb::IOStatus> with);
  void fail_writes_after(FileKind kind, std::uint64_t writes);  // "no space left"
  void hang_syncs(FileKind kind);
  void delay_syncs(FileKind kind, std::uint64_t ms);
  void wait_until_hanging();
  void release();  // the hanging ones go on
  void set_free_bytes(std::optional<std::uint64_t> bytes);

  // --- rocksdb::FileSystem
  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus ReopenWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                       std::unique_ptr<rocksdb::FSWritableFile>* file,
                                       rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewRandomRWFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSRandomRWFile>* file,
                                    rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewDirectory(const std::string& path, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* directory,
                                 rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus GetFreeSpace(const std::string& path, const rocksdb::IOOptions& options,
                                 std::uint64_t* bytes, rocksdb::IODebugContext* debug) override;

  // --- for the file wrappers
  enum class Fate : std::uint8_t { kGo, kTorn, kDead };
  Fate next_operation();
  rocksdb::IOStatus before_write(FileKind kind);
  rocksdb::IOStatus before_sync(FileKind kind);
  std::size_t torn_size(std::size_t size);
  void note_append(const std::string& path, std::size_t bytes);
  // Where there were zeros, or nothing.
  void note_write_over_zeros(const std::string& path, std::uint64_t offset, std::size_t bytes);
  void note_truncate(const std::string& path, std::uint64_t size);
  void note_sync(const std::string& path);
  void note_page_write(const std::string& path, std::uint64_t offset, const std::string& bytes);
  void note_directory_sync(const std::string& path);

 private:
  struct PageWrite {
    std::uint64_t offset = 0;
    std::string bytes;
  };
  struct FileState {
    std::uint64_t size = 0;
    std::uint64_t synced = 0;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> over_zeros;  // not synced: from, to
    bool paged = false;  // written in place: the two below count, not the two above
    std::string durable;
    std::vector<PageWrite> pending;
  };
  struct DirectoryChange {
    std::string directory;
    std::function<void()> undo;
    std::function<void()> settle;  // it is on the disk
  };

  static std::size_t index(FileKind kind) { return static_cast<std::size_t>(kind); }
  std::optional<FileState> take_state(const std::string& path);
  void put_state(const std::string& path, std::optional<FileState> state);
  std::string bury(const std::string& path);  // moves a file to the graveyard
  void lose_unsynced_bytes(const std::string& path, const FileState& state);
  void lose_pages_over_zeros(const std::string& path, const FileState& state);

  const std::string graveyard_;
  std::array<std::atomic<std::uint64_t>, kFileKinds> written_{};
  std::array<std::atomic<std::uint64_t>, kFileKinds> syncs_{};

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::mt19937_64 random_;
  std::uint64_t operations_ = 0;
  std::uint64_t power_lost_at_ = ~std::uint64_t{0};
  std::uint64_t buried_ = 0;
  std::array<bool, kFileKinds> failing_syncs_{};
  std::array<std::optional<rocksdb::IOStatus>, kFileKinds> failing_writes_{};
  std::array<std::uint64_t, kFileKinds> writes_left_{};  // before they fail
  std::array<bool, kFileKinds> hanging_syncs_{};
  std::array<std::uint64_t, kFileKinds> delay_ms_{};
  std::size_t hanging_ = 0;
  std::optional<std::uint64_t> free_bytes_;
  std::map<std::string, FileState> files_;
  std::vector<DirectoryChange> changes_;
};

}  // namespace andyx::storage::test
