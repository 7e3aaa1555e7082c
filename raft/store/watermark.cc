#include "raft/store/watermark.h"

#include <rocksdb/file_system.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "protocol/base/limits.h"
#include "raft/store/store_error.h"

namespace andyx::raft {
namespace {

constexpr std::size_t kSlots = 2;
// A slot: magic, flags, size of the copy, the state as in its row, the copy, and a checksum of it
// all.
constexpr std::uint32_t kMagic = 0x52525841;  // "AXRR"
constexpr std::uint32_t kFsync = 1;
constexpr std::size_t kChecksumBytes = sizeof(std::uint64_t);

struct SlotHead {
  std::uint32_t magic = kMagic;
  std::uint32_t flags = 0;
  std::uint64_t copy_bytes = 0;
};
constexpr std::size_t kCopyAt = sizeof(SlotHead) + kStateRowBytes;
constexpr std::size_t kSlotBytes = 4096 + limits::kMaxRaftRoundCopyBytes;
static_assert(kCopyAt + kChecksumBytes <= 4096);

void put_checksum(std::string& bytes) {
  const std::uint64_t checksum = XXH3_64bits(bytes.data(), bytes.size());
  bytes.append(reinterpret_cast<const char*>(&checksum), kChecksumBytes);
}

std::string encode_round(const MarkedRound& round) {
  const SlotHead head{.flags = round.mark.fsync ? kFsync : 0, .copy_bytes = round.copy.size()};
  std::string bytes(reinterpret_cast<const char*>(&head), sizeof head);
  bytes += encode_state(round.mark.state);
  bytes += round.copy;
  put_checksum(bytes);
  return bytes;
}

std::optional<MarkedRound> decode_round(std::string_view slot) {
  SlotHead head;
  if (slot.size() != kSlotBytes) return std::nullopt;
  std::memcpy(&head, slot.data(), sizeof head);
  if (head.magic != kMagic || head.flags > kFsync || !Watermark::takes(head.copy_bytes)) {
    return std::nullopt;
  }
  const auto state = decode_state(slot.substr(sizeof head, kStateRowBytes));
  if (!state) return std::nullopt;
  MarkedRound round{.mark = {.state = *state, .fsync = head.flags == kFsync},
                    .copy = std::string(slot.substr(kCopyAt, head.copy_bytes))};
  if (!slot.starts_with(encode_round(round))) return std::nullopt;
  return round;
}

}  // namespace

Watermark::Watermark(std::unique_ptr<rocksdb::FSRandomRWFile> file, std::string path)
    : file_(std::move(file)), path_(std::move(path)) {}
Watermark::~Watermark() = default;

Status Watermark::create(rocksdb::FileSystem& fs, const std::string& path) {
  const rocksdb::IOOptions io;
  std::unique_ptr<rocksdb::FSWritableFile> file;
  auto status = fs.NewWritableFile(path, rocksdb::FileOptions(), &file, nullptr);
  if (status.ok()) status = file->Append(std::string(kSlots * kSlotBytes, '\0'), io, nullptr);
  if (status.ok()) status = file->Sync(io, nullptr);
  if (status.ok()) status = file->Close(io, nullptr);
  if (!status.ok()) return store_error(status, "create " + path);
  return {};
}

Result<std::unique_ptr<Watermark>> Watermark::open(rocksdb::FileSystem& fs,
                                                   const std::string& path) {
  if (fs.FileExists(path, rocksdb::IOOptions(), nullptr).IsNotFound()) {
    return fail(ErrorCode::kCorrupt, path + " is missing. " + kRejoin);
  }
  std::unique_ptr<rocksdb::FSRandomRWFile> file;
  const auto status = fs.NewRandomRWFile(path, rocksdb::FileOptions(), &file, nullptr);
  if (!status.ok()) return store_error(status, "open " + path);
  return std::unique_ptr<Watermark>(new Watermark(std::move(file), path));
}

bool Watermark::takes(std::size_t copy_bytes) {
  return copy_bytes <= limits::kMaxRaftRoundCopyBytes;
}

Result<MarkedRound> Watermark::load() {
  std::optional<MarkedRound> newest;
  bool untouched = true;
  std::string scratch(kSlotBytes, '\0');
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    rocksdb::Slice read;
    const auto status = file_->Read(slot * kSlotBytes, kSlotBytes, rocksdb::IOOptions(), &read,
                                    scratch.data(), nullptr);
    if (!status.ok()) return store_error(status, "read " + path_);
    const std::string_view bytes = read.ToStringView();
    auto round = decode_round(bytes);
    untouched = untouched && bytes.size() == kSlotBytes &&
                std::ranges::all_of(bytes, [](char byte) { return byte == 0; });
    if (round && (!newest || round->mark.state.round > newest->mark.state.round)) {
      newest = std::move(round);
      next_slot_ = slot + 1;
    }
  }
  if (!newest && !untouched) {
    return fail(ErrorCode::kCorrupt,
                path_ + " is damaged: neither of its marks is whole. " + kRejoin);
  }
  return newest.value_or(MarkedRound{});
}

Status Watermark::publish(const MarkedRound& round, bool sync) {
  const std::string bytes = encode_round(round);
  const rocksdb::IOOptions io;
  auto status = file_->Write(next_slot_ % kSlots * kSlotBytes, bytes, io, nullptr);
  if (status.ok() && sync) status = file_->Sync(io, nullptr);
  if (!status.ok()) return store_error(status, "write " + path_);
  ++next_slot_;
  return {};
}

}  // namespace andyx::raft
