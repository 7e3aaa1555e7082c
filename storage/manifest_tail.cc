#include "storage/manifest_tail.h"

#include <rocksdb/env.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "storage/rocksdb_error.h"

namespace rocksdb::crc32c {
uint32_t Extend(uint32_t crc, const char* data, size_t size);  // ours, or RocksDB's own
}

namespace andyx::storage {
namespace {

constexpr std::size_t kBlockBytes = 32 * 1024;
constexpr std::size_t kRecordHeaderBytes = 7;  // u32 CRC | u16 length | u8 type
constexpr std::size_t kSectorBytes = 512;
constexpr std::uint8_t kFull = 1, kLast = 4;  // 2: first, 3: middle

// The end of the fragment at `at`; 0 when it is not whole.
std::size_t end_of_fragment(std::string_view bytes, std::size_t at) {
  if (bytes.size() - at < kRecordHeaderBytes) return 0;
  std::uint32_t masked;
  std::uint16_t length;
  std::memcpy(&masked, bytes.data() + at, sizeof masked);
  std::memcpy(&length, bytes.data() + at + 4, sizeof length);
  const auto type = static_cast<std::uint8_t>(bytes[at + 6]);
  const std::size_t end = at + kRecordHeaderBytes + length;
  if (type < kFull || type > kLast || end > bytes.size()) return 0;
  const std::uint32_t crc = rocksdb::crc32c::Extend(0, bytes.data() + at + 6, 1 + length);
  const std::uint32_t expected = ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
  return masked == expected ? end : 0;
}

rocksdb::IOStatus replace(rocksdb::FileSystem& fs, const std::string& directory,
                          const std::string& path, std::string_view contents) {
  const rocksdb::IOOptions options;
  const std::string fresh = path + ".cut";
  std::unique_ptr<rocksdb::FSWritableFile> file;
  auto status = fs.NewWritableFile(fresh, {}, &file, nullptr);
  if (status.ok()) status = file->Append({contents.data(), contents.size()}, options, nullptr);
  if (status.ok()) status = file->Sync(options, nullptr);
  if (status.ok()) status = file->Close(options, nullptr);
  if (status.ok()) status = fs.RenameFile(fresh, path, options, nullptr);
  std::unique_ptr<rocksdb::FSDirectory> synced;
  if (status.ok()) status = fs.NewDirectory(directory, options, &synced, nullptr);
  if (status.ok()) status = synced->Fsync(options, nullptr);
  return status;
}

}  // namespace

std::size_t end_of_records(std::string_view manifest) {
  std::size_t end = 0;
  for (std::size_t at = 0; at < manifest.size();) {
    const std::size_t left_in_block = kBlockBytes - at % kBlockBytes;
    if (left_in_block < kRecordHeaderBytes) {  // padding
      at += left_in_block;
      continue;
    }
    const std::size_t next = end_of_fragment(manifest, at);
    if (next == 0) break;
    const auto type = static_cast<std::uint8_t>(manifest[at + 6]);
    if (type == kFull || type == kLast) end = next;
    at = next;
  }
  const std::string_view rest = manifest.substr(end);
  const std::size_t last = rest.find_last_not_of('\0');
  const std::size_t zeros = end + (last == std::string_view::npos ? 0 : last + 1);
  const std::size_t boundary = (zeros + kSectorBytes - 1) / kSectorBytes * kSectorBytes;
  return zeros == end || boundary < manifest.size() ? end : manifest.size();
}

Result<bool> cut_torn_manifest(rocksdb::FileSystem& fs, const std::string& database_path) {
  std::string name, contents;
  auto status = rocksdb::ReadFileToString(&fs, database_path + "/CURRENT", &name);
  if (!status.ok()) return false;
  while (!name.empty() && name.back() == '\n') name.pop_back();
  const std::string path = database_path + "/" + name;
  status = rocksdb::ReadFileToString(&fs, path, &contents);
  if (!status.ok()) return false;
  const std::size_t end = end_of_records(contents);
  if (end == 0 || end == contents.size()) return false;
  status = replace(fs, database_path, path, std::string_view(contents).substr(0, end));
  if (!status.ok()) return rocksdb_error(status, "cut the torn end of " + path);
  return true;
}

}  // namespace andyx::storage
