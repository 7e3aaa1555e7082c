// The decisions of a partition's main: offsets, append times, duplicates, what is durable and what
// has to be undone. Pure: no IO, no clock, no payload; the shell patches batches, hands them to
// storage and reports results back in their order. One thread (the partition's loop).
#pragma once

#include <cstdint>
#include <deque>
#include <utility>

#include "protocol/base/error.h"
#include "protocol/base/ids.h"
#include "protocol/batch/batch_reader.h"
#include "server/partition/dedup_window.h"
#include "server/partition/producer_table.h"

namespace andyx::server {

class PartitionCore {
 public:
  // What storage and the producer snapshot say at start; everything recovered is durable.
  struct Recovered {
    Offset start_offset = 0;
    Offset end_offset = 0;
    TimeUs last_append_time_us = 0;
    ProducerTable producers;  // up to end_offset
    DedupWindow dedup;        // likewise
  };

  PartitionCore(MainEpoch epoch, Recovered recovered);

  struct Produced {
    bool duplicate =
        false;  // nothing to append: answer with this once committed_offset() >= end_offset
    Offset base_offset = 0;
    Offset end_offset = 0;
    TimeUs append_time_us = 0;
    MainEpoch epoch = 0;  // to patch into the batch
    // Not empty: nothing to append; refuse with kDuplicateMessage once committed_offset() >=
    // end_offset.
    std::vector<RepeatedMessage> repeated;
  };

  // Assigns the next offsets to a verified batch; `message_ids` of its messages where dedup() is on
  // and it has any. `request_epoch` is the main epoch that the client
  // knows, 0: any. Errors (nothing was changed, nothing is stored): kNotMain, those of
  // ProducerTable::check, kDiskFull while refused appends drain, kStorageFailed after
  // storage_failed().
  Result<Produced> produce(const batch::Header& header, MainEpoch request_epoch, TimeUs now_us,
                           std::span<const std::uint64_t> message_ids = {});

  // Everything below `end` is durable. Results of several appends may be reported as one.
  void durable(Offset end);

  // Storage refused (kDiskFull, kOverloaded: nothing written) the appends of offsets [from, to).
  // Undoes them and everything behind them: appends already submitted behind would leave a gap, so
  // storage refuses them too, and each is reported here in its turn; until the last one has been,
  // produce() answers kDiskFull. Answer everything in flight above `from` (AckQueue::fail_from) as
  // not stored.
  void append_refused(Offset from, Offset to);

  // The shard has stopped (kStorageFailed): appends in flight are maybe stored, the partition takes
  // no more. Final: the partition is opened anew after recovery.
  void storage_failed();

  // Retention moved the start of the log. Never back.
  void start_advanced(Offset start);

  // With other copies: committed is what committed() says from here on, no longer what is durable.
  void commits_by_set(Offset committed);
  void committed(Offset offset);
  // Of batches to come.
  void begin_epoch(MainEpoch epoch) { epoch_ = epoch; }
  // A batch of another node's main, handed to storage as it is; `message_ids` as for produce().
  void replicated(const batch::Header& header, std::span<const std::uint64_t> message_ids);
  // The log was cut, or begins anew: what is left of it was recovered. Nothing is in flight.
  void recovered(Recovered recovered);

  MainEpoch epoch() const { return epoch_; }
  Offset start_offset() const { return start_; }
  Offset end_offset() const { return end_; }          // one past the last accepted
  Offset durable_offset() const { return durable_; }  // one past the last durable
  // Durable on the whole in-sync set. With one copy: what is durable here.
  Offset committed_offset() const { return committed_; }
  TimeUs last_append_time_us() const { return last_append_time_us_; }
  bool draining() const { return draining_; }
  bool failed() const { return failed_; }

  ProducerTable& producers() { return producers_; }
  DedupWindow& dedup() { return dedup_; }
  const ProducerTable& producers() const { return producers_; }

 private:
  MainEpoch epoch_;
  Offset start_, committed_, durable_, end_;
  TimeUs last_append_time_us_;
  ProducerTable producers_;
  DedupWindow dedup_;
  Offset drain_to_ = 0;  // end of the submitted appends that are still to be refused
  bool draining_ = false;
  bool failed_ = false;
  bool by_set_ = false;
};

// Requests that wait until an offset is committed, answered in the order of their arrival. A
// duplicate waits behind what arrived before it. T: what the shell needs to answer.
template <typename T>
class AckQueue {
 public:
  void push(Offset end_offset, T waiter) { waiters_.emplace_back(end_offset, std::move(waiter)); }

  // Calls answer(T&&) for the waiters that `committed` satisfies.
  template <typename Answer>
  void pop(Offset committed, Answer&& answer) {
    while (!waiters_.empty() && waiters_.front().first <= committed) {
      T waiter = std::move(waiters_.front().second);
      waiters_.pop_front();
      answer(std::move(waiter));
    }
  }

  // Calls answer(T&&) for every waiter of something that ends above `from`, oldest first.
  template <typename Answer>
  void fail_from(Offset from, Answer&& answer) {
    std::deque<std::pair<Offset, T>> kept, failed;
    for (auto& waiter : waiters_)
      (waiter.first > from ? failed : kept).push_back(std::move(waiter));
    waiters_ = std::move(kept);
    for (auto& waiter : failed) answer(std::move(waiter.second));
  }

  std::size_t size() const { return waiters_.size(); }
  bool empty() const { return waiters_.empty(); }

 private:
  std::deque<std::pair<Offset, T>> waiters_;
};

}  // namespace andyx::server
