#include "server/subscription/key_order.h"

#include <algorithm>
#include <cassert>
#include <iterator>

namespace andyx::server {

namespace {

// SplitMix64's finalizer.
std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

std::uint64_t weight_of(StreamId stream, std::uint32_t key) { return mix(mix(stream) + key); }

}  // namespace

void KeyOrder::set_streams(std::vector<StreamId> streams) {
  std::vector<StreamId> added, removed;
  std::set_difference(streams.begin(), streams.end(), streams_.begin(), streams_.end(),
                      std::back_inserter(added));
  std::set_difference(streams_.begin(), streams_.end(), streams.begin(), streams.end(),
                      std::back_inserter(removed));
  if (added.empty() && removed.empty()) return;
  const bool first_ones = streams_.empty();
  streams_ = std::move(streams);
  std::uint32_t last = 0;
  for (auto at = pending_.begin(); at != pending_.end();
       at = pending_.upper_bound({last, kNoOffset})) {
    last = at->first;
    const Key& key = *keys_.find(last);
    if (first_ones || moves(last, key, added, removed)) refresh(last);
  }
}

// Its head has another target now. Looks at the streams that changed only: there may be many.
bool KeyOrder::moves(std::uint32_t hash, const Key& key, std::span<const StreamId> added,
                     std::span<const StreamId> removed) const {
  if (key.head == kNoOffset || key.held > 0) return false;
  if (std::binary_search(removed.begin(), removed.end(), key.head_target)) return true;
  const std::uint64_t weight = weight_of(key.head_target, hash);
  return std::any_of(added.begin(), added.end(), [&](StreamId stream) {
    return weight_of(stream, hash) >= weight;  // equal: refresh() decides
  });
}

bool KeyOrder::blocked(std::uint32_t key) const {
  const Key* found = keys_.find(key);
  return found != nullptr && found->pending > 0;
}

// Thaler, Ravishankar: Using name-based mappings to increase hit rates (1998).
std::optional<StreamId> KeyOrder::rendezvous(std::uint32_t key) const {
  std::optional<StreamId> best;
  std::uint64_t best_weight = 0;
  for (const StreamId stream : streams_) {
    const std::uint64_t weight = weight_of(stream, key);
    if (best && weight <= best_weight) continue;
    best = stream;
    best_weight = weight;
  }
  return best;
}

std::optional<StreamId> KeyOrder::target(std::uint32_t hash, const Key& key) const {
  return key.held > 0 ? key.holder : rendezvous(hash);
}

std::optional<StreamId> KeyOrder::target(std::uint32_t key) const {
  const Key* found = keys_.find(key);
  return found != nullptr ? target(key, *found) : rendezvous(key);
}

bool KeyOrder::is_head(Offset offset, std::uint32_t key) const {
  const auto head = pending_.lower_bound({key, 0});
  return head != pending_.end() && *head == std::pair{key, offset};
}

void KeyOrder::hold(Offset offset, std::uint32_t key, StreamId stream) {
  parked_.cut(offset, offset);
  if (key == 0) {
    heads_.erase({kAnybody, offset});
    return;
  }
  Message& message = messages_.at(offset);
  Key& state = keys_.at(key);
  assert(state.held == 0 || state.holder == stream);
  const bool was_pending = message.pending;
  if (was_pending) unpend(offset, message, state);
  message = {.key = key, .pending = false, .ready = false};
  state.holder = stream;
  ++state.held;
  if (was_pending) refresh(key);
}

void KeyOrder::park(Offset offset, std::uint32_t key) {
  parked_.insert(offset, offset);
  set_pending(offset, key, true);
}

void KeyOrder::learn(Offset offset, std::uint32_t key, bool ready) {
  heads_.erase({kAnybody, offset});
  set_pending(offset, key, ready);
}

void KeyOrder::set_pending(Offset offset, std::uint32_t key, bool ready) {
  messages_.at(offset) = {.key = key, .pending = true, .ready = ready};
  ++keys_.at(key).pending;
  pending_.insert({key, offset});
  refresh(key);
}

void KeyOrder::pend(Offset offset, bool ready) {
  Message* message = messages_.find(offset);
  if (message == nullptr) {
    if (ready) heads_.insert({kAnybody, offset});
    return;
  }
  const std::uint32_t key = message->key;
  if (message->pending) {
    message->ready = ready;
    refresh(key);
    return;
  }
  --keys_.at(key).held;
  set_pending(offset, key, ready);
}

void KeyOrder::unpend(Offset offset, const Message& message, Key& key) {
  --key.pending;
  pending_.erase({message.key, offset});
}

void KeyOrder::forget(Offset offset) {
  parked_.cut(offset, offset);
  const Message* found = messages_.find(offset);
  if (found == nullptr) {
    if (!heads_.empty()) heads_.erase({kAnybody, offset});
    return;
  }
  const Message message = *found;
  messages_.erase(offset);
  Key& key = keys_.at(message.key);
  if (message.pending)
    unpend(offset, message, key);
  else
    --key.held;
  refresh(message.key);
}

void KeyOrder::refresh(std::uint32_t hash) {
  Key& key = keys_.at(hash);
  Offset head = kNoOffset;
  StreamId head_target = 0;
  if (key.pending > 0) {
    const auto first = pending_.lower_bound({hash, 0});
    const auto to = target(hash, key);
    if (to && messages_.find(first->second)->ready) {
      head = first->second;
      head_target = *to;
    }
  }
  if (head != key.head || head_target != key.head_target) {
    if (key.head != kNoOffset) heads_.erase({key.head_target, key.head});
    if (head != kNoOffset) heads_.insert({head_target, head});
    key.head = head;
    key.head_target = head_target;
  }
  if (key.held == 0 && key.pending == 0) keys_.erase(hash);
}

void KeyOrder::clear() {
  messages_.clear();
  keys_.clear();
  pending_.clear();
  heads_.clear();
  parked_.clear();
}

std::optional<Offset> KeyOrder::next_for(StreamId stream, Offset from) const {
  const auto next = heads_.lower_bound({stream, from});
  if (next == heads_.end() || next->first != stream) return std::nullopt;
  return next->second;
}

}  // namespace andyx::server
