#include "raft/store/watermark.h"

#include <rocksdb/file_system.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "raft/store/store_error.h"

namespace andyx::raft {
namespace {

constexpr std::size_t kSlotBytes = 4096;  // a sector of any disk
constexpr std::size_t kSlots = 2;
// A slot: magic, flags, then the state as in its row, with its checksum.
constexpr std::uint32_t kMagic = 0x4D525841;  // "AXRM"
constexpr std::uint32_t kFsync = 1;
constexpr std::size_t kHeadBytes = 2 * sizeof(std::uint32_t);
constexpr std::size_t kMarkBytes = kHeadBytes + kStateRowBytes;

std::string encode_mark(const Mark& mark) {
  const std::array<std::uint32_t, 2> head{kMagic, mark.fsync ? kFsync : 0};
  std::string bytes(reinterpret_cast<const char*>(head.data()), kHeadBytes);
  return bytes + encode_state(mark.state);
}

std::optional<Mark> decode_mark(std::string_view bytes) {
  std::array<std::uint32_t, 2> head{};
  if (bytes.size() != kMarkBytes) return std::nullopt;
  std::memcpy(head.data(), bytes.data(), kHeadBytes);
  const auto state = decode_state(bytes.substr(kHeadBytes));
  if (head[0] != kMagic || head[1] > kFsync || !state) return std::nullopt;
  return Mark{.state = *state, .fsync = head[1] == kFsync};
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

Result<Mark> Watermark::load() {
  std::optional<Mark> newest;
  bool untouched = true;
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    std::array<char, kMarkBytes> scratch;
    rocksdb::Slice read;
    const auto status = file_->Read(slot * kSlotBytes, kMarkBytes, rocksdb::IOOptions(), &read,
                                    scratch.data(), nullptr);
    if (!status.ok()) return store_error(status, "read " + path_);
    const auto mark = decode_mark(read.ToStringView());
    untouched = untouched && read.size() == kMarkBytes &&
                std::ranges::all_of(read.ToStringView(), [](char byte) { return byte == 0; });
    if (mark && (!newest || mark->state.round > newest->state.round)) {
      newest = mark;
      next_slot_ = slot + 1;
    }
  }
  if (!newest && !untouched) {
    return fail(ErrorCode::kCorrupt,
                path_ + " is damaged: neither of its marks is whole. " + kRejoin);
  }
  return newest.value_or(Mark{});
}

Status Watermark::publish(const Mark& mark, bool sync) {
  const std::string bytes = encode_mark(mark);
  const rocksdb::IOOptions io;
  auto status = file_->Write(next_slot_ % kSlots * kSlotBytes, bytes, io, nullptr);
  if (status.ok() && sync) status = file_->Sync(io, nullptr);
  if (!status.ok()) return store_error(status, "write " + path_);
  ++next_slot_;
  return {};
}

}  // namespace andyx::raft
