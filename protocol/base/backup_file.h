// A backup of the metadata as a file: what it is of, the image, a checksum over all of it. The
// image is opaque here (server/metadata/snapshot.h). FORMAT.md, Backup of the metadata. Pure; any
// thread.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/shared_bytes.h"

namespace andyx {

struct BackupHead {
  std::array<std::uint8_t, 16> cluster_id{};
  std::uint64_t version = 0;     // position in the metadata log
  std::uint64_t image_hash = 0;  // of the state at `version`, equal on every node
  TimeUs created_us = 0;
};

struct BackupFile {
  BackupHead head;
  ByteSpan image;  // points into what was decoded
};

std::vector<std::uint8_t> encode_backup(const BackupHead& head, ByteSpan image);

// kCorrupt: it is none, or not whole, or a bit of it differs. kUnsupportedVersion: of a newer
// program.
Result<BackupFile> decode_backup(ByteSpan bytes);

}  // namespace andyx
