#include "raft/host/peer_link.h"

#include <algorithm>
#include <utility>

#include "frame_generated.h"
#include "protocol/frame/frame_verify.h"

namespace andyx::raft {
namespace {

constexpr std::uint32_t kLastWordsMs = 1'000;
constexpr std::uint32_t kHelloRounds = 2;     // of keep_alive
constexpr std::uint32_t kSilentRounds = 5;    // then the peer is gone
constexpr std::uint32_t kStalledRounds = 10;  // a snapshot that does not move
// Chunks wait while more than this is queued before them.
constexpr std::size_t kShortQueueBytes = kSnapshotWindowBytes;

}  // namespace

PeerLink::PeerLink(Owner& owner, frame::FrameWriter& writer, std::uint64_t serial, PeerId self,
                   PeerId expected, std::unique_ptr<net::Connection> connection)
    : owner_(owner),
      writer_(writer),
      serial_(serial),
      self_(self),
      expected_(expected),
      connection_(std::move(connection)),
      address_(connection_->peer()),
      phase_(expected == kNone ? Phase::kAwaitHello : Phase::kAwaitReply) {
  connection_->reader().set_max_frame_bytes(limits::kMaxRequestBytesBeforeHello);
  connection_->set_handler(this);
}

// ---- Hello ----

void PeerLink::send_hello(const Hello& hello) { connection_->send(hello_frame(writer_, hello)); }

void PeerLink::accept(const PeerIdentity& peer, const PeerIdentity* reply) {
  peer_ = peer;
  phase_ = Phase::kOpen;
  connection_->reader().set_max_frame_bytes(limits::kMaxFrameBytes);
  if (reply != nullptr) connection_->send(hello_reply_frame(writer_, *reply));
  connection_->resume_reading();
}

void PeerLink::handle_hello(const protocol::Frame& root) {
  const auto* hello = root.body_as_PeerHello();
  const auto* reply = root.body_as_PeerHelloReply();
  const bool is_reply = phase_ == Phase::kAwaitReply;
  if (is_reply ? reply == nullptr : hello == nullptr) {
    refuse({ErrorCode::kHelloRequired, std::string("the first frame of a peer is its hello, not ") +
                                           protocol::EnumNameBody(root.body_type())});
    return;
  }
  phase_ = Phase::kChecking;
  // Nothing more is read until its disk is remembered.
  connection_->pause_reading();
  owner_.on_hello(*this, is_reply ? read_hello(*reply) : read_hello(*hello), is_reply);
}

// ---- Receiving ----

void PeerLink::on_frame(net::Connection&, SharedBytes bytes) {
  if (phase_ == Phase::kClosing) return;
  owner_.before_frames();
  silent_rounds_ = 0;
  const auto root = frame::verify_frame(bytes.span());
  if (!root) {
    refuse(root.error());
    return;
  }
  if ((*root)->body_type() == protocol::Body::ErrorReply) {
    const Error error = read_error((*root)->body_as_ErrorReply());
    owner_.on_refused(*this, error);
    close(error);
    return;
  }
  if (phase_ != Phase::kOpen) {
    handle_hello(**root);
    return;
  }
  if (auto handled = handle(**root); !handled) refuse(handled.error());
}

Status PeerLink::handle(const protocol::Frame& root) {
  switch (root.body_type()) {
    case protocol::Body::RaftMessages: {
      auto messages = read_messages(*root.body_as_RaftMessages(), peer_.id, self_);
      if (!messages) return std::unexpected(messages.error());
      return owner_.on_messages(*this, std::move(*messages));
    }
    case protocol::Body::RaftSnapshotHead:
      return receive_head(root);
    case protocol::Body::RaftSnapshotChunk:
      return receive_chunk(root);
    case protocol::Body::RaftSnapshotAck:
      return receive_ack(root);
    case protocol::Body::RaftSnapshotRefused:
      if (sending_ && root.body_as_RaftSnapshotRefused()->transfer() == sending_->head().transfer) {
        owner_.on_refused(*this, read_error(root.body_as_RaftSnapshotRefused()->error()));
        end_sending(true);
      }
      return {};
    case protocol::Body::Ping:
      connection_->send(pong_frame(writer_));
      return {};
    case protocol::Body::Pong:
      return {};
    default:
      return fail(ErrorCode::kUnknownBody, std::string("a Raft peer does not send ") +
                                               protocol::EnumNameBody(root.body_type()));
  }
}

Status PeerLink::receive_head(const protocol::Frame& root) {
  auto head = read_snapshot_head(*root.body_as_RaftSnapshotHead());
  receiving_.reset();
  if (!head) {
    const auto transfer = root.body_as_RaftSnapshotHead()->transfer();
    if (head.error().code != ErrorCode::kLimitReached) return std::unexpected(head.error());
    connection_->send(snapshot_refused_frame(writer_, transfer, head.error()));
    return {};
  }
  receiving_.emplace(std::move(*head));
  return advance_receiving();
}

Status PeerLink::receive_chunk(const protocol::Frame& root) {
  const auto& chunk = *root.body_as_RaftSnapshotChunk();
  // Of a transfer that was refused or replaced: on its way before the sender knew.
  if (!receiving_ || receiving_->head().transfer != chunk.transfer()) return {};
  const auto& payload = *chunk.payload();
  if (auto added = receiving_->add(chunk.offset(), {payload.data(), payload.size()}); !added) {
    return added;
  }
  return advance_receiving();
}

Status PeerLink::advance_receiving() {
  const auto transfer = receiving_->head().transfer;
  const auto received = receiving_->received_bytes();
  if (!receiving_->complete()) {
    connection_->send(snapshot_ack_frame(writer_, transfer, received, false));
    return {};
  }
  auto message = receiving_->finish(peer_.id, self_);
  receiving_.reset();
  if (!message) {
    connection_->send(snapshot_refused_frame(writer_, transfer, message.error()));
    return {};
  }
  connection_->send(snapshot_ack_frame(writer_, transfer, received, true));
  return owner_.on_snapshot(*this, std::move(*message));
}

Status PeerLink::receive_ack(const protocol::Frame& root) {
  const auto& ack = *root.body_as_RaftSnapshotAck();
  if (!sending_ || ack.transfer() != sending_->head().transfer) return {};
  if (!sending_->acknowledged(ack.received_bytes()) ||
      (ack.complete() && ack.received_bytes() != sending_->head().total_bytes)) {
    return fail(ErrorCode::kBadFrame, "a snapshot acknowledged that was not sent");
  }
  stalled_rounds_ = 0;
  if (ack.complete()) {
    end_sending(false);
  } else {
    pump_snapshot();
  }
  return {};
}

void PeerLink::on_read_end(net::Connection&) {
  if (phase_ == Phase::kOpen) pump_snapshot();
  owner_.on_read_end();
}

void PeerLink::on_writable(net::Connection&) { pump_snapshot(); }

// ---- Sending ----

bool PeerLink::send(std::span<Message> messages) {
  bool dropped = false;
  const std::size_t queued = connection_->queued_bytes();
  std::vector<Message> kept;
  if (queued > limits::kMaxRaftQueuedSendBytes) {
    // The peer does not keep up: appends are sent again later. When not even the rest is read, it
    // is as good as gone.
    const bool everything = queued > 2 * limits::kMaxRaftQueuedSendBytes;
    for (Message& message : messages) {
      if (!everything && message.entries.empty()) kept.push_back(std::move(message));
    }
    dropped = kept.size() < messages.size();
    messages = kept;
  }
  for (auto& frame : messages_frames(writer_, messages)) connection_->send(std::move(frame));
  pump_snapshot();
  return !dropped;
}

void PeerLink::send_snapshot(std::uint64_t transfer, const Message& message) {
  sending_.emplace(transfer, message);
  stalled_rounds_ = 0;
  connection_->send(snapshot_head_frame(writer_, sending_->head()));
  pump_snapshot();
}

void PeerLink::pump_snapshot() {
  while (phase_ == Phase::kOpen && sending_ && connection_->queued_bytes() < kShortQueueBytes) {
    auto chunk = sending_->next();
    if (!chunk) return;
    connection_->send(snapshot_chunk_frame(writer_, sending_->head().transfer, chunk->offset,
                                           std::move(chunk->bytes)));
  }
}

void PeerLink::end_sending(bool failed) {
  if (!sending_) return;
  sending_.reset();
  owner_.on_snapshot_sent(*this, failed);
}

void PeerLink::keep_alive() {
  if (phase_ == Phase::kClosing) return;
  const std::uint32_t silent = silent_rounds_++;
  if (phase_ != Phase::kOpen) {
    if (silent >= kHelloRounds) refuse({ErrorCode::kTimedOut, address_ + ": no hello in time"});
    return;
  }
  if (silent >= kSilentRounds) {
    refuse({ErrorCode::kIdleTimeout, address_ + ": no whole frame of the peer has come in time"});
    return;
  }
  if (silent > 0) connection_->send(ping_frame(writer_));
  if (sending_ && ++stalled_rounds_ > kStalledRounds) end_sending(true);
  pump_snapshot();
}

// ---- Closing ----

void PeerLink::refuse(Error error) {
  if (phase_ == Phase::kClosing) return;
  phase_ = Phase::kClosing;
  connection_->send(peer_error_frame(writer_, error));
  connection_->close(kLastWordsMs, std::move(error));
}

void PeerLink::close(Error error) {
  if (phase_ == Phase::kClosing) return;
  phase_ = Phase::kClosing;
  connection_->close(0, std::move(error));
}

void PeerLink::on_stream_error(net::Connection&, const Error& error) { refuse(error); }

void PeerLink::on_closed(net::Connection&, const Error& reason) {
  phase_ = Phase::kClosing;
  const Error copy = reason;
  end_sending(true);
  owner_.on_link_closed(*this, copy);
}

}  // namespace andyx::raft
