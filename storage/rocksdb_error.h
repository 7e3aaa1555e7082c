// RocksDB's statuses as our errors.
#pragma once

#include <rocksdb/status.h>

#include <string>

#include "protocol/base/error.h"

namespace andyx::storage {

inline std::unexpected<Error> rocksdb_error(const rocksdb::Status& status,
                                            const std::string& where) {
  const ErrorCode code = status.IsCorruption() ? ErrorCode::kCorrupt : ErrorCode::kIo;
  return fail(code, where + ": " + status.ToString());
}

}  // namespace andyx::storage
