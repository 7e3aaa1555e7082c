// What the partitions of one loop want written: gathered over a loop turn into one group, handed to
// the storage shard, and the outcome brought back to the loop. Keeps what it has under way within
// its share of the shard's queue, so that the shard never has to refuse for lack of room. Loop
// thread, except on_written.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <utility>
#include <vector>

#include "protocol/net/loop.h"
#include "storage/storage_shard.h"

namespace andyx::server {

// Whether somebody waits for a write: a client, or a main for a replica that has to hold it.
enum class Awaited : bool { kNo, kYes };

class WriteQueue final : public storage::WriteObserver {
 public:
  // kOk: durable. kDiskFull, kOverloaded: not written, and nothing that was added after it is
  // either. kStorageFailed: maybe written; the shard has stopped.
  using OnWritten = std::move_only_function<void(ErrorCode)>;

  // `may_use_reserve`: everything added here is small and is still written while the disk is nearly
  // full (storage::WriteGroup).
  WriteQueue(net::Loop& loop, storage::StorageShard& shard, std::size_t max_bytes_under_way,
             bool may_use_reserve = false);

  // While little is under way that somebody waits for, and after it was answered, the loop polls
  // for `us` microseconds before it sleeps; 0, as before the first call: it does not. That saves
  // one message at a time a wake-up of the loop for its write, and one for the message after it.
  void busy_poll(std::uint32_t us) { busy_poll_us_ = us; }

  // Told how old each write that is awaited was when it became durable, microseconds; of those that
  // went in one group, the oldest. Before the first one.
  using OnAge = std::function<void(std::uint64_t age_us)>;
  void watch_ages(OnAge on_age) { on_age_ = std::move(on_age); }

  // All of one call becomes durable together. Outcomes come in the order of the calls.
  void add(std::vector<storage::LogAppend> appends, std::vector<storage::StatePut> puts,
           OnWritten on_written, Awaited awaited = Awaited::kYes);
  void add(storage::LogAppend append, OnWritten on_written);

  bool idle() const {
    return under_way_.empty() && backlog_.empty() && gathering_.callbacks.empty();
  }
  // Forgets what is under way and what waits; nobody is told. After the loop and the shard stopped.
  void abandon();
  std::size_t waiting_bytes() const { return bytes_under_way_ + backlog_bytes_; }
  // Of the oldest awaited write that is not durable yet, microseconds; 0: there is none.
  std::uint64_t oldest_awaited_us() const;

  void on_written(std::vector<storage::WriteResult> results) override;  // writer thread

 private:
  struct Pending {
    storage::WriteGroup group;
    std::vector<OnWritten> callbacks;
    std::size_t bytes = 0;
    std::uint64_t awaited_since_us = 0;  // the first one that somebody waits for; 0: none
  };

  void arm();
  void poll_for(const Pending& pending);
  void end_of_turn();
  void submit_backlog();
  void finish(std::vector<storage::WriteResult> results);
  void refuse_waiting(ErrorCode error);

  net::Loop& loop_;
  storage::StorageShard& shard_;
  std::size_t max_bytes_under_way_;
  bool may_use_reserve_;
  std::uint32_t busy_poll_us_ = 0;
  OnAge on_age_;
  Pending gathering_;
  std::deque<Pending> backlog_;    // gathered, not yet submitted
  std::deque<Pending> under_way_;  // submitted; their groups are moved out
  std::size_t bytes_under_way_ = 0;
  std::size_t backlog_bytes_ = 0;
  std::uint64_t next_token_ = 1;
  bool armed_ = false;
};

}  // namespace andyx::server
