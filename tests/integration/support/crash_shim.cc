// For LD_PRELOAD: kills the process (SIGKILL) just before one of its calls to the file system, the
// n-th that opens for writing, syncs, renames, removes, makes a directory or cuts a file. Counts
// them and writes down which each was (crash_plan.h).
#undef _FILE_OFFSET_BITS  // else the headers make one of open and open64
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/integration/support/crash_plan.h"

namespace {

using andyx::test::CrashPlan;
using andyx::test::FileCall;

std::atomic<CrashPlan*> plan{nullptr};

template <typename Call>
Call next(const char* name) {
  return reinterpret_cast<Call>(dlsym(RTLD_NEXT, name));
}

// Before main: the file is there by then.
[[gnu::constructor]] void open_plan() {
  const char* path = getenv("CRASH_SHIM_FILE");
  const int fd = path == nullptr ? -1 : open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void* mapped = mmap(nullptr, sizeof(CrashPlan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (mapped != MAP_FAILED) plan = static_cast<CrashPlan*>(mapped);
}

void before(FileCall kind) {
  CrashPlan* now = plan.load();
  if (now == nullptr) return;
  const std::uint32_t number = ++now->calls;
  if (number <= CrashPlan::kMostCalls) now->kinds[number - 1] = kind;
  if (number != now->dies_before) return;
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

bool writes(int flags) { return (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) != 0; }

mode_t mode_of(int flags, va_list arguments) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  if (writes(flags)) before(FileCall::kOpen);
  static const auto call = next<int (*)(const char*, int, ...)>("open");
  return call(path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  if (writes(flags)) before(FileCall::kOpen);
  static const auto call = next<int (*)(const char*, int, ...)>("open64");
  return call(path, flags, mode);
}

int fsync(int fd) {
  before(FileCall::kSync);
  static const auto call = next<int (*)(int)>("fsync");
  return call(fd);
}

int fdatasync(int fd) {
  before(FileCall::kSync);
  static const auto call = next<int (*)(int)>("fdatasync");
  return call(fd);
}

int rename(const char* from, const char* to) noexcept {
  before(FileCall::kRename);
  static const auto call = next<int (*)(const char*, const char*)>("rename");
  return call(from, to);
}

int unlink(const char* path) noexcept {
  before(FileCall::kRemove);
  static const auto call = next<int (*)(const char*)>("unlink");
  return call(path);
}

int unlinkat(int directory, const char* path, int flags) noexcept {
  before(FileCall::kRemove);
  static const auto call = next<int (*)(int, const char*, int)>("unlinkat");
  return call(directory, path, flags);
}

int mkdir(const char* path, mode_t mode) noexcept {
  before(FileCall::kMakeDirectory);
  static const auto call = next<int (*)(const char*, mode_t)>("mkdir");
  return call(path, mode);
}

int ftruncate(int fd, off_t size) noexcept {
  before(FileCall::kCut);
  static const auto call = next<int (*)(int, off_t)>("ftruncate");
  return call(fd, size);
}

int ftruncate64(int fd, off64_t size) noexcept {
  before(FileCall::kCut);
  static const auto call = next<int (*)(int, off64_t)>("ftruncate64");
  return call(fd, size);
}
}
