// Rows: read back as written, and any change to their bytes is found.
#include "raft/store/rows.h"

#include "tests/raft/store/support/store_fixture.h"

using namespace andyx;
using namespace andyx::raft;
using namespace andyx::raft::test;

namespace {

template <typename Decode>
void check_each_bit_counts(const std::string& row, Decode decode) {
  REQUIRE(decode(row));
  for (std::size_t bit = 0; bit < row.size() * 8; ++bit) {
    std::string flipped = row;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    REQUIRE_FALSE(decode(flipped));
  }
  for (std::size_t size = 0; size < row.size(); ++size) REQUIRE_FALSE(decode(row.substr(0, size)));
  REQUIRE_FALSE(decode(row + "x"));
}

}  // namespace

TEST_CASE("the state row is read back, and no changed one") {
  const StoreState state{.round = 1,
                         .term = 2,
                         .vote = 3,
                         .commit = 4,
                         .base_index = 5,
                         .base_term = 6,
                         .last_index = 7,
                         .last_term = 8,
                         .snapshot_index = 9};
  CHECK(decode_state(encode_state(state)) == state);
  check_each_bit_counts(encode_state(state), decode_state);
}

TEST_CASE("an entry's row is read back at its own index only, and no changed one") {
  for (const std::size_t size : {0u, 1u, 100u}) {
    Entry entry = entry_at(77, 5);
    entry.data = size == 0 ? SharedBytes() : bytes_of(std::string(size, 'x'));
    entry.type = EntryType::kConfChangeV2;
    const EntryHead head = encode_entry_head(entry, 4);
    const std::string row = std::string(head.data(), head.size()) + text_of(entry.data);
    const auto decoded = decode_entry(77, row);
    REQUIRE(decoded);
    CHECK(decoded->previous_term == 4);
    CHECK(decoded->entry.type == EntryType::kConfChangeV2);
    CHECK(same({decoded->entry}, {entry}));
    CHECK_FALSE(decode_entry(78, row));
    check_each_bit_counts(row, [](std::string_view bytes) { return decode_entry(77, bytes); });
  }
}

TEST_CASE("a snapshot's row is read back, and no changed one") {
  const SnapshotRow row{.meta = {.index = 300,
                                 .term = 4,
                                 .conf = {.voters = {1, 2},
                                          .voters_outgoing = {2, 3},
                                          .learners = {4},
                                          .learners_next = {3},
                                          .auto_leave = true}},
                        .data_bytes = kSnapshotPartBytes + 1,
                        .data_checksum = 99};
  const auto decoded = decode_snapshot(encode_snapshot(row));
  REQUIRE(decoded);
  CHECK(decoded->meta == row.meta);
  CHECK(decoded->data_bytes == row.data_bytes);
  CHECK(decoded->data_checksum == 99);
  CHECK(decoded->parts() == 2);
  check_each_bit_counts(encode_snapshot(row), decode_snapshot);
}

TEST_CASE("keys sort as their numbers do") {
  for (const Index index : {Index{0}, Index{255}, Index{256}, Index{1} << 40}) {
    CHECK(entry_key(index) < entry_key(index + 1));
    CHECK(decode_entry_key(entry_key(index)) == index);
    CHECK(snapshot_key(index) < snapshot_part_key(index, 0));
    CHECK(snapshot_part_key(index, 255) < snapshot_part_key(index, 256));
    CHECK(snapshot_part_key(index, ~0u) < snapshot_key(index + 1));
    CHECK(decode_snapshot_key(snapshot_part_key(index, 3)) == index);
  }
  CHECK_FALSE(decode_entry_key(state_key()));
  CHECK_FALSE(decode_entry_key(snapshot_key(1)));
}
