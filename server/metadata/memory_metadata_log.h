// The in-memory twin of the metadata log, with faults on demand. Several logs on one store are
// several nodes. Calls are answered at once, inside the call; any thread.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>

#include "server/metadata/metadata_log.h"

namespace andyx::server {

// What survives the logs on it.
struct MemoryMetadataStore {
  enum class Fault { kNone, kNotApplied, kIndeterminateWritten, kIndeterminateLost };

  std::mutex mutex;
  std::deque<EntryBytes> entries;
  Position start = 0;
  ControllerEpoch epoch = 0;
  std::optional<ImageSnapshotBytes> snapshot;
  Fault next_append = Fault::kNone;  // for one append
  std::uint64_t appends = 0;         // that came to something

  Position end() const { return start + entries.size(); }
};

std::unique_ptr<MetadataLog> open_memory_metadata_log(std::shared_ptr<MemoryMetadataStore> store);

}  // namespace andyx::server
