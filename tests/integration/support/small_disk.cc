#include "tests/integration/support/small_disk.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace andyx::test {

SmallDisk::SmallDisk(const std::string& size_option) {
  mounted_ = mount("andyx-test", directory_.path().c_str(), "tmpfs", 0, size_option.c_str()) == 0;
  if (!mounted_) reason_ = std::strerror(errno);
}

SmallDisk::~SmallDisk() {
  if (mounted_) umount2(directory_.path().c_str(), MNT_DETACH);
}

void SmallDisk::leave_free(std::uint64_t bytes) {
  const std::uint64_t available = std::filesystem::space(directory_.path()).available;
  REQUIRE(available > bytes);
  const int fd = open(filler().c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  REQUIRE(fd >= 0);
  const off_t taken = lseek(fd, 0, SEEK_END);
  const int failed = posix_fallocate(fd, taken, static_cast<off_t>(available - bytes));
  close(fd);
  REQUIRE(failed == 0);
}

void SmallDisk::release() { std::filesystem::remove(filler()); }

}  // namespace andyx::test
