// The part of the command line about backups of the metadata and their recovery. Values.
#pragma once

#include <string>

#include "protocol/base/ids.h"

namespace andyx::cli {

struct MetadataBackup {
  std::string file;
};
// Of a node that is stopped, as the next.
struct MetadataRestore {
  std::string file;
  std::string data_dir;
  NodeId node = 1;
  bool force = false;
};
struct MetadataForceRecover {
  std::string data_dir;
  NodeId node = 1;
  bool accept_data_loss = false;
};

}  // namespace andyx::cli
