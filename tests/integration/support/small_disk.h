// A small file system of its own (tmpfs), which a test can fill. Needs the right to mount. One
// thread.
#pragma once

#include <cstdint>
#include <string>

#include "tests/integration/support/temp_dir.h"

namespace andyx::test {

class SmallDisk {
 public:
  explicit SmallDisk(const std::string& size_option);  // "size=400m"
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool mounted() const { return mounted_; }
  const std::string& reason() const { return reason_; }  // why not
  std::string data_dir() const { return directory_.file("data"); }

  // Takes all room but `bytes`; release() gives it back.
  void leave_free(std::uint64_t bytes);
  void release();

 private:
  std::string filler() const { return directory_.file("filler"); }

  TempDir directory_{TempDir::AfterFailure::kRemove};  // what is on it goes with the mount
  bool mounted_ = false;
  std::string reason_;
};

}  // namespace andyx::test
