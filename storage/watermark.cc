#include "storage/watermark.h"

#include <rocksdb/file_system.h>
#include <xxhash.h>

#include <array>
#include <cstring>
#include <optional>

#include "storage/rocksdb_error.h"

namespace andyx::storage {
namespace {

constexpr std::size_t kSlotBytes =
    4096;  // a sector of any disk; only the first kMarkBytes are used
constexpr std::uint32_t kMagic = 0x4B4D5841;  // "AXMK"
constexpr std::uint32_t kVersion = 1;
constexpr std::uint32_t kCleanStop = 1;
constexpr std::uint32_t kFsync = 2;

struct Slot {  // little-endian, as it lies in memory
  std::uint32_t magic = kMagic;
  std::uint32_t version = kVersion;
  std::uint64_t number = 0;
  std::uint64_t generation_batches = 0;
  std::uint64_t generation_bytes = 0;
  std::uint64_t total_batches = 0;
  std::uint64_t total_bytes = 0;
  std::uint32_t generation = 0;
  std::uint32_t flags = 0;
  std::uint64_t checksum = 0;  // XXH3-64 of what stands before it
};
constexpr std::size_t kMarkBytes = sizeof(Slot);
static_assert(kMarkBytes == 64 && std::has_unique_object_representations_v<Slot>);

std::uint64_t checksum_of(const Slot& slot) {
  return XXH3_64bits(&slot, kMarkBytes - sizeof slot.checksum);
}

bool whole(const Slot& slot) {
  return slot.magic == kMagic && slot.version == kVersion && slot.checksum == checksum_of(slot);
}

bool never_written(const Slot& slot) {
  static constexpr std::array<char, kMarkBytes> kZeros{};
  return std::memcmp(&slot, kZeros.data(), kMarkBytes) == 0;
}

Result<Slot> read_slot(const rocksdb::FSRandomRWFile& file, std::size_t index) {
  Slot slot;
  std::array<char, kMarkBytes> scratch;
  rocksdb::Slice read;
  const auto status = file.Read(index * kSlotBytes, kMarkBytes, rocksdb::IOOptions(), &read,
                                scratch.data(), nullptr);
  if (!status.ok()) return rocksdb_error(status, "read the watermark");
  std::memset(static_cast<void*>(&slot), 0, kMarkBytes);
  std::memcpy(static_cast<void*>(&slot), read.data(), read.size());
  return slot;
}

Mark to_mark(const Slot& slot) {
  return {.round = {.number = slot.number,
                    .generation = slot.generation,
                    .generation_batches = slot.generation_batches,
                    .generation_bytes = slot.generation_bytes,
                    .total_batches = slot.total_batches,
                    .total_bytes = slot.total_bytes},
          .clean_stop = (slot.flags & kCleanStop) != 0,
          .fsync = (slot.flags & kFsync) != 0};
}

// The mark of a clean stop follows another one of the same round.
bool newer(const Slot& slot, const Slot& other) {
  if (slot.number != other.number) return slot.number > other.number;
  return (slot.flags & kCleanStop) != 0;
}

}  // namespace

Watermark::Watermark(std::unique_ptr<rocksdb::FSRandomRWFile> file) : file_(std::move(file)) {}
Watermark::~Watermark() = default;

Result<MarkFound> Watermark::load(rocksdb::FileSystem& fs, const std::string& path) {
  std::unique_ptr<rocksdb::FSRandomRWFile> file;
  if (fs.FileExists(path, rocksdb::IOOptions(), nullptr).IsNotFound()) {
    return fail(ErrorCode::kCorrupt, path + " is missing");
  }
  const auto status = fs.NewRandomRWFile(path, rocksdb::FileOptions(), &file, nullptr);
  if (!status.ok()) return rocksdb_error(status, "open " + path);
  std::optional<Slot> newest;
  bool damaged = false;
  for (std::size_t i = 0; i < 2; ++i) {
    auto slot = read_slot(*file, i);
    if (!slot) return std::unexpected(slot.error());
    if (whole(*slot)) {
      if (!newest || newer(*slot, *newest)) newest = *slot;
    } else if (!never_written(*slot)) {
      damaged = true;
    }
  }
  if (!newest) return fail(ErrorCode::kCorrupt, path + " holds no whole mark");
  return MarkFound{.mark = to_mark(*newest), .one_slot_damaged = damaged};
}

Result<std::unique_ptr<Watermark>> Watermark::open(rocksdb::FileSystem& fs,
                                                   const std::string& path) {
  const rocksdb::IOOptions io;
  if (fs.FileExists(path, io, nullptr).IsNotFound()) {
    std::unique_ptr<rocksdb::FSWritableFile> created;
    auto status = fs.NewWritableFile(path, rocksdb::FileOptions(), &created, nullptr);
    if (status.ok()) status = created->Append(std::string(2 * kSlotBytes, '\0'), io, nullptr);
    if (status.ok()) status = created->Sync(io, nullptr);
    if (status.ok()) status = created->Close(io, nullptr);
    if (!status.ok()) return rocksdb_error(status, "create " + path);
  }
  std::unique_ptr<rocksdb::FSRandomRWFile> file;
  const auto status = fs.NewRandomRWFile(path, rocksdb::FileOptions(), &file, nullptr);
  if (!status.ok()) return rocksdb_error(status, "open " + path);
  std::unique_ptr<Watermark> mark(new Watermark(std::move(file)));
  auto first = read_slot(*mark->file_, 0);
  auto second = read_slot(*mark->file_, 1);
  if (!first) return std::unexpected(first.error());
  if (!second) return std::unexpected(second.error());
  const bool first_is_newest = whole(*first) && (!whole(*second) || first->number > second->number);
  mark->next_slot_ = first_is_newest ? 1 : 0;
  return mark;
}

Status Watermark::publish(const Mark& mark) {
  Slot slot{.number = mark.round.number,
            .generation_batches = mark.round.generation_batches,
            .generation_bytes = mark.round.generation_bytes,
            .total_batches = mark.round.total_batches,
            .total_bytes = mark.round.total_bytes,
            .generation = mark.round.generation,
            .flags = (mark.clean_stop ? kCleanStop : 0) | (mark.fsync ? kFsync : 0)};
  slot.checksum = checksum_of(slot);
  const auto status = file_->Write((next_slot_ % 2) * kSlotBytes,
                                   rocksdb::Slice(reinterpret_cast<const char*>(&slot), kMarkBytes),
                                   rocksdb::IOOptions(), nullptr);
  if (!status.ok()) return rocksdb_error(status, "write the watermark");
  ++next_slot_;
  dirty_.store(true, std::memory_order_release);
  return {};
}

Status Watermark::sync() {
  const std::lock_guard lock(sync_mutex_);
  if (!dirty_.exchange(false, std::memory_order_acq_rel)) return {};
  const auto status = file_->Sync(rocksdb::IOOptions(), nullptr);
  if (!status.ok()) return rocksdb_error(status, "sync the watermark");
  return {};
}

}  // namespace andyx::storage
