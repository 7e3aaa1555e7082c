// Linearizable reads under way: requests of one loop turn share a round of the core; a confirmed
// one waits until its index is applied. Pure; the raft thread.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "raft/host/raft_host.h"

namespace andyx::raft {

class Reads {
 public:
  using Done = std::move_only_function<void(Result<Index>)>;

  // `first_context`: of the rounds' ids, which no other peer of the group may use.
  explicit Reads(std::uint64_t first_context) : next_context_(first_context) {}

  void add(Done done, std::uint64_t deadline_ms) {
    ++size_;
    fresh_.push_back({.done = std::move(done), .deadline_ms = deadline_ms});
  }
  // A round for what was added since the last one: the context to ask the core with; 0: nothing.
  std::uint64_t begin_round();
  // Those that no leader has confirmed: to be asked again, after a change of leader.
  std::vector<std::uint64_t> unconfirmed() const;
  void confirmed(std::uint64_t context, Index index);
  void applied(Index index);
  void expire(std::uint64_t now_ms);  // kTimedOut
  void fail_all(const Error& error);
  std::size_t size() const { return size_; }

 private:
  struct Read {
    Done done;
    std::uint64_t deadline_ms = 0;
  };
  void answer(Read& read, Result<Index> result);
  void expire(std::vector<Read>& reads, std::uint64_t now_ms);

  std::uint64_t next_context_;
  std::size_t size_ = 0;  // not answered
  std::vector<Read> fresh_;
  std::map<std::uint64_t, std::vector<Read>> rounds_;  // by context
  std::multimap<Index, std::vector<Read>> waiting_;    // confirmed, not applied
};

}  // namespace andyx::raft
