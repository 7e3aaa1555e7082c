// Raft's messages as frames, and back. What comes back has been checked as far as a frame alone
// can show; the rest is the core's to judge. One thread for each writer.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/frame/frame_writer.h"
#include "raft/core/types.h"

namespace andyx::protocol {
struct ErrorReply;
struct PeerHello;
struct PeerHelloReply;
struct RaftMessages;
struct RaftSnapshotHead;
}  // namespace andyx::protocol

namespace andyx::raft {

inline constexpr std::uint16_t kPeerProtocolVersion = 1;

// Who a peer says it is.
struct PeerIdentity {
  std::string cluster_id;
  PeerId id = kNone;
  std::string disk_id;
  std::uint64_t incarnation = 0;
};

struct Hello {
  std::uint16_t min_version = kPeerProtocolVersion;
  std::uint16_t max_version = kPeerProtocolVersion;
  PeerIdentity from;
  PeerId to = kNone;  // kNone: not said (in the answer)
};

frame::OutFrame hello_frame(frame::FrameWriter& writer, const Hello& hello);
frame::OutFrame hello_reply_frame(frame::FrameWriter& writer, const PeerIdentity& self);
Hello read_hello(const protocol::PeerHello& body);
Hello read_hello(const protocol::PeerHelloReply& body);

frame::OutFrame peer_error_frame(frame::FrameWriter& writer, const Error& error);
Error read_error(const protocol::ErrorReply* body);
frame::OutFrame ping_frame(frame::FrameWriter& writer);
frame::OutFrame pong_frame(frame::FrameWriter& writer);

// In order, in as few frames as the limits allow. No kSnapshot, and nothing local, among them.
std::vector<frame::OutFrame> messages_frames(frame::FrameWriter& writer,
                                             std::span<const Message> messages);
// From `peer` to `self`. Payloads are copied out of the frame: a log entry must not pin it.
// kBadFrame, kBadArgument: the message says what is wrong.
Result<std::vector<Message>> read_messages(const protocol::RaftMessages& body, PeerId peer,
                                           PeerId self);

struct SnapshotHead {
  std::uint64_t transfer = 0;
  Term term = 0;
  SnapshotMeta meta;
  std::uint64_t total_bytes = 0;
  std::uint64_t checksum = 0;  // XXH3-64
};
frame::OutFrame snapshot_head_frame(frame::FrameWriter& writer, const SnapshotHead& head);
frame::OutFrame snapshot_chunk_frame(frame::FrameWriter& writer, std::uint64_t transfer,
                                     std::uint64_t offset, SharedBytes bytes);
frame::OutFrame snapshot_ack_frame(frame::FrameWriter& writer, std::uint64_t transfer,
                                   std::uint64_t received_bytes, bool complete);
frame::OutFrame snapshot_refused_frame(frame::FrameWriter& writer, std::uint64_t transfer,
                                       const Error& error);
// kBadArgument where no leader can have such a snapshot; kLimitReached over kMaxRaftSnapshotBytes.
Result<SnapshotHead> read_snapshot_head(const protocol::RaftSnapshotHead& body);

}  // namespace andyx::raft
