// The end of RocksDB's MANIFEST after a power failure: what was appended and not synced may be
// there in part, the rest as zeros. RocksDB takes that for corruption and does not open. It has
// deleted nothing that the state before that record needs, so the record may go; what is lacking
// then is found against the watermark.
//
// Any thread, while no database is open.
#pragma once

#include <string>
#include <string_view>

#include "protocol/base/error.h"

namespace rocksdb {
class FileSystem;
}  // namespace rocksdb

namespace andyx::raft {

// Where the last record of `manifest` begins, if it ends in zeros from a sector's boundary up to
// the end of the file; else manifest.size(). For a MANIFEST that RocksDB has refused: checksums are
// not looked at.
std::size_t begin_of_torn_record(std::string_view manifest);

// Cuts that record off the MANIFEST that CURRENT names. False: there is none.
Result<bool> cut_torn_manifest(rocksdb::FileSystem& fs, const std::string& database_path);

}  // namespace andyx::raft
