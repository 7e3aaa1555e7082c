#include "storage/database.h"

#include <rocksdb/convenience.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/listener.h>

#include "protocol/batch/batch_reader.h"
#include "storage/database_options.h"
#include "storage/rocksdb_error.h"

namespace andyx::storage {
namespace {

class Listener final : public rocksdb::EventListener {
 public:
  explicit Listener(DatabaseEvents events) : events_(std::move(events)) {}

  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* error) override {
    events_.failed(error->ToString());
  }
  // Never resume by itself: after a failed write nobody knows what the disk holds.
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status error,
                            bool* auto_recovery) override {
    *auto_recovery = false;
    events_.failed(error.ToString());
  }
  void OnFlushCompleted(rocksdb::DB*, const rocksdb::FlushJobInfo&) override { events_.flushed(); }

 private:
  DatabaseEvents events_;
};

// Read-ahead for short stretches costs more than it gives among many logs.
constexpr std::size_t kLeastReadAheadBytes = 64 << 10;
constexpr std::size_t kMostReadAheadBytes = 1 << 20;

rocksdb::ReadOptions read_options(std::size_t read_ahead_bytes) {
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  options.background_purge_on_iterator_cleanup = true;  // else files are deleted on this thread
  if (read_ahead_bytes >= kLeastReadAheadBytes) {
    options.readahead_size = std::min(read_ahead_bytes, kMostReadAheadBytes);
  }
  return options;
}

std::unexpected<Error> missing(LogId log, const Run& run, Offset offset) {
  return fail(ErrorCode::kCorrupt, "log " + std::to_string(log) + ": the batch with offset " +
                                       std::to_string(offset) + " is missing from generation " +
                                       std::to_string(run.generation));
}

// Reads the batches of rows, one after the other.
class BatchSource {
 public:
  BatchSource(Segments& segments, std::size_t read_ahead_bytes)
      : segments_(segments), ahead_bytes_(std::min(read_ahead_bytes, kMostReadAheadBytes)) {}

  Result<SharedBytes> batch(std::string_view row, const std::optional<Place>& place) {
    if (!place) {  // earlier formats: the row is the batch
      return SharedBytes::copy_of({reinterpret_cast<const std::uint8_t*>(row.data()), row.size()});
    }
    if (ahead_bytes_ >= kLeastReadAheadBytes &&
        (place->file != ahead_file_ || place->record >= ahead_to_)) {
      segments_.read_ahead(*place, ahead_bytes_);
      ahead_file_ = place->file;
      ahead_to_ = place->record + ahead_bytes_;
    }
    return segments_.read(*place);
  }

 private:
  Segments& segments_;
  const std::size_t ahead_bytes_;
  FileNumber ahead_file_ = 0;
  std::uint64_t ahead_to_ = 0;
};

}  // namespace

Result<std::unique_ptr<Database>> Database::open(std::shared_ptr<rocksdb::FileSystem> fs,
                                                 const DatabaseOptions& options,
                                                 DatabaseEvents events) {
  std::unique_ptr<Database> database(new Database);
  auto segments =
      Segments::open(std::move(fs), options.path, options.segments_path, events.segment_kept);
  if (!segments) return std::unexpected(segments.error());
  database->segments_ = std::move(*segments);
  database->env_ = rocksdb::NewCompositeEnv(database->segments_);
  rocksdb::DB* db = nullptr;
  const auto status =
      rocksdb::DB::Open(database_options(options, database->env_.get(),
                                         std::make_shared<Listener>(std::move(events))),
                        options.path, family_descriptors(options), &database->families_, &db);
  if (!status.ok()) return rocksdb_error(status, "open " + options.path);
  database->db_.reset(db);
  return database;
}

Database::~Database() { (void)close(); }

Status Database::close() {
  if (!db_) return {};
  for (rocksdb::ColumnFamilyHandle* handle : families_) {
    db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  }
  families_.clear();
  const auto status = db_->Close();
  db_.reset();
  if (!status.ok()) return rocksdb_error(status, "close");
  return {};
}

Result<bool> Database::start_flush_of_all() {
  rocksdb::FlushOptions options;
  options.wait = false;
  options.allow_write_stall = true;  // bounded by our own back-pressure; without it Flush may block
  const auto status = db_->Flush(options, families_);
  if (status.IsTryAgain()) return false;
  if (!status.ok()) return rocksdb_error(status, "start a flush");
  return true;
}

Status Database::flush_all() {
  rocksdb::FlushOptions options;
  options.allow_write_stall = true;
  const auto status = db_->Flush(options, families_);
  if (!status.ok()) return rocksdb_error(status, "flush");
  return {};
}

std::uint32_t Database::unflushed_memtables() {
  std::uint64_t most = 0;
  for (rocksdb::ColumnFamilyHandle* handle : families_) {
    std::uint64_t count = 0;
    db_->GetIntProperty(handle, rocksdb::DB::Properties::kNumImmutableMemTable, &count);
    most = std::max(most, count);
  }
  return static_cast<std::uint32_t>(most);
}

Status Database::visit_run(LogId log, const Run& run, Offset from, std::size_t read_ahead_bytes,
                           const BatchVisit& visit) {
  const std::string upper = encode_key({run.generation, log, run.end});
  const rocksdb::Slice upper_slice(upper);
  rocksdb::ReadOptions options = read_options(read_ahead_bytes);
  options.iterate_upper_bound = &upper_slice;
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options, family(Family::kLog)));
  BatchSource source(*segments_, read_ahead_bytes);
  std::optional<Offset> expected;
  for (it->Seek(encode_key({run.generation, log, from})); it->Valid(); it->Next()) {
    const auto key = decode_batch_key(it->key().ToStringView());
    const auto read =
        source.batch(it->value().ToStringView(), decode_place(it->value().ToStringView()));
    if (!read) return std::unexpected(read.error());
    const ByteSpan bytes = read->span();
    auto header = batch::read_header(bytes);
    if (!key || !header || header->size_bytes != bytes.size() ||
        header->last_offset() != key->last_offset || !batch::verify_checksum(bytes, *header)) {
      return fail(ErrorCode::kCorrupt,
                  "log " + std::to_string(log) + ": the batch that ends at offset " +
                      std::to_string(key ? key->last_offset : 0) + " is damaged in generation " +
                      std::to_string(run.generation));
    }
    if (expected ? header->base_offset != *expected : header->base_offset > from) {
      return missing(log, run, expected.value_or(from));
    }
    expected = header->end_offset();
    if (!visit(*key, *read)) return {};
  }
  if (!it->status().ok()) {
    return rocksdb_error(it->status(), "read log " + std::to_string(log));
  }
  if (expected.value_or(from) != run.end) return missing(log, run, expected.value_or(from));
  return {};
}

Status Database::visit_batches_from(Generation generation, const AnyBatchVisit& visit) {
  BatchSource source(*segments_, 0);
  Status status;
  const Status rows = visit_rows_from(Family::kLog, encode_key({generation, 0, 0}),
                                      [&](std::string_view key, std::string_view row) {
                                        const auto place = decode_place(row);
                                        const auto bytes = source.batch(row, place);
                                        if (!bytes) status = std::unexpected(bytes.error());
                                        return bytes && visit(key, place, *bytes);
                                      });
  return rows ? status : rows;
}

Result<std::optional<std::string>> Database::get(Table table, std::string_view key) const {
  std::string value;
  const auto status = db_->Get(rocksdb::ReadOptions(), family(table),
                               rocksdb::Slice(key.data(), key.size()), &value);
  if (status.IsNotFound()) return std::nullopt;
  if (!status.ok()) return rocksdb_error(status, "read a state key");
  return value;
}

Status Database::visit_rows(Family which, std::string_view prefix, const RowVisit& visit) const {
  return visit_rows_from(which, prefix, [&](std::string_view key, std::string_view row) {
    return key.starts_with(prefix) && visit(key, row);
  });
}

Status Database::visit_rows_from(Family which, std::string_view first,
                                 const RowVisit& visit) const {
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(read_options(0), family(which)));
  for (it->Seek(rocksdb::Slice(first.data(), first.size())); it->Valid(); it->Next()) {
    if (!visit(it->key().ToStringView(), it->value().ToStringView())) return {};
  }
  if (!it->status().ok()) return rocksdb_error(it->status(), "read rows");
  return {};
}

std::vector<Database::LogFile> Database::log_files() {
  std::vector<rocksdb::LiveFileMetaData> files;
  db_->GetLiveFilesMetaData(&files);
  std::vector<LogFile> out;
  for (const auto& file : files) {
    if (file.column_family_name != rocksdb::kDefaultColumnFamilyName) continue;
    const auto lowest = decode_batch_key(file.smallestkey);
    const auto highest = decode_batch_key(file.largestkey);
    if (lowest && highest) out.push_back({lowest->generation, highest->generation, file.size});
  }
  return out;
}

Status Database::delete_log_files(Generation lowest, Generation highest) {
  const std::string first = encode_key({lowest, 0, 0});
  const std::string last = encode_key({highest, ~LogId{0}, ~Offset{0}});
  const rocksdb::Slice first_slice(first);
  const rocksdb::Slice last_slice(last);
  const rocksdb::RangePtr range(&first_slice, &last_slice);
  const auto status = rocksdb::DeleteFilesInRanges(db_.get(), family(Family::kLog), &range, 1);
  if (!status.ok()) return rocksdb_error(status, "delete log files");
  return {};
}

std::uint64_t Database::disk_bytes() {
  std::uint64_t total = segments_->bytes();
  for (rocksdb::ColumnFamilyHandle* handle : families_) {
    std::uint64_t bytes = 0;
    if (db_->GetIntProperty(handle, rocksdb::DB::Properties::kTotalSstFilesSize, &bytes)) {
      total += bytes;
    }
  }
  return total;
}

}  // namespace andyx::storage
