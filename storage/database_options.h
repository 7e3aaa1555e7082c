// RocksDB's options, each with its reason. Inside of storage only.
#pragma once

#include <rocksdb/options.h>

#include <memory>
#include <vector>

#include "storage/database.h"

namespace andyx::storage {

rocksdb::DBOptions database_options(const DatabaseOptions& options, rocksdb::Env* env,
                                    std::shared_ptr<rocksdb::EventListener> listener);
std::vector<rocksdb::ColumnFamilyDescriptor> family_descriptors(const DatabaseOptions& options);

}  // namespace andyx::storage
