// The end of RocksDB's MANIFEST after a power failure. What was appended to it and not synced may
// be there in part, the rest as zeros: file systems write sizes and data apart. RocksDB takes a
// short last record as the end of the file, but one that ends in zeros as corruption, and does not
// open. Such a record was never synced, so RocksDB has deleted nothing that the state before it
// needs. Layout: RocksDB's log format (db/log_format.h): blocks of 32 KiB; masked CRC32C, length,
// type.
//
// Any thread, while no database is open.
#pragma once

#include <rocksdb/file_system.h>

#include <memory>
#include <string>
#include <string_view>

#include "protocol/base/error.h"

namespace andyx::storage {

// How many bytes of `manifest` are whole records, where what follows them can be such an end: one
// record at most, and zeros from a sector's boundary up to the end. Otherwise manifest.size().
std::size_t end_of_records(std::string_view manifest);

// Cuts such an end off the MANIFEST that CURRENT names. False: there is none. kIo.
Result<bool> cut_torn_manifest(rocksdb::FileSystem& fs, const std::string& database_path);

}  // namespace andyx::storage
