#include "tests/fault/cluster/disk_control.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <new>
#include <unordered_map>
#include <utility>

#include "tests/integration/support/temp_dir.h"

namespace andyx::test::fault {
namespace {

namespace fs = std::filesystem;

// By inode the longest that was synced. An inode that was used again may count for more than its
// new file had: less is lost then than could be, never more.
std::unordered_map<std::uint64_t, SyncedFile> synced_files(const std::string& path) {
  std::unordered_map<std::uint64_t, SyncedFile> files;
  const std::string journal = read_file(path);
  for (std::size_t at = 0; at + sizeof(SyncedFile) <= journal.size(); at += sizeof(SyncedFile)) {
    SyncedFile file;
    std::memcpy(&file, journal.data() + at, sizeof file);
    SyncedFile& most = files[file.inode];
    most.size_bytes = std::max(most.size_bytes, file.size_bytes);
    most.written_bytes = std::max(most.written_bytes, file.written_bytes);
  }
  return files;
}

// Zeros again, from somewhere behind `durable` to the end of what is no zero. Bytes lost.
std::uint64_t lose_over_zeros(const std::string& path, std::uint64_t durable,
                              std::mt19937_64& random) {
  const std::string bytes = read_file(path);
  const std::uint64_t end = bytes.find_last_not_of('\0') + 1;
  if (end <= durable) return 0;
  const std::uint64_t kept = durable + random() % (end - durable + 1);
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(kept));
  file << std::string(end - kept, '\0');
  return end - kept;
}

// RocksDB's own diary and its lock promise nothing.
bool matters(const std::string& name) {
  return name != "LOCK" && name != "lock" && !name.starts_with("LOG");
}

}  // namespace

Disk::Disk(std::string directory, std::string shim)
    : directory_(std::move(directory)), shim_(std::move(shim)) {
  if (shim_.empty()) return;
  fs::create_directories(directory_);
  write_file(directory_ + "/control", std::string(sizeof(DiskControl), '\0'));
  write_file(directory_ + "/synced", "");
  const int fd = open((directory_ + "/control").c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(fd >= 0);
  void* mapped = mmap(nullptr, sizeof(DiskControl), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  REQUIRE(mapped != MAP_FAILED);
  control_ = new (mapped) DiskControl;
}

Disk::~Disk() {
  if (control_ != nullptr) munmap(control_, sizeof(DiskControl));
}

std::vector<std::string> Disk::environment() const {
  if (shim_.empty()) return {};
  return {"LD_PRELOAD=" + shim_, "DISK_SHIM_DIR=" + directory_};
}

void Disk::set(DiskMode mode, std::uint32_t delay_us) {
  control_->delay_us = delay_us;
  control_->mode = mode;
}

std::uint64_t Disk::lose_power(const std::string& data_dir, std::mt19937_64& random) const {
  const auto synced = synced_files(directory_ + "/synced");
  std::uint64_t lost = 0;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(data_dir)) {
    if (!entry.is_regular_file() || !matters(entry.path().filename().string())) continue;
    struct stat file{};
    if (stat(entry.path().c_str(), &file) != 0) continue;
    const auto size = static_cast<std::uint64_t>(file.st_size);
    const auto known = synced.find(file.st_ino);
    const SyncedFile durable = known == synced.end() ? SyncedFile() : known->second;
    if (size > durable.size_bytes) {
      const std::uint64_t kept = durable.size_bytes + random() % (size - durable.size_bytes + 1);
      fs::resize_file(entry.path(), kept);
      lost += size - kept;
    }
    lost += lose_over_zeros(entry.path(), durable.written_bytes, random);
  }
  return lost;
}

}  // namespace andyx::test::fault
