// For LD_PRELOAD: what the disk of one process does, commanded through files in DISK_SHIM_DIR.
// `control` holds a DiskControl. `synced` gets a SyncedFile for every sync that succeeded: after a
// kill -9 the tester cuts off what was never synced, as a loss of power would have
// (disk_control.cc).
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <string>
#include <unordered_map>

#include "tests/fault/cluster/disk_control.h"

namespace {

using andyx::test::fault::DiskControl;
using andyx::test::fault::DiskMode;
using andyx::test::fault::SyncedFile;

constexpr useconds_t kLookAgainUs = 5'000;

DiskControl* control = nullptr;
int synced_fd = -1;

// Before main: the files are there by then.
[[gnu::constructor]] void open_files() {
  const char* directory = getenv("DISK_SHIM_DIR");
  if (directory == nullptr) return;
  const std::string at(directory);
  const int fd = open((at + "/control").c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void* mapped = mmap(nullptr, sizeof(DiskControl), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (mapped == MAP_FAILED) return;
  control = static_cast<DiskControl*>(mapped);
  synced_fd = open((at + "/synced").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
}

// By inode, of files that are written in place: the end of what is no zero.
struct WrittenEnds {
  std::mutex mutex;
  std::unordered_map<ino_t, std::uint64_t> ends;
};
WrittenEnds& written() {
  static auto* ends = new WrittenEnds;  // never destroyed: threads write until the process is gone
  return *ends;
}

void note_written(int fd, const void* bytes, std::uint64_t offset, ssize_t count) {
  const auto* first = static_cast<const char*>(bytes);
  if (synced_fd < 0 || count <= 0) return;
  if (*first == 0 && std::memcmp(first, first + 1, static_cast<std::size_t>(count) - 1) == 0)
    return;
  struct stat file{};
  if (fstat(fd, &file) != 0 || !S_ISREG(file.st_mode)) return;
  const std::lock_guard lock(written().mutex);
  std::uint64_t& end = written().ends[file.st_ino];
  end = std::max(end, offset + static_cast<std::uint64_t>(count));
}

std::uint64_t written_end(const struct stat& file) {
  const std::lock_guard lock(written().mutex);
  const auto known = written().ends.find(file.st_ino);
  return known == written().ends.end() ? static_cast<std::uint64_t>(file.st_size) : known->second;
}

// False: the call fails. Hangs as long as it is told to.
bool commanded() {
  if (control == nullptr) return true;
  while (control->mode.load() == DiskMode::kHang) usleep(kLookAgainUs);
  if (control->mode.load() == DiskMode::kFail) {
    errno = EIO;
    return false;
  }
  if (control->mode.load() == DiskMode::kSlow) usleep(control->delay_us.load());
  return true;
}

int sync_with(int (*call)(int), int fd) {
  if (!commanded()) return -1;
  // What is appended while the disk works may miss it: the size of before counts.
  struct stat before{};
  const bool known = synced_fd >= 0 && fstat(fd, &before) == 0 && S_ISREG(before.st_mode);
  const std::uint64_t end = known ? written_end(before) : 0;
  const int result = call(fd);
  if (result == 0 && known) {
    const SyncedFile file{.inode = before.st_ino,
                          .size_bytes = static_cast<std::uint64_t>(before.st_size),
                          .written_bytes = end};
    // One write of a few bytes at the end of a file is never torn by a kill.
    if (write(synced_fd, &file, sizeof file) != sizeof file) abort();
  }
  return result;
}

}  // namespace

extern "C" {

// Under both names: which one a library calls is a matter of how it was built.
ssize_t shim_pwrite(int fd, const void* bytes, size_t count, off_t offset) __asm__("pwrite");
ssize_t shim_pwrite64(int fd, const void* bytes, size_t count, off_t offset) __asm__("pwrite64");

ssize_t shim_pwrite64(int fd, const void* bytes, size_t count, off_t offset) {
  static const auto call =
      reinterpret_cast<ssize_t (*)(int, const void*, size_t, off_t)>(dlsym(RTLD_NEXT, "pwrite64"));
  const ssize_t done = call(fd, bytes, count, offset);
  note_written(fd, bytes, static_cast<std::uint64_t>(offset), done);
  return done;
}

ssize_t shim_pwrite(int fd, const void* bytes, size_t count, off_t offset) {
  return shim_pwrite64(fd, bytes, count, offset);
}

int fsync(int fd) {
  static const auto call = reinterpret_cast<int (*)(int)>(dlsym(RTLD_NEXT, "fsync"));
  return sync_with(call, fd);
}

int fdatasync(int fd) {
  static const auto call = reinterpret_cast<int (*)(int)>(dlsym(RTLD_NEXT, "fdatasync"));
  return sync_with(call, fd);
}
}
