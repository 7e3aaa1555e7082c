#include "protocol/frame/frame_reader.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <string>

namespace andyx::frame {
namespace {

constexpr std::size_t kPrefixBytes = 4;
constexpr std::size_t kMinLength = 8;
constexpr std::size_t kFrameAlignment = 8;
// A connection starts with a small slab and comes back to it after a while of small receives, so
// that thousands of idle ones cost little.
constexpr std::size_t kSmallSlabBytes = 4 * limits::kKiB;
constexpr unsigned kSmallReceivesBeforeShrink = 8;
constexpr std::size_t kLargeSlabs = 4;  // the largest slab taken ahead, in ordinary ones
// How far a frame that outgrows its slab may reserve ahead of what has arrived.
constexpr std::size_t kGrowth = 2;

std::size_t length_at(const std::uint8_t* at) {
  std::uint32_t length;
  std::memcpy(&length, at, sizeof length);
  return length;
}

}  // namespace

FrameReader::FrameReader(std::size_t max_frame_bytes, std::size_t slab_bytes)
    : max_frame_bytes_(max_frame_bytes),
      slab_bytes_(std::max(slab_bytes, std::size_t{64})),
      next_slab_bytes_(std::min(slab_bytes_, kSmallSlabBytes)) {}

// Bytes of the frame at begin_ as far as they are known: its prefix only, or all of it.
std::size_t FrameReader::frame_bytes() const {
  if (buffered_bytes() < kPrefixBytes) return kPrefixBytes;
  // An over-long one is refused by next(); nothing is reserved for it.
  return kPrefixBytes + std::min(length_at(slab_.data() + begin_), max_frame_bytes_);
}

std::span<std::uint8_t> FrameReader::receive_buffer() {
  const std::size_t buffered = buffered_bytes();
  const std::size_t frame = frame_bytes();
  // What the frame may take now: all of it where it fits an ordinary slab, else what has arrived,
  // doubled.
  const std::size_t wanted =
      std::max(buffered + 1, std::min(frame, std::max(next_slab_bytes_, kGrowth * buffered)));
  if (buffered == 0 && slab_.unique()) begin_ = end_ = 0;
  const std::size_t room = slab_.size() - end_;
  const bool worth_receiving = frame > kPrefixBytes || room >= slab_.size() / 4;
  if (room == 0 || begin_ + wanted > slab_.size() || !worth_receiving) make_room(wanted);
  return {slab_.mutable_data() + end_, slab_.size() - end_};
}

// The bytes at begin_ move to the front of a slab that holds at least `wanted`.
void FrameReader::make_room(std::size_t wanted) {
  const std::size_t buffered = buffered_bytes();
  if (begin_ > 0 && slab_.unique() && slab_.size() >= std::max(wanted, next_slab_bytes_)) {
    std::memmove(slab_.mutable_data(), slab_.data() + begin_, buffered);
  } else {
    auto fresh = SharedBytes::allocate(std::max(wanted, next_slab_bytes_));
    if (buffered > 0) std::memcpy(fresh.mutable_data(), slab_.data() + begin_, buffered);
    slab_ = std::move(fresh);
  }
  begin_ = 0;
  end_ = buffered;
}

void FrameReader::received(std::size_t n) {
  assert(n <= slab_.size() - end_);
  end_ += n;
  if (end_ == slab_.size()) {
    next_slab_bytes_ = std::max(next_slab_bytes_, slab_bytes_);
    small_receives_ = 0;
  } else if (n > kSmallSlabBytes / 4) {
    small_receives_ = 0;
  } else if (++small_receives_ >= kSmallReceivesBeforeShrink) {
    next_slab_bytes_ = std::min(slab_bytes_, kSmallSlabBytes);
  }
}

Result<std::optional<SharedBytes>> FrameReader::next() {
  const std::size_t buffered = buffered_bytes();
  if (buffered == 0 && slab_.size() > std::min(next_slab_bytes_, slab_bytes_)) {
    slab_ = {};
    begin_ = end_ = 0;
  }
  if (buffered < kPrefixBytes) return std::nullopt;
  const std::size_t length = length_at(slab_.data() + begin_);
  if (length > max_frame_bytes_) {
    return fail(ErrorCode::kFrameTooLarge, "the length prefix says " + std::to_string(length) +
                                               " bytes, the limit is " +
                                               std::to_string(max_frame_bytes_));
  }
  if (length < kMinLength) {
    return fail(ErrorCode::kBadFrame, "the length prefix says " + std::to_string(length) +
                                          " bytes; no frame is shorter than " +
                                          std::to_string(kMinLength));
  }
  const std::size_t size = kPrefixBytes + length;
  if (buffered < size) return std::nullopt;

  auto frame = slab_.slice(begin_, size);
  begin_ += size;
  // Where large frames are usual, two of them fit a slab, and few are copied while they arrive.
  next_slab_bytes_ = std::max(next_slab_bytes_, std::min(2 * size, kLargeSlabs * slab_bytes_));
  // Frames of the stock builder are multiples of 8 long; others cost a copy of their own.
  if (reinterpret_cast<std::uintptr_t>(frame.data()) % kFrameAlignment != 0) {
    return SharedBytes::copy_of(frame.span());
  }
  return frame;
}

SharedBytes FrameReader::take_rest() {
  auto rest = slab_.slice(begin_, buffered_bytes());
  slab_ = {};
  begin_ = end_ = 0;
  return rest;
}

std::size_t FrameReader::buffered_bytes() const { return end_ - begin_; }

std::size_t FrameReader::charged_bytes() const { return slab_.charged_bytes(); }

}  // namespace andyx::frame
