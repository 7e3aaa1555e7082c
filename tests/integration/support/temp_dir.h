// A directory for one test, under $TMPDIR or /tmp. Removed with all it holds at the end; but where
// a check failed, one that is worth it is kept and its path printed. Owned by one thread.
#pragma once

#include <string>

namespace andyx::test {

class TempDir {
 public:
  enum class AfterFailure { kKeep, kRemove };
  explicit TempDir(AfterFailure after_failure = AfterFailure::kKeep);
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  AfterFailure after_failure_;
  std::string path_;
};

std::string read_file(const std::string& path);  // empty when missing
void write_file(const std::string& path, const std::string& content);

}  // namespace andyx::test
