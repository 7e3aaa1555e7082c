// The image as bytes (ImageSnapshot in metadata_entry.fbs), so that the log below it may be
// trimmed. Pure.
#pragma once

#include <memory>

#include "protocol/base/error.h"
#include "protocol/base/shared_bytes.h"
#include "server/metadata/command.h"
#include "server/metadata/image.h"

namespace andyx::server {

EntryBytes encode_snapshot(const Image& image);

// The same image, hash included. kCorrupt when the bytes are damaged or their content does not have
// the hash that was written; kUnsupportedVersion for one of a newer program. `bytes` aligned as by
// malloc.
Result<std::shared_ptr<const Image>> decode_snapshot(ByteSpan bytes);

}  // namespace andyx::server
