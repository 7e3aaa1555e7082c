// The rules about what is stored: fed with every event in order, then judged at the end. Pure.
#pragma once

#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tests/fault/history/checker.h"
#include "tests/fault/history/history.h"

namespace andyx::test::fault {

class LogRules {
 public:
  LogRules(const Cast& cast, Findings& findings);

  void observe(const Event& event);
  // What the final readers saw is the log that counts. How many messages it holds.
  std::uint64_t judge_end();
  // [start, end) of each partition, as the final readers agree; after judge_end().
  struct Range {
    Offset start = 0, end = 0;
  };
  const std::vector<Range>& final_ends() const { return final_; }

 private:
  struct Fate {  // of a message
    std::uint64_t content = 0;
    bool not_stored = false, maybe_stored = false, committed = false;
    std::uint32_t partition = 0;
    Offset offset = kNoOffset;
  };
  struct Cell {  // the first sight of an offset
    bool seen = false;
    MessageId id;
    std::uint64_t content = 0;
    std::uint32_t witness = 0;
  };
  struct Reading {  // of one reader in one partition
    Offset next = 0, committed = 0, start = 0;
    bool begun = false;
  };

  void answered(const Answered& answer);
  // `witness`: a reader, or a subscription behind all readers.
  void saw(std::uint32_t witness, const Record& record);
  void judge_new(const Record& record);
  void read_on(const ReadRecord& read);
  void read_ended(const ReadEnd& end);
  void judge_final_readers();
  void judge_order(std::uint32_t partition);
  void judge_vanished(std::uint32_t partition);
  void judge_acknowledged();
  std::string witness_name(std::uint32_t witness) const;
  const Cell* cell(std::uint32_t partition, Offset offset) const;
  Reading& reading(ReaderId reader, std::uint32_t partition) {
    return readings_[reader * cast_.partitions + partition];
  }

  const Cast& cast_;
  Findings& findings_;
  std::vector<std::vector<Fate>> fates_;  // by producer, then sequence
  std::vector<std::vector<Cell>> cells_;  // by partition, then offset
  std::map<MessageId, std::pair<std::uint32_t, Offset>> places_;
  std::vector<Reading> readings_;  // by reader, then partition
  std::vector<Range> final_;
};

}  // namespace andyx::test::fault
