// Delivery in the order of keys: message by message, as KeyOrder says.
#include <algorithm>

#include "protocol/batch/batch_reader.h"
#include "server/subscription/subscription_core_parts.h"

namespace andyx::server {

namespace {

std::uint32_t key_of(const SubscriptionCore::Batch& batch, Offset offset) {
  if (batch.bytes.empty()) return 0;
  return batch::table_entry(batch.bytes, static_cast<std::uint32_t>(offset - batch.base_offset))
      .key_hash;
}

// Ranges of a stream that touch and tell the same are one.
void sort_and_join(std::vector<SubscriptionCore::DeliveredRange>& out, std::size_t from) {
  if (out.size() - from < 2) return;
  std::sort(out.begin() + static_cast<std::ptrdiff_t>(from), out.end(),
            [](const auto& a, const auto& b) {
              return std::pair{a.stream, a.first} < std::pair{b.stream, b.first};
            });
  std::size_t to = from;
  for (std::size_t i = from + 1; i < out.size(); ++i) {
    auto& last = out[to];
    const auto& next = out[i];
    if (next.stream == last.stream && next.first == last.last + 1 &&
        next.delivered_before == last.delivered_before &&
        next.first_delivered_us == last.first_delivered_us)
      last.last = next.last;
    else
      out[++to] = next;
  }
  out.resize(to + 1);
}

}  // namespace

// Fresh messages, in order; those whose stream cannot take them now are set aside.
void SubscriptionCore::take_fresh_keyed(Take& take) {
  const Offset end = std::min(take.end(), committed_);
  next_ = next_fresh();
  const std::uint64_t messages = next_ < end ? end - next_ : 0;
  const std::uint64_t chunk =
      std::max<std::uint64_t>((messages + able_ - 1) / std::max<std::size_t>(able_, 1), 1);
  Stream* anybody = nullptr;  // who gets what has no key
  std::uint64_t left = 0;     // of the chunk
  while (next_ < end && able_ > 0 && window() > 0 && !take.full()) {
    if (!take_fresh_keyed_one(take, chunk, left, anybody)) break;
    next_ = std::min(next_fresh(), committed_);
  }
  sort_and_join(take.out, take.first_range);
}

// The message at next_. False: not now.
bool SubscriptionCore::take_fresh_keyed_one(Take& take, std::uint64_t chunk, std::uint64_t& left,
                                            Stream*& anybody) {
  const Offset offset = next_;
  const std::uint32_t key = key_of(take.batch, offset);
  if (rare().later.contains(offset)) {  // since a restart: it holds up what follows of its key
    if (key != 0) keys_->learn(offset, key, false);
    ++next_;
    return true;
  }
  if (!due(take, offset)) return pass(offset, offset);
  Stream* stream = nullptr;
  if (key == 0) {
    if (left == 0 || room(*anybody, take) == 0) {
      anybody = next_stream(take, 0);
      left = chunk;
    }
    if (anybody == nullptr) return false;
    --left;
    stream = anybody;
  } else if (!keys_->blocked(key)) {
    if (const auto target = keys_->target(key)) stream = find_stream(*target);
    if (stream != nullptr && room(*stream, take) == 0) stream = nullptr;
  }
  if (stream == nullptr) {
    if (keys_->parked().offsets() >= limits::kMaxKeyLookAhead) return false;
    keys_->park(offset, key);
    ++next_;
    return true;
  }
  const std::uint64_t before = take.taken.messages;
  next_ = emit(offset, offset, *stream, take);
  if (take.taken.messages > before) keys_->hold(offset, key, stream->id);
  return true;
}

std::optional<Offset> SubscriptionCore::next_redelivery_keyed() const {
  for (const Offset from : {redelivery_from_, Offset{0}}) {
    std::optional<Offset> first = keys_->next_for(KeyOrder::kAnybody, from);
    for (const Stream& stream : streams_) {
      if (!stream.able()) continue;
      const auto next = keys_->next_for(stream.id, from);
      if (next && (!first || *next < *first)) first = next;
    }
    if (first) return first;
  }
  return std::nullopt;
}

// Waiting and set aside: whatever is the first of its key, and its stream can take it. Delivering
// it may make the next of the key the first.
void SubscriptionCore::take_waiting_keyed(Offset from, Take& take) {
  redelivery_from_ = take.end();
  const auto next = [&](StreamId stream, Offset at) {
    const auto found = keys_->next_for(stream, at);
    return found && *found < take.end() ? found : std::nullopt;
  };
  for (auto at = next(KeyOrder::kAnybody, from); at; at = next(KeyOrder::kAnybody, *at + 1)) {
    const std::uint32_t key = key_of(take.batch, *at);
    if (key != 0) {
      keys_->learn(*at, key, true);
      continue;
    }
    const auto* waiting = waiting_.lower(*at);
    Stream* stream = take.full() ? nullptr : next_stream(take, waiting->value.avoid);
    if (stream == nullptr) {
      redelivery_from_ = std::min(redelivery_from_, *at);
      break;
    }
    emit_waiting_keyed(*at, 0, *stream, take);
  }
  for (Stream& stream : streams_) {
    for (auto at = next(stream.id, from); at; at = next(stream.id, *at + 1)) {
      if (take.full() || room(stream, take) == 0) {
        redelivery_from_ = std::min(redelivery_from_, *at);
        break;
      }
      emit_waiting_keyed(*at, key_of(take.batch, *at), stream, take);
    }
  }
  sort_and_join(take.out, take.first_range);
}

void SubscriptionCore::emit_waiting_keyed(Offset offset, std::uint32_t key, Stream& stream,
                                          Take& take) {
  const std::uint64_t before = take.taken.messages;
  emit(offset, offset, stream, take);
  waiting_.cut(offset, offset);
  if (take.taken.messages > before)
    keys_->hold(offset, key, stream.id);
  else
    keys_->forget(offset);  // it is dead
}

}  // namespace andyx::server
