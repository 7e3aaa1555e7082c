// The files and directories of a FaultFileSystem: they ask it before each call, and tell it what
// was done. It outlives them.
#pragma once

#include <memory>
#include <string>

#include "tests/storage/support/fault_fs.h"

namespace andyx::storage::test {

inline rocksdb::IOStatus no_power() { return rocksdb::IOStatus::IOError("the power is off"); }

std::unique_ptr<rocksdb::FSWritableFile> with_faults(std::unique_ptr<rocksdb::FSWritableFile> file,
                                                     FaultFileSystem& owner, std::string path);
std::unique_ptr<rocksdb::FSRandomRWFile> with_faults(std::unique_ptr<rocksdb::FSRandomRWFile> file,
                                                     FaultFileSystem& owner, std::string path);
std::unique_ptr<rocksdb::FSDirectory> with_faults(std::unique_ptr<rocksdb::FSDirectory> directory,
                                                  FaultFileSystem& owner, std::string path);

}  // namespace andyx::storage::test
