#include "server/subscription/cursor_record.h"

#include <cassert>
#include <string>

#include "cursor_record_generated.h"
#include "protocol/base/limits.h"

namespace andyx::server {

namespace {

constexpr std::uint8_t kVersion = 2;
constexpr std::size_t kChangeOverheadBytes = 192;  // table, vtable, vectors' lengths, padding
constexpr flatbuffers::uoffset_t kVerifyDepth = 8;
constexpr flatbuffers::uoffset_t kVerifyTables = 1'000'000;

std::unexpected<Error> corrupt(const std::string& what) {
  return fail(ErrorCode::kCorrupt, "record of subscriptions: " + what);
}

// Ranges of a kState are ascending and disjoint; those of an update may come in any order.
template <typename Ranges>
bool well_formed(const Ranges& ranges, bool ascending) {
  Offset next = 0;
  for (const auto& range : ranges) {
    if (range.first > range.last || range.last == kNoOffset) return false;
    if (ascending && range.first < next) return false;
    next = range.last + 1;
  }
  return true;
}

void read_ranges(const flatbuffers::Vector<const wire::AnsweredRange*>* from,
                 std::vector<OffsetRange>& to) {
  if (from == nullptr) return;
  to.reserve(from->size());
  for (const auto* range : *from) to.push_back({range->first(), range->last()});
}

flatbuffers::Offset<flatbuffers::Vector<const wire::AnsweredRange*>> write_ranges(
    flatbuffers::FlatBufferBuilder& builder, const std::vector<OffsetRange>& ranges) {
  if (ranges.empty()) return {};
  return builder.CreateVectorOfStructs<wire::AnsweredRange>(
      ranges.size(), [&](std::size_t i, wire::AnsweredRange* to) {
        *to = wire::AnsweredRange(ranges[i].first, ranges[i].last);
      });
}

Result<CursorChange> read_change(const wire::CursorChange& from) {
  CursorChange change;
  change.subscription = from.subscription_id();
  switch (from.kind()) {
    case wire::CursorChangeKind::update:
      change.kind = CursorChange::Kind::kUpdate;
      break;
    case wire::CursorChangeKind::state:
      change.kind = CursorChange::Kind::kState;
      break;
    case wire::CursorChangeKind::deleted:
      change.kind = CursorChange::Kind::kDeleted;
      break;
    default:
      return corrupt("a change of an unknown kind");
  }
  change.floor = from.floor();
  change.skipped = from.skipped();
  change.start = from.start();
  if (from.due_cursor() != nullptr)
    change.due_cursor = {from.due_cursor()->at_us(), from.due_cursor()->offset()};
  change.delayed = from.delayed();
  change.dead_lettered = from.dead_lettered();
  read_ranges(from.answered(), change.answered);
  read_ranges(from.matured(), change.matured);
  read_ranges(from.dead_round(), change.dead_round);
  if (from.redeliveries() != nullptr) {
    change.redeliveries.reserve(from.redeliveries()->size());
    for (const auto* r : *from.redeliveries())
      change.redeliveries.push_back(
          {r->first(), r->last(), r->first_delivered_us(), r->count(), r->due_us()});
  }
  const bool ascending = change.kind == CursorChange::Kind::kState;
  if (change.subscription == 0 || !well_formed(change.answered, ascending) ||
      !well_formed(change.redeliveries, ascending) || !well_formed(change.matured, ascending) ||
      !well_formed(change.dead_round, true))
    return corrupt("a change of subscription " + std::to_string(change.subscription) +
                   " has ranges out of place");
  return change;
}

}  // namespace

std::size_t change_bytes(const CursorChange& change) {
  return kChangeOverheadBytes +
         (change.answered.size() + change.matured.size() + change.dead_round.size()) *
             sizeof(wire::AnsweredRange) +
         change.redeliveries.size() * sizeof(wire::RedeliveryRange);
}

std::vector<std::uint8_t> encode_cursor_record(std::span<const CursorChange> changes,
                                               DueKey due_removed, Offset covered) {
  std::size_t bytes = kChangeOverheadBytes;
  for (const CursorChange& change : changes) bytes += change_bytes(change);
  flatbuffers::FlatBufferBuilder builder(bytes);
  std::vector<flatbuffers::Offset<wire::CursorChange>> tables;
  tables.reserve(changes.size());
  for (const CursorChange& change : changes) {
    const auto answered = write_ranges(builder, change.answered);
    const auto matured = write_ranges(builder, change.matured);
    const auto dead_round = write_ranges(builder, change.dead_round);
    flatbuffers::Offset<flatbuffers::Vector<const wire::RedeliveryRange*>> redeliveries;
    if (!change.redeliveries.empty())
      redeliveries = builder.CreateVectorOfStructs<wire::RedeliveryRange>(
          change.redeliveries.size(), [&](std::size_t i, wire::RedeliveryRange* to) {
            const RedeliveryRange& r = change.redeliveries[i];
            *to =
                wire::RedeliveryRange(r.first, r.last, r.first_delivered_us, r.count, 0, r.due_us);
          });
    const wire::DueKey due_cursor(change.due_cursor.at_us, change.due_cursor.offset);
    tables.push_back(wire::CreateCursorChange(
        builder, change.subscription, static_cast<wire::CursorChangeKind>(change.kind),
        change.floor, change.skipped, answered, redeliveries, change.start, &due_cursor,
        change.delayed, matured, change.dead_lettered, dead_round));
  }
  const wire::DueKey removed(due_removed.at_us, due_removed.offset);
  builder.Finish(wire::CreateCursorRecord(builder, kVersion, covered, builder.CreateVector(tables),
                                          due_removed == DueKey{} ? nullptr : &removed));
  return {builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()};
}

Result<CursorRecord> decode_cursor_record(ByteSpan bytes) {
  // A payload of a batch lies anywhere; FlatBuffers wants its structs aligned.
  const std::vector<std::uint8_t> aligned(bytes.begin(), bytes.end());
  flatbuffers::Verifier verifier(aligned.data(), aligned.size(), kVerifyDepth, kVerifyTables);
  if (aligned.empty() || !wire::VerifyCursorRecordBuffer(verifier))
    return corrupt("its structure does not verify");
  const wire::CursorRecord* record = wire::GetCursorRecord(aligned.data());
  if (record->version() != kVersion)
    return corrupt("version " + std::to_string(record->version()) + " is not known");
  CursorRecord decoded{.covered = record->covered(), .due_removed = {}, .changes = {}};
  if (const wire::DueKey* removed = record->due_removed())
    decoded.due_removed = {removed->at_us(), removed->offset()};
  decoded.changes.reserve(record->changes()->size());
  for (const wire::CursorChange* from : *record->changes()) {
    auto change = read_change(*from);
    if (!change) return std::unexpected(std::move(change.error()));
    decoded.changes.push_back(std::move(*change));
  }
  return decoded;
}

}  // namespace andyx::server
