#include "raft/store/store_recovery.h"

#include <rocksdb/write_batch.h>

#include <cstring>

#include "raft/store/store_error.h"

namespace andyx::raft {
namespace {

std::string text_of(const StoreState& state) {
  return "round " + std::to_string(state.round) + " (term " + std::to_string(state.term) +
         ", vote " + std::to_string(state.vote) + ", last index " +
         std::to_string(state.last_index) + ")";
}

class Recovery {
 public:
  Recovery(StoreDatabase& database, const Mark& mark, const std::string& path)
      : database_(database), mark_(mark), where_("the raft store " + path) {}

  Status replay(const std::string& copy);
  Status load_state(StoreState& state);
  Status load_log(const StoreState& state, LogView& log);
  Status load_snapshot(const StoreState& state, SnapshotRow& row, SnapshotPtr& snapshot);
  Status remove_stale_snapshots(const StoreState& state);

 private:
  std::unexpected<Error> damaged(const std::string& what) const {
    return fail(ErrorCode::kCorrupt, where_ + ": " + what + ". " + kRejoin);
  }

  StoreDatabase& database_;
  const Mark mark_;
  const std::string where_;
};

// Its copy was durable before the round in the WAL, which therefore was not done; or the WAL's end,
// with this round alone, is damaged.
Status Recovery::replay(const std::string& copy) {
  const auto row = database_.get(state_key());
  if (!row) return std::unexpected(row.error());
  const auto state = *row ? decode_state(**row) : StoreState{};
  if (copy.empty() || !state || state->round + 1 != mark_.state.round) return {};
  rocksdb::WriteBatch round(copy);
  return database_.write(round, true);
}

Status Recovery::load_state(StoreState& state) {
  const auto row = database_.get(state_key());
  if (!row) return std::unexpected(row.error());
  if (mark_.state.round == 0) return damaged("the watermark is empty");
  const auto decoded = *row ? decode_state(**row) : StoreState{};
  if (!decoded) return damaged("its state is damaged");
  state = *decoded;
  if (state.round < mark_.state.round) {
    return fail(ErrorCode::kDataLoss, where_ + " was synced up to " + text_of(mark_.state) +
                                          ", what can be read ends at " + text_of(state) +
                                          ": the disk has lost or damaged the rest. " + kRejoin);
  }
  if (state.round == mark_.state.round && state != mark_.state) {
    return damaged("the watermark and the database contradict each other at " + text_of(state));
  }
  // The mark follows each synced round before the next one begins.
  if (mark_.fsync && state.round > mark_.state.round + 1) {
    return damaged("the watermark ends at " + text_of(mark_.state) + ", the database goes on to " +
                   text_of(state) + ": one of them is not the newest");
  }
  return {};
}

Status Recovery::load_log(const StoreState& state, LogView& log) {
  log.reset(state.base_index, state.base_term);
  bool follows = true;
  const Status read = database_.visit_entries(state.base_index + 1, state.last_index + 1,
                                              [&](DecodedEntry decoded) {
                                                follows = decoded.previous_term == log.last_term();
                                                if (!follows) return false;
                                                log.append(decoded.entry, 0);
                                                log.evict(0);
                                                return true;
                                              });
  if (!read) return read;
  if (!follows || log.last_term() != state.last_term) {
    return fail(ErrorCode::kDataLoss, where_ + ": the log does not hold together behind entry " +
                                          std::to_string(log.last_index()) +
                                          ", a write in between is missing. " + kRejoin);
  }
  return {};
}

Status Recovery::load_snapshot(const StoreState& state, SnapshotRow& row, SnapshotPtr& snapshot) {
  const auto loaded = std::make_shared<Snapshot>();
  snapshot = loaded;
  if (state.snapshot_index == 0) return {};
  const std::string name = "its snapshot at index " + std::to_string(state.snapshot_index);
  const std::string key = snapshot_key(state.snapshot_index);
  std::uint64_t filled = 0;
  bool found = false, whole = true;
  const Status read = database_.visit(key, [&](std::string_view at, std::string_view bytes) {
    if (!at.starts_with(key)) return false;
    if (at == key) {
      const auto decoded = decode_snapshot(bytes);
      whole = decoded.has_value();
      if (!whole) return false;
      row = *decoded;
      found = true;
      if (row.data_bytes > 0) loaded->data = SharedBytes::allocate(row.data_bytes);
      return true;
    }
    whole = found && bytes.size() <= row.data_bytes - filled;
    if (!whole) return false;
    std::memcpy(loaded->data.mutable_data() + filled, bytes.data(), bytes.size());
    filled += bytes.size();
    return true;
  });
  if (!read) return read;
  if (!found && whole) return damaged(name + " is missing");
  whole = whole && filled == row.data_bytes && row.meta.index == state.snapshot_index &&
          checksum_of(loaded->data.span()) == row.data_checksum;
  if (!whole) return damaged(name + " is damaged");
  loaded->meta = row.meta;
  return {};
}

// Parts of a snapshot whose round never came.
Status Recovery::remove_stale_snapshots(const StoreState& state) {
  rocksdb::WriteBatch batch;
  const Status read =
      database_.visit(snapshot_prefix(), [&](std::string_view key, std::string_view) {
        if (decode_snapshot_key(key) != state.snapshot_index) {
          batch.Delete(rocksdb::Slice(key.data(), key.size()));
        }
        return true;
      });
  if (!read || batch.Count() == 0) return read;
  return database_.write(batch, mark_.fsync);
}

}  // namespace

Result<Recovered> recover_store(StoreDatabase& database, const MarkedRound& newest,
                                const std::string& path, std::uint64_t cache_bytes) {
  Recovered recovered{.log = LogView(cache_bytes)};
  Recovery recovery(database, newest.mark, path);
  Status status = recovery.replay(newest.copy);
  if (status) status = recovery.load_state(recovered.state);
  if (status) status = recovery.load_log(recovered.state, recovered.log);
  if (status) {
    status = recovery.load_snapshot(recovered.state, recovered.snapshot_row, recovered.snapshot);
  }
  if (status) status = recovery.remove_stale_snapshots(recovered.state);
  if (!status) return std::unexpected(status.error());
  return recovered;
}

}  // namespace andyx::raft
