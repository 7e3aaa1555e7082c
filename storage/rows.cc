#include "storage/rows.h"

namespace andyx::storage {
namespace {

rocksdb::Slice slice(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

// The additions to a WriteBatch fail only on a size over 4 GiB or a null family: bugs of ours.
void RowWriter::put(Family family, const std::string& key, std::string_view row) {
  batch_.rows.Put(database_.family(family), key, slice(row)).PermitUncheckedError();
}

void RowWriter::remove(Family family, const std::string& key) {
  batch_.rows.Delete(database_.family(family), key).PermitUncheckedError();
}

void RowWriter::put_batch(const BatchKey& key, ByteSpan bytes) {
  batch_.rows.PutLogData({reinterpret_cast<const char*>(bytes.data()), bytes.size()})
      .PermitUncheckedError();
  batch_.placed.push_back(
      {.key = encode_key(key),
       .at = static_cast<std::uint32_t>(batch_.rows.GetDataSize() - bytes.size()),
       .size = static_cast<std::uint32_t>(bytes.size())});
}

void RowWriter::put_places(FileNumber file, std::uint64_t record) {
  for (const RoundBatch::Placed& batch : batch_.placed) {
    put(Family::kLog, batch.key,
        encode_place({.file = file, .record = record, .at = batch.at, .size = batch.size}));
  }
}

void RowWriter::delete_batch(const BatchKey& key) { remove(Family::kLog, encode_key(key)); }

void RowWriter::put_state(const StatePut& put) {
  rocksdb::ColumnFamilyHandle* family = database_.family(put.table);
  if (put.value) {
    batch_.rows.Put(family, put.key, *put.value).PermitUncheckedError();
  } else {
    batch_.rows.Delete(family, put.key).PermitUncheckedError();
  }
}

void RowWriter::put_round(const Round& round) {
  put(Family::kHead, round_key(), encode_row(round));
}

void RowWriter::put_run(LogId log, const Run& run) {
  put(Family::kIndex, run_key(run.generation, log, run.first), encode_run(run));
}

void RowWriter::delete_run(LogId log, const Run& run) {
  remove(Family::kIndex, run_key(run.generation, log, run.first));
}

void RowWriter::put_head(LogId log, const Head& head) {
  put(Family::kHead, tagged_key(kHeadTag, log), encode_row(head));
}

void RowWriter::put_change(const HeadChange& change, Generation open_generation) {
  if (change.dropped) {
    remove(Family::kHead, tagged_key(kHeadTag, change.log));
    remove(Family::kHead, tagged_key(kStartTag, change.log));
    put(Family::kHead, tagged_key(kDroppedTag, change.log),
        encode_row(std::uint64_t{open_generation}));
  } else {
    put(Family::kHead, tagged_key(kStartTag, change.log), encode_row(change.start));
  }
}

void RowWriter::put_sealed(Generation generation, const Sealed& sealed) {
  put(Family::kHead, tagged_key(kSealedTag, generation), encode_row(sealed));
}

void RowWriter::delete_sealed(Generation generation) {
  remove(Family::kHead, tagged_key(kSealedTag, generation));
}

void RowWriter::delete_dropped(LogId log) { remove(Family::kHead, tagged_key(kDroppedTag, log)); }

void RowWriter::put_cut(const std::vector<CutLog>& logs, Generation generation,
                        const Sealed& sealed) {
  for (const CutLog& log : logs) {
    for (const Run& run : log.runs) put_run(log.log, run);
    put_head(log.log, log.head);
  }
  put_sealed(generation, sealed);
}

}  // namespace andyx::storage
