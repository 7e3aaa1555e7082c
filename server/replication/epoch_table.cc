#include "server/replication/epoch_table.h"

#include <algorithm>
#include <cassert>
#include <limits>
#include <string>

#include "protocol/base/limits.h"
#include "protocol/batch/varint.h"

namespace andyx::server {

namespace {

constexpr std::uint8_t kVersion = 1;

void put(std::vector<std::uint8_t>& out, std::uint64_t value) {
  std::uint8_t bytes[batch::kMaxVarintBytes];
  out.insert(out.end(), bytes, batch::put_varint(bytes, value));
}

}  // namespace

bool EpochTable::record(MainEpoch epoch, Offset start) {
  assert(epoch != 0 && epoch >= last_epoch());
  if (epoch == last_epoch()) return false;
  assert(entries_.empty() || start > entries_.back().start);
  if (entries_.size() == limits::kMaxMainEpochsPerPartition) entries_.erase(entries_.begin());
  entries_.push_back({.epoch = epoch, .start = start});
  return true;
}

std::optional<EpochTable::End> EpochTable::end_of(MainEpoch asked, Offset log_end) const {
  const auto above = std::ranges::upper_bound(entries_, asked, {}, &Entry::epoch);
  if (above == entries_.begin()) return std::nullopt;
  return End{.epoch = std::prev(above)->epoch,
             .end = above == entries_.end() ? log_end : above->start};
}

void EpochTable::truncate(Offset from) {
  const auto cut = std::ranges::lower_bound(entries_, from, {}, &Entry::start);
  entries_.erase(cut, entries_.end());
}

void EpochTable::trim(Offset start) {
  // What starts below `start` and is followed by another such entry ends below it, too.
  const auto first_inside = std::ranges::lower_bound(entries_, start, {}, &Entry::start);
  if (first_inside - entries_.begin() > 1) entries_.erase(entries_.begin(), first_inside - 1);
}

std::vector<std::uint8_t> EpochTable::encode() const {
  std::vector<std::uint8_t> out;
  out.push_back(kVersion);
  put(out, entries_.size());
  Entry before;
  for (const Entry& entry : entries_) {
    put(out, entry.epoch - before.epoch);
    put(out, entry.start - before.start);
    before = entry;
  }
  return out;
}

Result<EpochTable> EpochTable::decode(ByteSpan bytes) {
  const auto corrupt = [](std::string_view what) {
    return fail(ErrorCode::kCorrupt, "table of main epochs: " + std::string(what));
  };
  if (bytes.empty()) return corrupt("it is empty");
  if (bytes[0] != kVersion) return corrupt("version " + std::to_string(bytes[0]) + " is not known");
  const std::uint8_t* at = bytes.data() + 1;
  const std::uint8_t* const end = bytes.data() + bytes.size();
  const auto next = [&]() {
    std::uint64_t value = 0;
    if (at != nullptr) at = batch::get_varint(at, end, value);
    return value;
  };
  const std::uint64_t count = next();
  if (at == nullptr || count > limits::kMaxMainEpochsPerPartition)
    return corrupt("its count is out of range");
  EpochTable table;
  std::uint64_t epoch = 0;
  Offset start = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t epochs = next(), offsets = next();
    if (at == nullptr) return corrupt("it is cut off");
    epoch += epochs;
    if (epochs == 0 || epochs > std::numeric_limits<MainEpoch>::max() ||
        epoch > std::numeric_limits<MainEpoch>::max() || (i > 0 && offsets == 0) ||
        start + offsets < start)
      return corrupt("its entries do not rise");
    start += offsets;
    table.entries_.push_back({.epoch = static_cast<MainEpoch>(epoch), .start = start});
  }
  if (at != end) return corrupt("bytes follow its end");
  return table;
}

}  // namespace andyx::server
