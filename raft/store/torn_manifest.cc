#include "raft/store/torn_manifest.h"

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <cstdint>
#include <cstring>
#include <memory>

#include "raft/store/store_error.h"

namespace andyx::raft {
namespace {

// RocksDB's log format (its db/log_format.h): blocks of fragments, each behind a head of CRC u32,
// length u16, type u8. A head does not cross the end of a block.
constexpr std::size_t kBlockBytes = 32 * 1024;
constexpr std::size_t kHeadBytes = 7;
constexpr std::size_t kSectorBytes = 512;
constexpr std::uint8_t kFull = 1, kFirst = 2, kLast = 4;

}  // namespace

std::size_t begin_of_torn_record(std::string_view manifest) {
  std::size_t begin = 0;            // of the record that the walk is in
  std::size_t last = 0, whole = 0;  // begin and end of the last record that is there
  for (std::size_t at = 0; at < manifest.size();) {
    const std::size_t left_in_block = kBlockBytes - at % kBlockBytes;
    if (left_in_block < kHeadBytes) {  // padding
      at += left_in_block;
      continue;
    }
    if (manifest.size() - at < kHeadBytes) break;
    std::uint16_t length;
    std::memcpy(&length, manifest.data() + at + 4, sizeof length);
    const auto type = static_cast<std::uint8_t>(manifest[at + 6]);
    if (type < kFull || type > kLast || at + kHeadBytes + length > manifest.size()) break;
    if (type == kFull || type == kFirst) begin = at;
    at += kHeadBytes + length;
    if (type == kFull || type == kLast) {
      last = begin;
      whole = at;
    }
  }
  const std::size_t record = whole == manifest.size() ? last : whole;
  const std::size_t nonzero = manifest.substr(record).find_last_not_of('\0');
  if (nonzero == std::string_view::npos) return record;
  const std::size_t zeros = record + nonzero + 1;
  const std::size_t boundary = (zeros + kSectorBytes - 1) / kSectorBytes * kSectorBytes;
  return boundary < manifest.size() ? record : manifest.size();
}

Result<bool> cut_torn_manifest(rocksdb::FileSystem& fs, const std::string& database_path) {
  std::string name, contents;
  auto status = rocksdb::ReadFileToString(&fs, database_path + "/CURRENT", &name);
  if (!status.ok()) return false;
  while (!name.empty() && name.back() == '\n') name.pop_back();
  const std::string path = database_path + "/" + name;
  status = rocksdb::ReadFileToString(&fs, path, &contents);
  if (!status.ok()) return false;
  const std::size_t end = begin_of_torn_record(contents);
  if (end == 0 || end == contents.size()) return false;
  const rocksdb::IOOptions io;
  std::unique_ptr<rocksdb::FSWritableFile> file;
  std::unique_ptr<rocksdb::FSDirectory> directory;
  status = fs.NewWritableFile(path + ".cut", rocksdb::FileOptions(), &file, nullptr);
  if (status.ok()) status = file->Append({contents.data(), end}, io, nullptr);
  if (status.ok()) status = file->Sync(io, nullptr);
  if (status.ok()) status = file->Close(io, nullptr);
  if (status.ok()) status = fs.RenameFile(path + ".cut", path, io, nullptr);
  if (status.ok()) status = fs.NewDirectory(database_path, io, &directory, nullptr);
  if (status.ok()) status = directory->Fsync(io, nullptr);
  if (!status.ok()) return store_error(status, "cut the torn end of " + path);
  return true;
}

}  // namespace andyx::raft
