#include "tests/integration/support/temp_dir.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "tests/integration/support/failure_watch.h"

namespace andyx::test {

TempDir::TempDir(AfterFailure after_failure) : after_failure_(after_failure) {
  const char* base = getenv("TMPDIR");
  path_ = std::string(base != nullptr && *base != '\0' ? base : "/tmp") + "/andyx-test-XXXXXX";
  REQUIRE_MESSAGE(mkdtemp(path_.data()) != nullptr, "no temporary directory: ", path_);
}

TempDir::~TempDir() {
  if (any_failure() && after_failure_ == AfterFailure::kKeep) {
    std::fprintf(stderr, "kept for inspection: %s\n", path_.c_str());
    return;
  }
  std::error_code ignored;  // a leftover in /tmp is no failure of what is tested
  std::filesystem::remove_all(path_, ignored);
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void write_file(const std::string& path, const std::string& content) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  out.close();
  REQUIRE_MESSAGE(out.good(), "cannot write ", path);
}

}  // namespace andyx::test
