// For LD_PRELOAD: moves the wall clock of a process while it runs, and nothing else. The file that
// CLOCK_SHIM_FILE names holds a shift in microseconds (8 bytes), which is added to CLOCK_REALTIME,
// gettimeofday and time; the steady clocks stay as they are, as when an administrator or NTP sets
// the time. Waits until a wall-clock time are shifted back for the kernel.
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>

namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;
// Later than any time since boot, earlier than any wall clock: which clock a deadline is of.
constexpr time_t kLeastWallClock = 1'000'000'000;

std::atomic<const std::atomic<std::int64_t>*> shift_us{nullptr};

// Before main: the file is there by then.
[[gnu::constructor]] void open_shift() {
  const char* path = std::getenv("CLOCK_SHIM_FILE");
  const int fd = path == nullptr ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  void* mapped = mmap(nullptr, sizeof(std::int64_t), PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  if (mapped != MAP_FAILED) shift_us = static_cast<const std::atomic<std::int64_t>*>(mapped);
}

std::int64_t shift_ns() {
  const auto* shift = shift_us.load();
  return shift == nullptr ? 0 : shift->load() * 1'000;
}

timespec shifted(const timespec& at, std::int64_t by_ns) {
  const std::int64_t ns = std::int64_t{at.tv_sec} * kNsPerSecond + at.tv_nsec + by_ns;
  return {.tv_sec = ns / kNsPerSecond, .tv_nsec = ns % kNsPerSecond};
}

timespec wall_clock() {
  timespec now{};
  syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
  return shifted(now, shift_ns());
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* now) noexcept {
  if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) {
    *now = wall_clock();
    return 0;
  }
  return static_cast<int>(syscall(SYS_clock_gettime, clock, now));
}

int gettimeofday(timeval* __restrict now, void* __restrict) noexcept {
  const timespec wall = wall_clock();
  *now = {.tv_sec = wall.tv_sec, .tv_usec = wall.tv_nsec / 1'000};
  return 0;
}

time_t time(time_t* now) noexcept {
  const timespec wall = wall_clock();
  if (now != nullptr) *now = wall.tv_sec;
  return wall.tv_sec;
}

int pthread_cond_timedwait(pthread_cond_t* __restrict condition, pthread_mutex_t* __restrict mutex,
                           const timespec* __restrict until) {
  using Wait = int (*)(pthread_cond_t*, pthread_mutex_t*, const timespec*);
  static const auto wait = reinterpret_cast<Wait>(dlsym(RTLD_NEXT, "pthread_cond_timedwait"));
  if (until->tv_sec < kLeastWallClock) return wait(condition, mutex, until);
  const timespec kernels = shifted(*until, -shift_ns());
  return wait(condition, mutex, &kernels);
}
}
