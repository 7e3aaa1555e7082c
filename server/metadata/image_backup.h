// An image as a backup file (protocol/base/backup_file.h), and back. Pure.
#pragma once

#include <memory>

#include "protocol/base/backup_file.h"
#include "server/metadata/command.h"
#include "server/metadata/image.h"

namespace andyx::server {

std::vector<std::uint8_t> backup_of(const Image& image, TimeUs created_us);

struct ImageBackup {
  BackupHead head;
  std::shared_ptr<const Image> image;
};
// kCorrupt: the file is damaged, or is not of the image that it says. kUnsupportedVersion: file or
// image are of a newer program. `bytes` aligned as by malloc.
Result<ImageBackup> read_backup(ByteSpan bytes);

}  // namespace andyx::server
