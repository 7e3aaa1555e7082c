#include "server/partition/due_index.h"

#include <algorithm>
#include <limits>

#include "server/app/log.h"
#include "server/loop/core_loop.h"
#include "server/partition/due_row.h"
#include "server/partition/partition.h"

namespace andyx::server {
namespace {

constexpr std::size_t kCountRows = 65'536;    // in one job of the read pool
constexpr std::size_t kRemoveRows = 8'192;    // in one write
constexpr std::uint32_t kReplicaSeconds = 5;  // between looks at what the main has removed

DueKey end_of(TimeUs time_us) { return {time_us, std::numeric_limits<Offset>::max()}; }

DueKey before(DueKey key) {
  if (key.offset != 0) return {key.at_us, key.offset - 1};
  return end_of(key.at_us - 1);
}

}  // namespace

DueIndex::DueIndex(CoreLoop& loop, Partition& partition, Offset recovered_end)
    : loop_(loop), partition_(partition), summary_(recovered_end) {}

Result<DueKey> DueIndex::read_removed_to(const storage::StorageShard& shard, PartitionId id) {
  auto row = shard.get(storage::Table::kCursor, due_removed_key(id));
  if (!row) return std::unexpected(row.error());
  if (!*row) return DueKey{};
  const auto key = decode_due_key(**row);
  if (!key) return fail(ErrorCode::kCorrupt, "the row of removed delays is damaged");
  return *key;
}

Status DueIndex::recover() {
  const auto key = read_removed_to(*loop_.node().shard, partition_.id());
  if (!key) return std::unexpected(key.error());
  removed_to_ = clean_to_ = *key;
  return {};
}

void DueIndex::suspend() {
  ++life_;
  closed_ = replica_rows_ = true;
  reading_ = false;
  replica_seconds_ = 0;
  passed_ = clean_to_ = {};
}

void DueIndex::resume(Offset end, DueKey removed_to) {
  ++life_;
  closed_ = reading_ = replica_rows_ = false;
  summary_ = DueSummary(end);
  counted_to_.reset();
  added_meanwhile_.reset();
  passed_ = {};
  removed_to_ = removed_to;
  clean_to_ = {};  // messages that came late to this copy may have rows anywhere below
}

// ---- Rows come ----

std::vector<DueKey> DueIndex::rows_of(ByteSpan batch, const batch::Header& header,
                                      TimeUs append_time_us) {
  std::vector<DueKey> rows;
  if ((header.flags & batch::kFlagDeliverAt) == 0) return rows;
  for (std::uint32_t index = 0; index < header.count; ++index) {
    const TimeUs at_us = batch::deliver_at_us(batch, index);
    if (at_us > append_time_us) rows.push_back({at_us, header.base_offset + index});
  }
  return rows;
}

std::vector<storage::StatePut> DueIndex::puts_of(std::span<const DueKey> rows) const {
  std::vector<storage::StatePut> puts;
  puts.reserve(rows.size());
  for (const DueKey& row : rows)
    puts.push_back({storage::Table::kCursor, due_row_key(partition_.id(), row), std::string()});
  return puts;
}

void DueIndex::added(std::span<const DueKey> rows) {
  if (rows.empty()) return;
  if (!closed_)
    summary_.added(rows);
  else
    replica_rows_ = true;
  const DueKey first = *std::ranges::min_element(rows);
  if (first <= clean_to_) clean_to_ = before(first);
  added_meanwhile_ = added_meanwhile_ ? std::min(*added_meanwhile_, first) : first;
}

// ---- Rows are read ----

Result<DueIndex::Chunk> DueIndex::read_rows(std::optional<DueKey> after, std::optional<DueKey> last,
                                            std::size_t max) const {
  const PartitionId id = partition_.id();
  Chunk chunk;
  bool damaged = false;
  const Status read = loop_.node().shard->scan_from(
      storage::Table::kCursor, due_prefix(id), after ? due_row_after(id, *after) : due_prefix(id),
      [&](std::string_view row_key, std::string_view) {
        const auto key = decode_due_row_key(row_key);
        damaged = !key.has_value();
        if (damaged) return false;
        if (chunk.rows.size() < max && (!last || *key <= *last)) {
          chunk.rows.push_back(*key);
          return true;
        }
        chunk.next = *key;
        return false;
      });
  if (!read) return std::unexpected(read.error());
  if (damaged) return fail(ErrorCode::kCorrupt, "a row of the due index is damaged");
  return chunk;
}

void DueIndex::read(DueKey after, TimeUs until_us, std::size_t max, ReadDue done) {
  const auto next_us = summary_.next_after(after);
  if (!next_us || *next_us > until_us) return done(std::vector<DueKey>{});
  auto job = [this, keep = partition_.shared_from_this(), after, until_us, max, life = life_,
              id = summary_.read_begins(after, until_us), done = std::move(done)]() mutable {
    auto chunk = read_rows(after, end_of(until_us), max);
    auto& loop = loop_.net_loop();
    loop.post([this, keep = std::move(keep), until_us, life, id, chunk = std::move(chunk),
               done = std::move(done)]() mutable {
      if (life != life_) return done(std::vector<DueKey>{});
      if (!chunk) {
        summary_.read_failed(id);
        return done(fail(chunk.error().code,
                         partition_.describe() + ": due index: " + chunk.error().message));
      }
      const bool more = chunk->next && chunk->next->at_us <= until_us;
      if (more) {
        summary_.read_failed(id);
      } else {
        std::optional<DueKey> last;
        if (!chunk->rows.empty()) last = chunk->rows.back();
        summary_.read_ended(id, last, chunk->next);
      }
      done(std::move(chunk->rows));
    });
  };
  partition_.off_loop(std::move(job));
}

bool DueIndex::read_in_background(std::optional<DueKey> after, std::optional<DueKey> last,
                                  std::size_t max, std::function<void(Chunk&)> found) {
  auto job = [this, keep = partition_.shared_from_this(), after, last, max, life = life_,
              found = std::move(found)]() mutable {
    auto chunk = read_rows(after, last, max);
    auto& loop = loop_.net_loop();
    loop.post([this, keep = std::move(keep), life, chunk = std::move(chunk),
               found = std::move(found)]() mutable {
      if (life != life_) return;
      reading_ = false;
      if (chunk) return found(*chunk);
      log::warn("due index not read",  // tried again in a second
                {{"partition", partition_.describe()}, {"error", chunk.error().message}});
    });
  };
  reading_ = loop_.node().read_pool->submit(std::move(job));
  return reading_;
}

// ---- In the background ----

bool DueIndex::every_second(TimeUs now_us, bool anybody, std::size_t& reads_left) {
  if (closed_ || loop_.draining()) return false;
  if (!summary_.complete()) {
    if (!reading_) count_rows(reads_left);
    return true;
  }
  if (!anybody) passed_ = std::max(passed_, end_of(now_us));
  remove_passed();
  return !summary_.empty();
}

void DueIndex::count_rows(std::size_t& reads_left) {
  if (reads_left == 0) return;
  --reads_left;
  read_in_background(counted_to_, std::nullopt, kCountRows, [this](Chunk& chunk) {
    if (closed_) return;
    summary_.count_recovered(chunk.rows);
    if (chunk.next) {
      counted_to_ = chunk.rows.back();
      std::size_t one_more = 1;
      return count_rows(one_more);
    }
    summary_.scan_ended();
    remove_passed();
  });
}

void DueIndex::remove_passed() {
  if (closed_ || reading_ || loop_.draining() || partition_.core().failed()) return;
  if (!summary_.complete() || summary_.empty() || clean_to_ >= passed_) return;
  const auto next_us = summary_.next_after(clean_to_);
  if (!next_us || *next_us > passed_.at_us) {
    clean_to_ = passed_;
    return;
  }
  added_meanwhile_.reset();
  read_in_background(clean_to_, passed_, kRemoveRows, [this, target = passed_](Chunk& chunk) {
    if (!closed_) remove_rows(chunk, target);
  });
}

void DueIndex::remove_rows(const Chunk& chunk, DueKey target) {
  const bool all = !chunk.next || target < *chunk.next;
  const DueKey to = all ? target : chunk.rows.back();
  if (chunk.rows.empty()) return raise_clean_to(to);
  removed_to_ = std::max(removed_to_, to);
  std::vector<storage::StatePut> puts{
      {storage::Table::kCursor, due_removed_key(partition_.id()), encode_due_key(removed_to_)}};
  for (const DueKey& row : chunk.rows)
    puts.push_back({storage::Table::kCursor, due_row_key(partition_.id(), row), std::nullopt});
  reading_ = true;
  ++removals_;
  partition_.write_begins();
  loop_.cursor_writes().add(
      {}, std::move(puts),
      [this, keep = partition_.shared_from_this(), rows = chunk.rows, to,
       life = life_](ErrorCode error) {
        --removals_;
        if (life == life_) reading_ = false;
        if (error == ErrorCode::kOk && life == life_) {
          if (!closed_) summary_.removed(rows);
          raise_clean_to(to);
          remove_passed();
        }
        if (closed_) partition_.cursors_settled();  // a role waits for it
        partition_.write_ended();
      },
      Awaited::kNo);
}

// ---- On a replica ----

bool DueIndex::every_second_of_replica(Offset internal_committed, std::size_t& reads_left) {
  if (!replica_rows_ || loop_.draining()) return false;
  if (++replica_seconds_ < kReplicaSeconds || reading_ || removals_ > 0 || reads_left == 0)
    return true;
  --reads_left;
  replica_seconds_ = 0;
  added_meanwhile_.reset();
  auto job = [this, keep = partition_.shared_from_this(), after = clean_to_, internal_committed,
              life = life_]() mutable {
    auto told =
        CursorLog::read_due_removed(*loop_.node().shard, partition_.id(), internal_committed);
    auto chunk =
        told ? read_rows(after, *told, kRemoveRows) : Result<Chunk>(std::unexpected(told.error()));
    auto& loop = loop_.net_loop();
    loop.post([this, keep = std::move(keep), life, told = std::move(told),
               chunk = std::move(chunk)]() mutable {
      if (life != life_) return;
      reading_ = false;
      if (chunk) return removed_of_replica(*told, *chunk);
      log::warn("due index of a replica not read",  // tried again
                {{"partition", partition_.describe()}, {"error", chunk.error().message}});
    });
  };
  reading_ = loop_.node().read_pool->submit(std::move(job));
  return true;
}

void DueIndex::removed_of_replica(DueKey told, const Chunk& chunk) {
  if (partition_.core().failed()) return;
  replica_rows_ = !chunk.rows.empty() || chunk.next || added_meanwhile_;
  if (!chunk.rows.empty()) return remove_rows(chunk, told);
  if (told > clean_to_) raise_clean_to(told);
}

// What was added since the rows were read may lie below `to`.
void DueIndex::raise_clean_to(DueKey to) {
  if (added_meanwhile_ && *added_meanwhile_ <= to) to = before(*added_meanwhile_);
  clean_to_ = std::max(clean_to_, to);
}

void DueIndex::remove_all_from(std::optional<DueKey> after) {
  if (loop_.draining()) return;  // the next start removes the rest
  partition_.off_loop([this, keep = partition_.shared_from_this(), after]() mutable {
    auto chunk = read_rows(after, std::nullopt, kRemoveRows);
    auto& loop = loop_.net_loop();
    loop.post([this, keep = std::move(keep), chunk = std::move(chunk)]() mutable {
      if (!chunk || chunk->rows.empty()) return;
      std::vector<storage::StatePut> puts;
      for (const DueKey& row : chunk->rows)
        puts.push_back({storage::Table::kCursor, due_row_key(partition_.id(), row), std::nullopt});
      const DueKey last = chunk->rows.back();
      loop_.cursor_writes().add(
          {}, std::move(puts),
          [this, keep = std::move(keep), last](ErrorCode error) {
            if (error == ErrorCode::kOk) remove_all_from(last);
          },
          Awaited::kNo);
    });
  });
}

}  // namespace andyx::server
