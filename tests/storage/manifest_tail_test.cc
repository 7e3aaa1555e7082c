// A MANIFEST whose last record ends in zeros, as a power failure leaves it.
#include "storage/manifest_tail.h"

#include <doctest/doctest.h>

#include <fstream>
#include <sstream>

#include "tests/storage/support/open.h"

using namespace andyx;
using namespace andyx::storage;
using namespace andyx::storage::test;

namespace {

std::string contents_of(const std::string& path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

// A shard with several generations, closed: its MANIFEST has many records.
struct Closed {
  TempDir directory;
  std::string manifest;

  Closed() {
    auto shard = open_or_fail({.directory = directory.path(), .generation_bytes = 30'000});
    for (Offset base = 0; base < 200; base += 2) {
      REQUIRE(append(*shard, 1, base, {.count = 2, .payload_bytes = 700}) == ErrorCode::kOk);
    }
    shard.reset();
    const auto files = files_in(directory.path(), "");
    for (const auto& path : files) {
      if (path.find("/MANIFEST-") != std::string::npos) manifest = path;
    }
    REQUIRE(!manifest.empty());
  }
};

}  // namespace

TEST_CASE("a whole MANIFEST has no torn end") {
  const Closed shard;
  const std::string whole = contents_of(shard.manifest);
  CHECK(end_of_records(whole) == whole.size());
  CHECK(end_of_records(whole + std::string(3'000, '\0')) == whole.size());
}

TEST_CASE("a last record whose rest is zeros is not taken as one; a damaged one is not cut") {
  const Closed shard;
  const std::string whole = contents_of(shard.manifest);
  std::string record = whole.substr(0, 7);  // a header that claims more than there is, then garbage
  record[4] = static_cast<char>(0xd0), record[5] = 7;  // 2,000 bytes
  record.append(600, 'x');
  const std::string begun = whole + record;
  const std::size_t boundary = (begun.size() + 511) / 512 * 512;
  const std::string torn = begun + std::string(boundary + 700 - begun.size(), '\0');
  CHECK(end_of_records(torn) == whole.size());
  CHECK(end_of_records(torn + "x") == torn.size() + 1);  // not what a lost tail looks like
  std::string flipped = whole;
  flipped[flipped.size() / 2] = static_cast<char>(flipped[flipped.size() / 2] ^ 1);
  CHECK(end_of_records(flipped) == flipped.size());
}

TEST_CASE("a shard opens with a MANIFEST that was torn so") {
  const Closed shard;
  const std::string whole = contents_of(shard.manifest);
  std::string record = whole.substr(0, 7);
  record[4] = static_cast<char>(0xd0), record[5] = 3;
  record.append(600, 'x');
  const std::size_t end = (whole.size() + record.size() + 511) / 512 * 512 + 900;
  record.append(end - whole.size() - record.size(), '\0');
  std::ofstream(shard.manifest, std::ios::binary | std::ios::app) << record;
  auto again = open_or_fail({.directory = shard.directory.path()});
  CHECK(read_all(*again, 1, 0, 700) == 200);
}
