// Which stream a message may go to so that messages of one key reach one consumer at a time, in
// order: a part of SubscriptionCore, for shared subscriptions ordered by key. Pure; one thread.
//
// A key is the 32-bit hash of the record table; 0 (none) has no order. A key has messages in flight
// (all with one stream, its holder) and pending ones (to be redelivered, or set aside before their
// first delivery). Its head, the first pending one, is the only one that may be delivered next: to
// the holder, or to the stream that rendezvous hashing gives while nothing is in flight. So keys of
// a consumer that joins or leaves move once they are drained.
//
// Messages whose key is not known (it is read with their batch) are pending for anybody.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "protocol/base/ids.h"
#include "server/subscription/flat_map.h"
#include "server/subscription/range_map.h"

namespace andyx::server {

using StreamId = std::uint64_t;  // the shell's; never 0

class KeyOrder {
 public:
  static constexpr StreamId kAnybody = 0;

  // Those that get messages, ascending. Targets of what is pending are found anew.
  void set_streams(std::vector<StreamId> streams);

  bool known(Offset offset) const { return messages_.find(offset) != nullptr; }
  // Has pending messages: fresh ones have to wait behind them.
  bool blocked(std::uint32_t key) const;
  // Who gets its next message; nothing while nobody may.
  std::optional<StreamId> target(std::uint32_t key) const;
  // `offset`, of `key`, is the next one of its key to be delivered.
  bool is_head(Offset offset, std::uint32_t key) const;

  void hold(Offset offset, std::uint32_t key, StreamId stream);  // it is in flight now
  void park(Offset offset, std::uint32_t key);                   // fresh, and has to wait
  void learn(Offset offset, std::uint32_t key, bool ready);      // pending; its key was read
  // In flight, or of unknown key: it waits for redelivery; `ready`: or else for its time.
  void pend(Offset offset, bool ready);
  void forget(Offset offset);  // answered, or out of delivery
  void clear();

  const RangeMap<Nothing>& parked() const { return parked_; }
  // The first pending message at or above `from` that `stream` may be given now.
  std::optional<Offset> next_for(StreamId stream, Offset from) const;

 private:
  struct Message {
    std::uint32_t key = 0;
    bool pending = false;
    bool ready = false;
  };
  struct Key {
    StreamId holder = 0;
    std::uint32_t held = 0;
    std::uint32_t pending = 0;
    Offset head = kNoOffset;  // its entry of heads_, and under whom
    StreamId head_target = 0;
  };

  bool moves(std::uint32_t hash, const Key& key, std::span<const StreamId> added,
             std::span<const StreamId> removed) const;
  std::optional<StreamId> rendezvous(std::uint32_t key) const;
  std::optional<StreamId> target(std::uint32_t hash, const Key& key) const;
  void set_pending(Offset offset, std::uint32_t key, bool ready);
  void unpend(Offset offset, const Message& message, Key& key);
  void refresh(std::uint32_t hash);  // its head; forgets keys that have nothing

  std::vector<StreamId> streams_;
  FlatMap<Offset, Message> messages_;  // of known keys: in flight and pending
  FlatMap<std::uint32_t, Key> keys_;
  std::set<std::pair<std::uint32_t, Offset>> pending_;  // of known keys
  std::set<std::pair<StreamId, Offset>> heads_;  // ready: by target; and all of unknown or no key
  RangeMap<Nothing> parked_;
};

}  // namespace andyx::server
