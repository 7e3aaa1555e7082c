// Commands the disk of a server process through disk_shim.cc: syncs that hang, fail or are slow,
// and loss of power after a kill -9. One for each data directory; one thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace andyx::test::fault {

enum class DiskMode : std::uint32_t { kGood, kHang, kFail, kSlow };

// Both sides map it.
struct DiskControl {
  std::atomic<DiskMode> mode{DiskMode::kGood};
  std::atomic<std::uint32_t> delay_us{0};  // of each sync, with kSlow
};
struct SyncedFile {
  std::uint64_t inode = 0;
  std::uint64_t size_bytes = 0;     // durable up to here
  std::uint64_t written_bytes = 0;  // from here on it was zeros, which writes may replace
};

class Disk {
 public:
  // `directory` is made; it holds the two files. `shim`: the library to preload; empty: no
  // commands.
  Disk(std::string directory, std::string shim);
  ~Disk();
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  bool commands() const { return control_ != nullptr; }
  std::vector<std::string> environment() const;  // of the server's process

  void set(DiskMode mode, std::uint32_t delay_us = 0);
  // Only when no process uses `data_dir`: a random part of what was never synced goes, always from
  // the end of a file, or of what was written over its zeros. Files that are written in place
  // otherwise keep all of it. Bytes lost.
  std::uint64_t lose_power(const std::string& data_dir, std::mt19937_64& random) const;

 private:
  const std::string directory_, shim_;
  DiskControl* control_ = nullptr;
};

}  // namespace andyx::test::fault
