#include "protocol/frame/frame_reader.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <random>
#include <vector>

namespace andyx {
namespace {

using frame::FrameReader;
using limits::kKiB;
using limits::kMiB;
using Bytes = std::vector<std::uint8_t>;

// A frame of `length` bytes after the prefix, filled so that a mix-up shows.
Bytes frame_of(std::uint32_t length, std::uint8_t fill) {
  Bytes bytes(4 + length, fill);
  std::memcpy(bytes.data(), &length, 4);
  return bytes;
}

// Gives the reader what fits; the number of bytes taken.
std::size_t feed(FrameReader& reader, ByteSpan bytes, std::size_t at_most = ~std::size_t{0}) {
  const auto buffer = reader.receive_buffer();
  if (buffer.empty()) FAIL("the receive buffer is empty");
  const auto n = std::min({buffer.size(), bytes.size(), at_most});
  std::memcpy(buffer.data(), bytes.data(), n);
  reader.received(n);
  return n;
}

std::vector<SharedBytes> drain(FrameReader& reader) {
  std::vector<SharedBytes> frames;
  while (true) {
    auto frame = reader.next();
    if (!frame) FAIL(frame.error().message);
    if (!*frame) return frames;
    frames.push_back(std::move(**frame));
  }
}

void check_equal(const SharedBytes& frame, const Bytes& expected) {
  REQUIRE(frame.size() == expected.size());
  CHECK(std::equal(expected.begin(), expected.end(), frame.data()));
  CHECK(reinterpret_cast<std::uintptr_t>(frame.data()) % 8 == 0);
}

TEST_CASE("any frames cut anywhere come out whole, in order, aligned, and stay unchanged") {
  const auto seed = std::random_device{}();
  INFO("seed ", seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 60; ++round) {
    const std::size_t slab_bytes = round % 3 == 0 ? 128 : 4 * kKiB << (random() % 5);
    FrameReader reader(4 * kMiB, slab_bytes);
    std::vector<Bytes> sent;
    Bytes stream;
    for (int i = 0; i < 60; ++i) {
      const auto largest = i % 30 == 0 ? 600'000 : i % 3 == 0 ? 9'000 : 200;
      auto length = static_cast<std::uint32_t>(8 + random() % largest);
      if (random() % 4 != 0) length = (length | 7) - 3;  // whole frame a multiple of 8, as is usual
      sent.push_back(frame_of(length, static_cast<std::uint8_t>(i + 1)));
      stream.insert(stream.end(), sent.back().begin(), sent.back().end());
    }
    // Some frames are held for a while, as a storage writer would.
    std::vector<std::pair<std::size_t, SharedBytes>> held;
    std::size_t received = 0, at = 0;
    const std::size_t cut = 1 + random() % (round % 2 == 0 ? 2'000 : 100'000);
    while (at < stream.size()) {
      at += feed(reader, ByteSpan(stream).subspan(at), 1 + random() % cut);
      if (random() % 4 == 0) continue;  // several receives before the frames are taken
      for (auto& frame : drain(reader)) {
        check_equal(frame, sent[received]);
        if (random() % 2 == 0) held.emplace_back(received, std::move(frame));
        ++received;
      }
      if (held.size() > 10) held.clear();
      for (const auto& [index, frame] : held) check_equal(frame, sent[index]);
    }
    for (auto& frame : drain(reader)) check_equal(frame, sent[received++]);
    CHECK(received == sent.size());
    CHECK(reader.buffered_bytes() == 0);
  }
}

TEST_CASE("frames that come byte by byte come out whole") {
  FrameReader reader(1'000, 64);
  for (std::uint32_t length = 8; length < 200; length += 3) {
    const auto frame = frame_of(length, static_cast<std::uint8_t>(length));
    for (std::size_t at = 0; at < frame.size(); ++at) {
      CHECK(drain(reader).empty());
      feed(reader, ByteSpan(frame).subspan(at, 1));
    }
    check_equal(drain(reader).at(0), frame);
  }
}

TEST_CASE("frames of one slab are slices of it") {
  FrameReader reader;
  const auto one = frame_of(28, 1);
  Bytes stream;
  for (int i = 0; i < 3; ++i) stream.insert(stream.end(), one.begin(), one.end());
  CHECK(feed(reader, stream) == stream.size());
  const auto frames = drain(reader);
  REQUIRE(frames.size() == 3);
  CHECK(frames[1].data() == frames[0].data() + one.size());
  CHECK(frames[2].data() == frames[1].data() + one.size());
}

TEST_CASE("a slab that nobody holds any more is received into again") {
  FrameReader reader;
  const auto one = frame_of(28, 1);
  feed(reader, one);
  const auto* const first = drain(reader).at(0).data();
  feed(reader, one);
  CHECK(drain(reader).at(0).data() == first);
}

TEST_CASE("a length over the limit is refused as soon as it is seen, and reserves nothing") {
  FrameReader reader(1'000);
  const std::uint8_t prefix[] = {0xe9, 0x03, 0, 0};  // 1001
  feed(reader, prefix);
  const auto frame = reader.next();
  REQUIRE(!frame);
  CHECK(frame.error().code == ErrorCode::kFrameTooLarge);
  CHECK_FALSE(reader.receive_buffer().empty());
  CHECK(reader.charged_bytes() <= 4 * kKiB);

  FrameReader other(1'000);
  CHECK(feed(other, frame_of(1'000, 1)) == 1'004);
  CHECK(drain(other).size() == 1);
}

TEST_CASE("a length that no frame has is refused") {
  for (const std::uint32_t length : {0u, 1u, 7u}) {
    FrameReader reader;
    feed(reader, frame_of(length, 0));
    const auto frame = reader.next();
    REQUIRE(!frame);
    CHECK(frame.error().code == ErrorCode::kBadFrame);
  }
}

TEST_CASE("a raised limit takes effect for the next frame") {
  FrameReader reader(100);
  feed(reader, frame_of(100, 1));
  CHECK(drain(reader).size() == 1);
  reader.set_max_frame_bytes(200);
  feed(reader, frame_of(196, 1));
  CHECK(drain(reader).size() == 1);
}

TEST_CASE("200 connections that claim 8 MiB and send nothing cost less than one such frame") {
  const auto claim = frame_of(8 * kMiB, 0);
  std::size_t charged = 0;
  std::deque<FrameReader> readers(200);
  for (auto& reader : readers) {
    feed(reader, ByteSpan(claim).first(4));
    CHECK_FALSE(*reader.next());
    reader.receive_buffer();
    charged += reader.charged_bytes();
  }
  CHECK(charged <= 1 * kMiB);
}

TEST_CASE("a large frame reserves in step with what has arrived") {
  FrameReader reader;
  const auto large = frame_of(8 * kMiB, 3);
  std::size_t at = 0;
  while (at < large.size()) {
    at += feed(reader, ByteSpan(large).subspan(at), 10'000);
    if (at < large.size()) CHECK_FALSE(*reader.next());
    // Twice that, and what slabs are rounded up by.
    CHECK(reader.charged_bytes() <= std::max(at * 9 / 4, limits::kReceiveSlabBytes));
  }
  check_equal(drain(reader).at(0), large);
  CHECK(reader.charged_bytes() <= limits::kReceiveSlabBytes);
}

TEST_CASE("ten thousand connections that sent a hello cost 4 KiB each") {
  FrameReader reader;
  feed(reader, frame_of(124, 1));
  CHECK(drain(reader).size() == 1);
  CHECK(reader.charged_bytes() <= 4 * kKiB);
}

TEST_CASE("a busy connection gets a large slab, and gives it back when only pings come") {
  FrameReader reader;
  const auto frame = frame_of(2'000 - 4, 1);
  Bytes stream;
  for (int i = 0; i < 500; ++i) stream.insert(stream.end(), frame.begin(), frame.end());
  for (std::size_t at = 0; at < stream.size();) {
    at += feed(reader, ByteSpan(stream).subspan(at));
    drain(reader);
  }
  CHECK(reader.charged_bytes() == limits::kReceiveSlabBytes);
  for (int ping = 0; ping < 20; ++ping) {
    feed(reader, frame_of(28, 1));
    CHECK(drain(reader).size() == 1);
  }
  CHECK(reader.charged_bytes() <= 4 * kKiB);
}

TEST_CASE("a stream of frames that lie askew costs a copy of each, not of all that follows") {
  FrameReader reader;
  const auto askew = frame_of(8, 1);  // 12 bytes: every other one begins at 4 modulo 8
  Bytes stream;
  for (int i = 0; i < 100; ++i) stream.insert(stream.end(), askew.begin(), askew.end());
  CHECK(feed(reader, stream) == stream.size());
  const auto frames = drain(reader);
  REQUIRE(frames.size() == 100);
  for (const auto& frame : frames) check_equal(frame, askew);
  CHECK(frames[1].charged_bytes() == askew.size());
}

}  // namespace
}  // namespace andyx
