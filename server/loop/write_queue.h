// What the partitions of one loop want written: gathered over a loop turn into one group, handed to
// the storage shard, and the outcome brought back to the loop. Keeps what it has under way within
// its share of the shard's queue, so that the shard never has to refuse for lack of room. Loop
// thread, except on_written.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "protocol/net/loop.h"
#include "storage/storage_shard.h"

namespace andyx::server {

class WriteQueue final : public storage::WriteObserver {
 public:
  // kOk: durable. kDiskFull, kOverloaded: not written, and nothing that was added after it is
  // either. kStorageFailed: maybe written; the shard has stopped.
  using OnWritten = std::move_only_function<void(ErrorCode)>;

  // `may_use_reserve`: everything added here is small and is still written while the disk is nearly
  // full (storage::WriteGroup).
  WriteQueue(net::Loop& loop, storage::StorageShard& shard, std::size_t max_bytes_under_way,
             bool may_use_reserve = false);

  // All of one call becomes durable together. Outcomes come in the order of the calls.
  void add(std::vector<storage::LogAppend> appends, std::vector<storage::StatePut> puts,
           OnWritten on_written);
  void add(storage::LogAppend append, OnWritten on_written);

  bool idle() const {
    return under_way_.empty() && backlog_.empty() && gathering_.callbacks.empty();
  }
  // Forgets what is under way and what waits; nobody is told. After the loop and the shard stopped.
  void abandon();
  std::size_t waiting_bytes() const { return bytes_under_way_ + backlog_bytes_; }

  void on_written(std::vector<storage::WriteResult> results) override;  // writer thread

 private:
  struct Pending {
    storage::WriteGroup group;
    std::vector<OnWritten> callbacks;
    std::size_t bytes = 0;
  };

  void arm();
  void end_of_turn();
  void submit_backlog();
  void finish(std::vector<storage::WriteResult> results);
  void refuse_waiting(ErrorCode error);

  net::Loop& loop_;
  storage::StorageShard& shard_;
  std::size_t max_bytes_under_way_;
  bool may_use_reserve_;
  Pending gathering_;
  std::deque<Pending> backlog_;    // gathered, not yet submitted
  std::deque<Pending> under_way_;  // submitted; their groups are moved out
  std::size_t bytes_under_way_ = 0;
  std::size_t backlog_bytes_ = 0;
  std::uint64_t next_token_ = 1;
  bool armed_ = false;
};

}  // namespace andyx::server
