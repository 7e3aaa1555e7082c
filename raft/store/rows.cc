#include "raft/store/rows.h"

#include <xxhash.h>

#include <bit>
#include <cstring>
#include <type_traits>
#include <utility>

namespace andyx::raft {
namespace {

static_assert(std::endian::native == std::endian::little);
static_assert(std::has_unique_object_representations_v<StoreState>);

constexpr char kStateTag = 's', kEntryTag = 'e', kSnapshotTag = 'n';
constexpr std::size_t kIndexedKeyBytes = 9;

template <typename Number>
void put_big(std::string& out, Number number) {
  for (int shift = 8 * (int{sizeof number} - 1); shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(number >> shift));
  }
}

std::string indexed_key(char tag, Index index) {
  std::string key(1, tag);
  put_big(key, index);
  return key;
}

std::optional<Index> decode_indexed(char tag, std::string_view key) {
  if (key.size() < kIndexedKeyBytes || key.front() != tag) return std::nullopt;
  Index index = 0;
  for (std::size_t i = 1; i < kIndexedKeyBytes; ++i) {
    index = index << 8 | static_cast<std::uint8_t>(key[i]);
  }
  return index;
}

void put(std::string& out, std::uint64_t number) {
  out.append(reinterpret_cast<const char*>(&number), sizeof number);
}

bool take(std::string_view& in, std::uint64_t& number) {
  if (in.size() < sizeof number) return false;
  std::memcpy(&number, in.data(), sizeof number);
  in.remove_prefix(sizeof number);
  return true;
}

void put_checksum(std::string& out) { put(out, XXH3_64bits(out.data(), out.size())); }

// Takes the checksum off the end of `row`; false: it is another.
bool check(std::string_view& row) {
  if (row.size() < sizeof(std::uint64_t)) return false;
  std::string_view end = row.substr(row.size() - sizeof(std::uint64_t));
  row.remove_suffix(end.size());
  std::uint64_t checksum = 0;
  return take(end, checksum) && checksum == XXH3_64bits(row.data(), row.size());
}

// Of an entry: its index and its head behind the checksum seed the checksum of its data.
std::uint64_t entry_checksum(Index index, const char* head, ByteSpan data) {
  std::array<char, sizeof index + kEntryHeadBytes - sizeof(std::uint64_t)> seed;
  std::memcpy(seed.data(), &index, sizeof index);
  std::memcpy(seed.data() + sizeof index, head + sizeof(std::uint64_t), seed.size() - sizeof index);
  return XXH3_64bits_withSeed(data.data(), data.size(), XXH3_64bits(seed.data(), seed.size()));
}

void put_peers(std::string& out, const std::vector<PeerId>& peers) {
  put(out, peers.size());
  for (const PeerId peer : peers) put(out, peer);
}

bool take_peers(std::string_view& in, std::vector<PeerId>& peers) {
  std::uint64_t count = 0;
  if (!take(in, count) || count > in.size() / sizeof(PeerId)) return false;
  peers.resize(count);
  for (PeerId& peer : peers) take(in, peer);
  return true;
}

}  // namespace

std::string encode_state(const StoreState& state) {
  std::string row(reinterpret_cast<const char*>(&state), sizeof state);
  put_checksum(row);
  return row;
}

std::optional<StoreState> decode_state(std::string_view row) {
  StoreState state;
  if (row.size() != kStateRowBytes || !check(row)) return std::nullopt;
  std::memcpy(&state, row.data(), sizeof state);
  return state;
}

std::string state_key() { return std::string(1, kStateTag); }
std::string entry_key(Index index) { return indexed_key(kEntryTag, index); }

std::optional<Index> decode_entry_key(std::string_view key) {
  return key.size() == kIndexedKeyBytes ? decode_indexed(kEntryTag, key) : std::nullopt;
}

std::string snapshot_prefix() { return std::string(1, kSnapshotTag); }
std::string snapshot_key(Index index) { return indexed_key(kSnapshotTag, index); }

std::string snapshot_part_key(Index index, std::uint32_t part) {
  std::string key = snapshot_key(index);
  put_big(key, part);
  return key;
}

std::optional<Index> decode_snapshot_key(std::string_view key) {
  return decode_indexed(kSnapshotTag, key);
}

EntryHead encode_entry_head(const Entry& entry, Term previous_term) {
  EntryHead head{};
  std::memcpy(head.data() + 8, &entry.term, sizeof entry.term);
  std::memcpy(head.data() + 16, &previous_term, sizeof previous_term);
  head[24] = static_cast<char>(entry.type);
  const std::uint64_t checksum = entry_checksum(entry.index, head.data(), entry.data.span());
  std::memcpy(head.data(), &checksum, sizeof checksum);
  return head;
}

std::optional<DecodedEntry> decode_entry(Index index, std::string_view row) {
  if (row.size() < kEntryHeadBytes) return std::nullopt;
  const ByteSpan data(reinterpret_cast<const std::uint8_t*>(row.data()) + kEntryHeadBytes,
                      row.size() - kEntryHeadBytes);
  std::uint64_t checksum = 0;
  std::memcpy(&checksum, row.data(), sizeof checksum);
  const auto type = static_cast<std::uint8_t>(row[24]);
  if (checksum != entry_checksum(index, row.data(), data) ||
      type > std::to_underlying(EntryType::kConfChangeV2)) {
    return std::nullopt;
  }
  DecodedEntry decoded{.entry = {.index = index, .type = static_cast<EntryType>(type)}};
  std::memcpy(&decoded.entry.term, row.data() + 8, sizeof decoded.entry.term);
  std::memcpy(&decoded.previous_term, row.data() + 16, sizeof decoded.previous_term);
  if (!data.empty()) decoded.entry.data = SharedBytes::copy_of(data);
  return decoded;
}

std::uint64_t checksum_of(ByteSpan bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

std::string encode_snapshot(const SnapshotRow& row) {
  std::string out;
  put(out, row.meta.index);
  put(out, row.meta.term);
  put(out, row.meta.conf.auto_leave ? 1 : 0);
  put_peers(out, row.meta.conf.voters);
  put_peers(out, row.meta.conf.voters_outgoing);
  put_peers(out, row.meta.conf.learners);
  put_peers(out, row.meta.conf.learners_next);
  put(out, row.data_bytes);
  put(out, row.data_checksum);
  put_checksum(out);
  return out;
}

std::optional<SnapshotRow> decode_snapshot(std::string_view row) {
  SnapshotRow out;
  std::uint64_t auto_leave = 0;
  const bool whole = check(row) && take(row, out.meta.index) && take(row, out.meta.term) &&
                     take(row, auto_leave) && take_peers(row, out.meta.conf.voters) &&
                     take_peers(row, out.meta.conf.voters_outgoing) &&
                     take_peers(row, out.meta.conf.learners) &&
                     take_peers(row, out.meta.conf.learners_next) && take(row, out.data_bytes) &&
                     take(row, out.data_checksum) && row.empty();
  if (!whole) return std::nullopt;
  out.meta.conf.auto_leave = auto_leave != 0;
  return out;
}

}  // namespace andyx::raft
