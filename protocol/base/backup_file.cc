#include "protocol/base/backup_file.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "protocol/batch/checksum.h"

namespace andyx {
namespace {

constexpr char kMagic[] = {'A', 'N', 'D', 'Y', 'X', 'M', 'D', '\n'};
constexpr std::uint32_t kFormat = 1;

// Little-endian, as every number here.
struct Head {
  char magic[8];
  std::uint32_t format;
  std::uint32_t zero;
  std::uint8_t cluster_id[16];
  std::uint64_t version;
  std::uint64_t image_hash;
  std::int64_t created_us;
  std::uint64_t image_bytes;
};
static_assert(sizeof(Head) == 64);
constexpr std::size_t kChecksumBytes = 8;

}  // namespace

std::vector<std::uint8_t> encode_backup(const BackupHead& head, ByteSpan image) {
  Head out{.magic = {},
           .format = kFormat,
           .zero = 0,
           .cluster_id = {},
           .version = head.version,
           .image_hash = head.image_hash,
           .created_us = head.created_us,
           .image_bytes = image.size()};
  std::memcpy(out.magic, kMagic, sizeof kMagic);
  std::ranges::copy(head.cluster_id, out.cluster_id);
  std::vector<std::uint8_t> bytes(sizeof out + image.size() + kChecksumBytes);
  std::memcpy(bytes.data(), &out, sizeof out);
  std::ranges::copy(image, bytes.begin() + sizeof out);
  const std::uint64_t checksum = batch::checksum64({bytes.data(), bytes.size() - kChecksumBytes});
  std::memcpy(bytes.data() + bytes.size() - kChecksumBytes, &checksum, kChecksumBytes);
  return bytes;
}

Result<BackupFile> decode_backup(ByteSpan bytes) {
  Head head;
  if (bytes.size() < sizeof head + kChecksumBytes)
    return fail(ErrorCode::kCorrupt, "it has " + std::to_string(bytes.size()) +
                                         " bytes: no backup of the metadata is so short");
  std::memcpy(&head, bytes.data(), sizeof head);
  if (!std::ranges::equal(head.magic, kMagic))
    return fail(ErrorCode::kCorrupt, "it is no backup of the metadata: it begins otherwise");
  if (head.format > kFormat && head.zero == 0) {
    return fail(ErrorCode::kUnsupportedVersion, "it is of format " + std::to_string(head.format) +
                                                    ", this program knows up to " +
                                                    std::to_string(kFormat));
  }
  const std::size_t image_bytes = bytes.size() - sizeof head - kChecksumBytes;
  if (head.image_bytes != image_bytes) {
    return fail(ErrorCode::kCorrupt,
                "it is not whole: it should hold " + std::to_string(head.image_bytes) +
                    " bytes of metadata and holds " + std::to_string(image_bytes));
  }
  std::uint64_t checksum = 0;
  std::memcpy(&checksum, bytes.data() + bytes.size() - kChecksumBytes, kChecksumBytes);
  const bool whole = checksum == batch::checksum64(bytes.first(bytes.size() - kChecksumBytes));
  if (!whole || head.format != kFormat || head.zero != 0)
    return fail(ErrorCode::kCorrupt, "it is damaged: its checksum does not match its content");
  BackupFile file{.head = {.cluster_id = {},
                           .version = head.version,
                           .image_hash = head.image_hash,
                           .created_us = head.created_us},
                  .image = bytes.subspan(sizeof head, image_bytes)};
  std::ranges::copy(head.cluster_id, file.head.cluster_id.begin());
  return file;
}

}  // namespace andyx
