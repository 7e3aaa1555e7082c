#include "tests/fault/history/log_rules.h"

#include <algorithm>

namespace andyx::test::fault {
namespace {

std::string place(std::uint32_t partition, Offset offset) {
  return "partition " + std::to_string(partition) + " offset " + std::to_string(offset);
}

std::string text_of(MessageId id) { return id == kNobody ? "a message of nobody" : id.text(); }

}  // namespace

LogRules::LogRules(const Cast& cast, Findings& findings)
    : cast_(cast),
      findings_(findings),
      cells_(cast.partitions),
      readings_(cast.readers.size() * cast.partitions),
      final_(cast.partitions) {}

void LogRules::observe(const Event& event) {
  if (const auto* sent = std::get_if<Sent>(&event)) {
    if (fates_.size() <= sent->id.producer) fates_.resize(sent->id.producer + 1);
    std::vector<Fate>& of_producer = fates_[sent->id.producer];
    if (of_producer.size() <= sent->id.sequence) of_producer.resize(sent->id.sequence + 1);
    of_producer[sent->id.sequence].content = sent->content;
  } else if (const auto* answer = std::get_if<Answered>(&event)) {
    answered(*answer);
  } else if (const auto* from = std::get_if<ReadFrom>(&event)) {
    reading(from->reader, from->partition).next = from->offset;
  } else if (const auto* read = std::get_if<ReadRecord>(&event)) {
    read_on(*read);
  } else if (const auto* end = std::get_if<ReadEnd>(&event)) {
    read_ended(*end);
  } else if (const auto* delivered = std::get_if<Delivered>(&event)) {
    saw(static_cast<std::uint32_t>(cast_.readers.size()) + delivered->subscription,
        delivered->record);
  }
}

void LogRules::answered(const Answered& answer) {
  Fate& fate = fates_.at(answer.id.producer).at(answer.id.sequence);
  fate.not_stored = answer.outcome == Outcome::kNotStored;
  fate.maybe_stored = answer.outcome == Outcome::kMaybeStored;
  fate.committed = answer.outcome == Outcome::kCommitted;
  fate.partition = answer.partition;
  fate.offset = answer.offset;
}

void LogRules::read_on(const ReadRecord& read) {
  Reading& state = reading(read.reader, read.record.partition);
  if (read.record.offset != state.next) {
    findings_.add(Rule::kRecordVanished, witness_name(read.reader) + " reads " +
                                             place(read.record.partition, read.record.offset) +
                                             " where " + std::to_string(state.next) +
                                             " comes next");
  }
  state.next = read.record.offset + 1;
  saw(read.reader, read.record);
}

void LogRules::read_ended(const ReadEnd& end) {
  Reading& state = reading(end.reader, end.partition);
  if (state.begun && end.committed < state.committed) {
    findings_.add(Rule::kCommittedWentBack, witness_name(end.reader) + " is told committed " +
                                                std::to_string(end.committed) + " of partition " +
                                                std::to_string(end.partition) + " after " +
                                                std::to_string(state.committed));
  }
  state.begun = true;
  state.committed = std::max(state.committed, end.committed);
  state.start = end.start;
}

void LogRules::saw(std::uint32_t witness, const Record& record) {
  std::vector<Cell>& log = cells_.at(record.partition);
  if (log.size() <= record.offset) log.resize(record.offset + 1);
  Cell& cell = log[record.offset];
  if (!cell.seen) {
    cell = {.seen = true, .id = record.id, .content = record.content, .witness = witness};
    judge_new(record);
    return;
  }
  if (cell.id == record.id && cell.content == record.content) return;
  const bool same = cell.witness == witness;
  findings_.add(same ? Rule::kRecordChanged : Rule::kReadersDisagree,
                place(record.partition, record.offset) + " was " + text_of(cell.id) + " for " +
                    witness_name(cell.witness) + " and is " + text_of(record.id) + " for " +
                    witness_name(witness));
}

void LogRules::judge_new(const Record& record) {
  const std::string where = place(record.partition, record.offset);
  const bool known = record.id != kNobody && record.id.producer < fates_.size() &&
                     record.id.sequence < fates_[record.id.producer].size();
  if (!known || fates_[record.id.producer][record.id.sequence].content != record.content) {
    findings_.add(Rule::kForeignBytes, where + " holds " + text_of(record.id) +
                                           (known ? " with other bytes" : ", which nobody sent"));
    return;
  }
  const auto [known_place, first] = places_.try_emplace(record.id, record.partition, record.offset);
  if (!first) {
    findings_.add(Rule::kStoredTwice,
                  text_of(record.id) + " is at " +
                      place(known_place->second.first, known_place->second.second) + " and at " +
                      where);
  }
}

std::uint64_t LogRules::judge_end() {
  judge_final_readers();
  std::uint64_t stored = 0;
  for (std::uint32_t partition = 0; partition < cast_.partitions; ++partition) {
    judge_order(partition);
    judge_vanished(partition);
    stored += final_[partition].end - final_[partition].start;
  }
  judge_acknowledged();
  return stored;
}

// The shortest reading counts: what one of them does not find is gone.
void LogRules::judge_final_readers() {
  for (std::uint32_t partition = 0; partition < cast_.partitions; ++partition) {
    Offset most = 0;  // that anybody was told
    bool first = true;
    for (std::size_t reader = 0; reader < cast_.readers.size(); ++reader) {
      const Reading& state = reading(static_cast<ReaderId>(reader), partition);
      most = std::max(most, state.committed);
      if (!cast_.readers[reader].final) continue;
      Range& range = final_[partition];
      range.start = first ? state.start : std::max(range.start, state.start);
      range.end = first ? state.next : std::min(range.end, state.next);
      first = false;
    }
    if (final_[partition].end < most) {
      findings_.add(Rule::kCommittedWentBack, "partition " + std::to_string(partition) +
                                                  " ends at " +
                                                  std::to_string(final_[partition].end) +
                                                  " and was committed to " + std::to_string(most));
    }
  }
}

void LogRules::judge_order(std::uint32_t partition) {
  std::unordered_map<std::uint32_t, std::uint32_t> last;  // by producer
  const std::vector<Cell>& log = cells_[partition];
  for (Offset offset = 0; offset < log.size(); ++offset) {
    const MessageId id = log[offset].id;
    if (!log[offset].seen || id == kNobody || id.producer >= fates_.size()) continue;
    if (id.sequence >= fates_[id.producer].size()) continue;
    // One that was given up may come in late, when later ones are there.
    if (fates_[id.producer][id.sequence].maybe_stored) continue;
    const auto [before, first] = last.try_emplace(id.producer, id.sequence);
    if (!first && before->second > id.sequence) {
      findings_.add(Rule::kOrderBroken, text_of(id) + " at " + place(partition, offset) +
                                            " comes after sequence " +
                                            std::to_string(before->second));
    }
    before->second = std::max(before->second, id.sequence);
  }
}

void LogRules::judge_vanished(std::uint32_t partition) {
  const std::vector<Cell>& log = cells_[partition];
  for (Offset offset = final_[partition].end; offset < log.size(); ++offset) {
    if (!log[offset].seen) continue;
    findings_.add(Rule::kRecordVanished,
                  text_of(log[offset].id) + " was at " + place(partition, offset) + " for " +
                      witness_name(log[offset].witness) + ", where the partition ends before");
  }
}

void LogRules::judge_acknowledged() {
  for (std::uint32_t producer = 0; producer < fates_.size(); ++producer) {
    for (std::uint32_t sequence = 0; sequence < fates_[producer].size(); ++sequence) {
      const Fate& fate = fates_[producer][sequence];
      const MessageId id{.producer = producer, .sequence = sequence};
      const auto found = places_.find(id);
      if (fate.not_stored && found != places_.end()) {
        findings_.add(Rule::kNotStoredAppears,
                      text_of(id) + " is at " + place(found->second.first, found->second.second));
      }
      if (!fate.committed) continue;
      if (fate.offset == kNoOffset) {
        if (found == places_.end()) {
          findings_.add(Rule::kAcknowledgedLost, text_of(id) + " is nowhere");
        }
        continue;
      }
      const Cell* there = cell(fate.partition, fate.offset);
      if (there != nullptr && (there->id == id || fate.offset < final_[fate.partition].start)) {
        continue;
      }
      findings_.add(Rule::kAcknowledgedLost,
                    text_of(id) + " was acknowledged at " + place(fate.partition, fate.offset) +
                        (there == nullptr ? ", where there is nothing"
                                          : ", where there is " + text_of(there->id)));
    }
  }
}

// Null: not in the log at the end.
const LogRules::Cell* LogRules::cell(std::uint32_t partition, Offset offset) const {
  if (partition >= cells_.size() || offset >= cells_[partition].size()) return nullptr;
  if (offset >= final_[partition].end || !cells_[partition][offset].seen) return nullptr;
  return &cells_[partition][offset];
}

std::string LogRules::witness_name(std::uint32_t witness) const {
  if (witness < cast_.readers.size()) return "reader " + cast_.readers[witness].name;
  return "subscription " + cast_.subscriptions.at(witness - cast_.readers.size()).name;
}

}  // namespace andyx::test::fault
