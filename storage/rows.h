// Puts the shard's rows into a WriteBatch: the one place that says which row a change writes.
// Writer thread, and recovery before it starts.
#pragma once

#include <rocksdb/write_batch.h>

#include <vector>

#include "storage/database.h"
#include "storage/log_table.h"

namespace andyx::storage {

// What is written together: rows, and the batches that they place, which lie in it as data for the
// WAL alone.
struct RoundBatch {
  struct Placed {
    std::string key;  // of its row
    std::uint32_t at = 0, size = 0;
  };
  rocksdb::WriteBatch rows;
  std::vector<Placed> placed;

  void clear() {
    rows.Clear();
    placed.clear();
  }
};

class RowWriter {
 public:
  RowWriter(const Database& database, RoundBatch& batch) : database_(database), batch_(batch) {}

  void put_batch(const BatchKey& key, ByteSpan bytes);
  // The rows of the batches, for the record that begins there. Again: the last ones hold.
  void put_places(FileNumber file, std::uint64_t record);
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
  void put_cut(const std::vector<CutLog>& logs, Generation generation, const Sealed& sealed);

 private:
  void put(Family family, const std::string& key, std::string_view row);
  void remove(Family family, const std::string& key);

  const Database& database_;
  RoundBatch& batch_;
};

}  // namespace andyx::storage
