// The MANIFEST after a power failure: what was appended and not synced may be there in part, the
// rest as zeros.
#include "raft/store/torn_manifest.h"

#include "tests/raft/store/support/store_fixture.h"

using namespace andyx;
using namespace andyx::raft;
using namespace andyx::raft::test;

namespace {

std::string fragment(std::uint8_t type, std::size_t size) {
  std::string out(4, 'c');
  out.push_back(static_cast<char>(size));
  out.push_back(static_cast<char>(size >> 8));
  out.push_back(static_cast<char>(type));
  return out + std::string(size, 'r');
}

std::string zeroed_from(std::string bytes, std::size_t at) {
  return bytes.replace(at, bytes.size() - at, bytes.size() - at, '\0');
}

}  // namespace

TEST_CASE("only a last record that ends in zeros is cut off a MANIFEST") {
  const std::string whole = fragment(1, 400) + fragment(1, 50);
  CHECK(begin_of_torn_record(whole) == whole.size());
  CHECK(begin_of_torn_record(whole + std::string(300, '\0')) == whole.size());
  CHECK(begin_of_torn_record(whole + "not zeros") == whole.size() + 9);
  const std::string more = whole + fragment(1, 900);
  CHECK(begin_of_torn_record(more) == more.size());
  for (const std::size_t at : {512u, 1'024u}) {
    CHECK(begin_of_torn_record(zeroed_from(more, at)) == whole.size());
  }
  const std::string long_one = whole + fragment(2, 32'768 - whole.size() - 7) + fragment(4, 500);
  for (const std::size_t at : {1'024u, 32'768u}) {
    CHECK(begin_of_torn_record(zeroed_from(long_one, at)) == whole.size());
  }
}

TEST_CASE("a store opens with a MANIFEST whose last record was never synced") {
  const TempDir directory;
  const StoreOptions options = options_at(directory.path());
  write_and_wait(*open_or_fail(options), {.entries = entries_from(1, 3, 1)});
  open_or_fail(options);
  std::string current = read_file(directory.path() + "/db/CURRENT");
  current.pop_back();
  const std::string manifest = directory.path() + "/db/" + current;
  const std::string synced = read_file(manifest);
  const std::string torn = synced + fragment(1, 3'000);
  write_file(manifest, zeroed_from(torn, (synced.size() / 512 + 2) * 512));
  CHECK(open_or_fail(options)->last_index() == 3);
}
