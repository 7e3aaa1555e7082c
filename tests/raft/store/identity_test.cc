// Whose a store is, in which format, who has it open; and a first open that did not finish.
#include <xxhash.h>

#include <array>
#include <cstdio>

#include "tests/raft/store/support/fault_store.h"

using namespace andyx;
using namespace andyx::raft;
using namespace andyx::raft::test;

namespace {

// What every version keeps: the line of the version, and its checksum.
std::string of_format_2() {
  const std::string line = "andyx raft store format 2\n";
  std::array<char, 20> checksum;
  std::snprintf(checksum.data(), checksum.size(), "%016llx\n",
                static_cast<unsigned long long>(XXH3_64bits(line.data(), line.size())));
  return line + checksum.data();
}

}  // namespace

TEST_CASE("a store of another cluster, peer or disk is not opened, and both are named") {
  const TempDir directory;
  const StoreOptions options = options_at(directory.path());
  open_or_fail(options);
  StoreOptions other = options;
  SUBCASE("cluster") { other.identity.cluster_id = "other"; }
  SUBCASE("peer") { other.identity.peer = 8; }
  SUBCASE("disk") { other.identity.disk_id = "d-2"; }
  const Error error = open_error(other);
  INFO(error.message);
  CHECK(error.code == ErrorCode::kBadArgument);
  CHECK(says(error, "belongs to peer 7 of cluster 'c-1' on disk 'd-1'"));
  CHECK(says(error, "opened as peer " + std::to_string(other.identity.peer) + " of cluster '" +
                        other.identity.cluster_id + "' on disk '" + other.identity.disk_id + "'"));
  open_or_fail(options);
}

TEST_CASE("an identity that could not be told from another is refused") {
  const TempDir directory;
  StoreOptions options = options_at(directory.path());
  SUBCASE("no cluster") { options.identity.cluster_id = ""; }
  SUBCASE("a line in the cluster") { options.identity.cluster_id = "a\npeer 7"; }
  SUBCASE("no peer") { options.identity.peer = kNone; }
  SUBCASE("a storage thread") { options.identity.peer = kAppendThread; }
  SUBCASE("no disk") { options.identity.disk_id = ""; }
  SUBCASE("no path") { options.path = ""; }
  CHECK(open_error(options).code == ErrorCode::kBadArgument);
}

TEST_CASE("a newer format is refused by its number, a damaged one as damaged") {
  const TempDir directory;
  const StoreOptions options = options_at(directory.path());
  open_or_fail(options);
  const std::string file = directory.path() + "/FORMAT";
  const std::string text = read_file(file);
  write_file(file, of_format_2() + "whatever it will hold\n");
  Error error = open_error(options);
  INFO(error.message);
  CHECK(error.code == ErrorCode::kDataDirVersion);
  CHECK(says(error, "format 2"));
  CHECK(says(error, "newer program"));
  for (const std::string& damaged :
       {std::string(), text.substr(0, text.size() - 1), text + "x", std::string(text.size(), '\0'),
        "andyx raft store format 2\n" + text.substr(text.find('\n') + 1)}) {
    write_file(file, damaged);
    error = open_error(options);
    INFO(error.message);
    CHECK(error.code == ErrorCode::kCorrupt);
    CHECK(says(error, kWhatToDo));
  }
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string flipped = text;
    flipped[at] ^= 4;
    write_file(file, flipped);
    CHECK(open_error(options).code == ErrorCode::kCorrupt);
  }
  write_file(file, text);
  open_or_fail(options);
}

TEST_CASE("a second opener is refused until the first is gone") {
  const TempDir directory;
  const StoreOptions options = options_at(directory.path());
  {
    const auto store = open_or_fail(options);
    const Error error = open_error(options);
    INFO(error.message);
    CHECK(error.code == ErrorCode::kDataDirLocked);
    CHECK(says(error, "in use by another process"));
  }
  open_or_fail(options);
}

TEST_CASE("a first open that failed anywhere is made anew by the next") {
  std::uint64_t operations = 0;
  {
    FaultStore store;
    open_or_fail(store.options, store.disk);
    operations = store.disk->operations();
  }
  REQUIRE(operations > 10);
  for (std::uint64_t at = 0; at < operations; ++at) {
    CAPTURE(at);
    FaultStore store(at);
    store.disk->lose_power_at(at);
    (void)RaftStore::open(store.options, store.disk);
    store.disk->lose_power();
    auto opened = open_or_fail(store.options, store.disk);
    CHECK(opened->last_index() == 0);
    write_and_wait(*opened, {.entries = entries_from(1, 1, 1)});
  }
}

TEST_CASE("a store in use that lost its FORMAT is not taken for a new one") {
  const TempDir directory;
  const StoreOptions options = options_at(directory.path());
  write_and_wait(*open_or_fail(options), {.hard = HardState{.term = 2, .vote = 1}});
  std::filesystem::remove(directory.path() + "/FORMAT");
  SUBCASE("alone") {}
  SUBCASE("with the watermark") { std::filesystem::remove(directory.path() + "/watermark"); }
  const Error error = open_error(options);
  INFO(error.message);
  CHECK(error.code == ErrorCode::kCorrupt);
  CHECK(says(error, "FORMAT is missing"));
  CHECK(says(error, kWhatToDo));
}
