#include "server/metadata/image_backup.h"

#include "server/metadata/snapshot.h"

namespace andyx::server {
namespace {

// In the order in which the id is written.
std::array<std::uint8_t, 16> bytes_of(const Uuid& id) {
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[i] = static_cast<std::uint8_t>(id.hi >> (56 - 8 * i));
    bytes[8 + i] = static_cast<std::uint8_t>(id.lo >> (56 - 8 * i));
  }
  return bytes;
}

}  // namespace

std::vector<std::uint8_t> backup_of(const Image& image, TimeUs created_us) {
  const BackupHead head{.cluster_id = bytes_of(image.cluster_id),
                        .version = image.position,
                        .image_hash = image.hash(),
                        .created_us = created_us};
  return encode_backup(head, encode_snapshot(image));
}

Result<ImageBackup> read_backup(ByteSpan bytes) {
  const auto file = decode_backup(bytes);
  if (!file) return std::unexpected(file.error());
  auto image = decode_snapshot(file->image);
  if (!image) return std::unexpected(image.error());
  const BackupHead& head = file->head;
  const bool fits = (*image)->position == head.version && (*image)->hash() == head.image_hash &&
                    bytes_of((*image)->cluster_id) == head.cluster_id;
  if (!fits) return fail(ErrorCode::kCorrupt, "its head speaks of other metadata than it holds");
  return ImageBackup{head, std::move(*image)};
}

}  // namespace andyx::server
