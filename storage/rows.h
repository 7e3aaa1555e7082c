// Puts the shard's rows into a WriteBatch: the one place that says which row a change writes.
// Writer thread, and recovery before it starts.
#pragma once

#include <rocksdb/write_batch.h>

#include <vector>

#include "storage/database.h"
#include "storage/log_table.h"

namespace andyx::storage {

class RowWriter {
 public:
  RowWriter(const Database& database, rocksdb::WriteBatch& batch)
      : database_(database), batch_(batch) {}

  void put_batch(const BatchKey& key, ByteSpan bytes);
  void delete_batch(const BatchKey& key);
  void put_state(const StatePut& put);
  void put_round(const Round& round);
  void put_run(LogId log, const Run& run);
  void delete_run(LogId log, const Run& run);
  void put_head(LogId log, const Head& head);
  void put_change(const HeadChange& change, Generation open_generation);
  void put_sealed(Generation generation, const Sealed& sealed);
  void delete_sealed(Generation generation);
  void delete_dropped(LogId log);
  // Everything that a cut of the open generation writes.
  void put_cut(const std::vector<CutLog>& logs, const Round& round);

 private:
  void put(Family family, const std::string& key, std::string_view row);
  void remove(Family family, const std::string& key);

  const Database& database_;
  rocksdb::WriteBatch& batch_;
};

}  // namespace andyx::storage
