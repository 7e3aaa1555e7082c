// Snapshots in chunks: what the sender has still to send, what the receiver has got. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "protocol/base/limits.h"
#include "raft/host/peer_wire.h"

namespace andyx::raft {

// Small, so that what overtakes waits for little; few on the way, so that the sockets' buffers hold
// little: a heartbeat stands behind 256 KiB at most.
inline constexpr std::size_t kSnapshotChunkBytes = 64 * limits::kKiB;
inline constexpr std::size_t kSnapshotWindowBytes = 4 * kSnapshotChunkBytes;
static_assert(kSnapshotChunkBytes <= limits::kMaxRaftSnapshotChunkBytes);

class SnapshotSender {
 public:
  // `message` is the core's kSnapshot.
  SnapshotSender(std::uint64_t transfer, const Message& message);

  const SnapshotHead& head() const { return head_; }
  struct Chunk {
    std::uint64_t offset = 0;
    SharedBytes bytes;
  };
  std::optional<Chunk> next();  // nothing: all is sent, or the window is full
  // False: the receiver acknowledges what was not sent.
  bool acknowledged(std::uint64_t received_bytes);

 private:
  SnapshotHead head_;
  SnapshotPtr snapshot_;
  std::uint64_t sent_ = 0, acknowledged_ = 0;
};

class SnapshotReceiver {
 public:
  explicit SnapshotReceiver(SnapshotHead head) : head_(std::move(head)) {}

  const SnapshotHead& head() const { return head_; }
  std::uint64_t received_bytes() const { return received_; }
  bool complete() const { return received_ == head_.total_bytes; }
  // kBadFrame: not the bytes that follow, or too many.
  Status add(std::uint64_t offset, ByteSpan bytes);
  // Once complete: the message for the core. kBadChecksum.
  Result<Message> finish(PeerId from, PeerId to);

 private:
  SnapshotHead head_;
  SharedBytes bytes_;  // grows with what arrives: a head alone reserves nothing
  std::uint64_t received_ = 0;
};

}  // namespace andyx::raft
