// Delivering: the batches that the core wants, divided among the streams.
#include <algorithm>
#include <cassert>

#include "frame_generated.h"
#include "protocol/batch/batch_slice.h"
#include "server/app/log.h"
#include "server/loop/core_loop.h"
#include "server/partition/partition.h"
#include "server/subscription/credit.h"
#include "server/subscription/subscription.h"

namespace andyx::server {
namespace {

constexpr std::size_t kPumpBytes = 1 * limits::kMiB;     // in one turn of the loop
constexpr std::size_t kTakeBytes = 4 * limits::kKiB;     // what a batch counts for at least
constexpr std::size_t kFrameBytes = 256 * limits::kKiB;  // a Deliver frame is sent at this size
constexpr std::size_t kReadAheadBytes = 1 * limits::kMiB;

// False: the connection has enough to send; it wakes this subscription when that is over.
bool gate_open(DeliveryGate& gate) {
  if (gate.open()) return true;
  gate.someone_waits.store(true);
  return gate.open();
}

}  // namespace

void Subscription::pump_later() {
  if (std::exchange(pump_scheduled_, true)) return;
  partition_.loop().net_loop().at_end_of_turn([this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    pump_scheduled_ = false;
    pump();
  });
}

void Subscription::resume() {
  for (StreamId id : std::exchange(paused_, {})) {
    auto found = streams_.find(id);
    if (found == streams_.end()) continue;
    if (gate_open(*found->second.target.gate)) {
      found->second.paused = false;
      core_.pause(id, false);
    } else {
      paused_.push_back(id);
    }
  }
  pump_later();
}

void Subscription::pump() {
  if (!ready_) return;
  std::size_t sent = 0;
  while (auto want = core_.next_want()) {
    if (sent >= kPumpBytes) {  // others on this loop have their turn
      core_.fetch_failed(*want);
      partition_.loop().net_loop().post([this, alive = std::weak_ptr(alive_)] {
        if (!alive.expired()) pump();
      });
      break;
    }
    auto batch = find_batch(*want);
    if (batch.empty())
      fetch(*want);
    else
      sent += std::max(kTakeBytes, deliver(*want, batch));
  }
  flush_all();
  mature();
  dead_letters_.work(alive_);
  note_changes();
  arm();
}

SharedBytes Subscription::find_batch(const SubscriptionCore::Want& want) {
  if (const CachedBatch* cached = partition_.cached(want.from)) return cached->bytes;
  auto& ahead = read_ahead_[want.redelivery];
  while (!ahead.empty()) {
    auto header = batch::read_header(ahead.front().span());
    if (header && header->base_offset <= want.from && want.from < header->end_offset())
      return ahead.front();
    ahead.pop_front();
  }
  return {};
}

std::size_t Subscription::deliver(const SubscriptionCore::Want& want, const SharedBytes& batch) {
  auto header = batch::read_header(batch.span());
  assert(header && header->base_offset <= want.from && want.from < header->end_offset());
  taken_.clear();
  core_.take(want,
             {.base_offset = header->base_offset,
              .count = header->count,
              .size_bytes = header->size_bytes,
              .bytes = batch.span(),
              .delayed = (header->flags & batch::kFlagDeliverAt) != 0},
             now(), taken_);
  const std::size_t first = filled_.size();
  for (const auto& taken : taken_) {
    Stream& stream = streams_.at(taken.stream);
    if (stream.out.messages == 0) {
      if (!stream.out.takes(taken.first)) flush(taken.stream, stream);
      filled_.push_back(taken.stream);
    }
    stream.out.add(taken);
  }
  std::size_t bytes = 0;
  for (std::size_t i = first; i < filled_.size(); ++i) {
    const StreamId id = filled_[i];
    Stream& stream = streams_.at(id);
    const std::size_t before = stream.out.bytes;
    if (auto handed = hand_over(stream, *header, batch); !handed) {
      stream.out = {};
      core_.detach(id, now());
      end_stream(id, handed.error());
      continue;
    }
    bytes += stream.out.bytes - before;
    if (stream.out.bytes >= kFrameBytes) flush(id, stream);
  }
  return bytes;
}

// The stream's share of a batch that has been divided: the whole batch, or less where it is a small
// part, in one piece.
Status Subscription::hand_over(Stream& stream, const batch::Header& header,
                               const SharedBytes& batch) {
  Outgoing& out = stream.out;
  const std::uint64_t messages = std::exchange(out.messages, 0);
  out.charged_bytes += credit_charge(header.size_bytes, header.count, messages);
  SharedBytes part = batch;
  if (out.ranges.size() == out.first_range + 1 && 2 * messages <= header.count) {
    auto slice = batch::slice_batch(
        batch.span(), static_cast<std::uint32_t>(out.ranges.back().first() - header.base_offset),
        static_cast<std::uint32_t>(messages));
    if (!slice) return std::unexpected(slice.error());
    part = std::move(*slice);
  }
  out.bytes += part.size();
  out.batches.push_back(std::move(part));
  return {};
}

void Subscription::flush(StreamId id, Stream& stream) {
  Outgoing& out = stream.out;
  if (out.batches.empty()) return;
  const StreamTarget& target = stream.target;
  auto fill = [&](flatbuffers::FlatBufferBuilder& builder, auto vector) {
    auto ranges = builder.CreateVectorOfStructs(out.ranges);
    auto redeliveries =
        out.redeliveries.empty()
            ? flatbuffers::Offset<flatbuffers::Vector<const protocol::Redelivery*>>{}
            : builder.CreateVectorOfStructs(out.redeliveries);
    auto body = protocol::CreateDeliver(builder, target.stream, ranges, redeliveries, vector,
                                        out.charged_bytes);
    return frame::Body{static_cast<std::uint8_t>(protocol::Body::Deliver), body.Union()};
  };
  for (const SharedBytes& batch : out.batches) partition_.traffic().add_out(batch.size());
  target.home->push(target, frame_writer().write_with_payload(0, std::move(out.batches), fill));
  out = {};
  if (stream.paused || gate_open(*target.gate)) return;
  stream.paused = true;
  core_.pause(id, true);
  paused_.push_back(id);
}

void Subscription::flush_all() {
  for (StreamId id : filled_) {
    auto found = streams_.find(id);
    if (found != streams_.end()) flush(id, found->second);
  }
  filled_.clear();
}

void Subscription::fetch(const SubscriptionCore::Want& want) {
  partition_.fetch(
      want.from, kReadAheadBytes,
      [this, alive = std::weak_ptr(alive_), want](Result<std::vector<SharedBytes>> read) {
        if (!alive.expired()) fetched(want, std::move(read));
      });
}

void Subscription::fetched(const SubscriptionCore::Want& want,
                           Result<std::vector<SharedBytes>> read) {
  if (read && !read->empty()) {
    read_ahead_[want.redelivery].assign(std::make_move_iterator(read->begin()),
                                        std::make_move_iterator(read->end()));
    core_.fetch_failed(want);  // wanted again at once, and found in the read-ahead
    pump();
    return;
  }
  core_.fetch_failed(want);
  if (want.from < partition_.core().start_offset()) return pump_later();  // retention took it
  Error error = read ? Error{ErrorCode::kInternal, partition_.describe() + ": offset " +
                                                       std::to_string(want.from) +
                                                       " is committed and was not found"}
                     : read.error();
  log::error("messages cannot be read", {{"partition", partition_.describe()},
                                         {"subscription", record_->name},
                                         {"offset", want.from},
                                         {"error", error.message}});
  end_all_streams(error);
  note_changes();
}

}  // namespace andyx::server
