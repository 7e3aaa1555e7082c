#include "raft/host/peer_wire.h"

#include <utility>

#include "frame_generated.h"
#include "protocol/base/limits.h"
#include "protocol/net/loop.h"

namespace andyx::raft {
namespace {

using flatbuffers::FlatBufferBuilder;
using frame::Body;
using frame::FrameWriter;
using frame::OutFrame;

// A frame is closed when so much payload is in it; one entry more may be.
constexpr std::size_t kFramePayloadBytes = 1 * limits::kMiB;
// Payloads under this are copied together: one piece for writev instead of many.
constexpr std::size_t kGatherBytes = 16 * limits::kKiB;

template <typename Offset>
Body body(protocol::Body type, Offset offset) {
  return {static_cast<std::uint8_t>(type), offset.Union()};
}

std::string text(const flatbuffers::String* string) {
  return string == nullptr ? std::string() : string->str();
}

flatbuffers::Offset<protocol::ErrorReply> make_error(FlatBufferBuilder& builder,
                                                     const Error& error) {
  const ErrorInfo& info = error_info(error.code);
  const auto name = builder.CreateString(info.name.data(), info.name.size());
  const auto message = builder.CreateString(error.message);
  const auto remedy = builder.CreateString(info.remedy.data(), info.remedy.size());
  return protocol::CreateErrorReply(builder, static_cast<std::uint16_t>(info.code), name, message,
                                    remedy, static_cast<protocol::Storedness>(info.stored),
                                    info.retriable);
}

protocol::RaftEntry wire_entry(const Entry& entry) {
  return {entry.term, static_cast<std::uint32_t>(entry.data.size()),
          static_cast<protocol::RaftEntryKind>(entry.type)};
}

flatbuffers::Offset<protocol::RaftMessage> write_message(FlatBufferBuilder& builder,
                                                         const Message& message) {
  flatbuffers::Offset<flatbuffers::Vector<const protocol::RaftEntry*>> entries;
  if (!message.entries.empty()) {
    protocol::RaftEntry* out = nullptr;
    entries = builder.CreateUninitializedVectorOfStructs(message.entries.size(), &out);
    for (const Entry& entry : message.entries) *out++ = wire_entry(entry);
  }
  return protocol::CreateRaftMessage(builder, static_cast<protocol::RaftMessageKind>(message.type),
                                     message.from, message.term, message.log_term, message.index,
                                     message.commit, message.reject, message.reject_hint,
                                     message.transfer, message.context, entries, message.tick);
}

// The payloads of a frame: small ones gathered, large ones as they are.
class PayloadPieces {
 public:
  void add(const SharedBytes& bytes) {
    if (bytes.empty()) return;
    total_ += bytes.size();
    if (bytes.size() >= kGatherBytes) {
      close_gathered();
      pieces_.push_back(bytes);
    } else {
      gathered_.insert(gathered_.end(), bytes.span().begin(), bytes.span().end());
    }
  }
  std::size_t total_bytes() const { return total_; }
  std::vector<SharedBytes> take() {
    close_gathered();
    total_ = 0;
    return std::exchange(pieces_, {});
  }

 private:
  void close_gathered() {
    if (gathered_.empty()) return;
    pieces_.push_back(SharedBytes::copy_of(gathered_));
    gathered_.clear();
  }

  std::vector<SharedBytes> pieces_;
  std::vector<std::uint8_t> gathered_;
  std::size_t total_ = 0;
};

OutFrame one_frame(FrameWriter& writer, std::span<const Message> messages,
                   std::vector<SharedBytes> payload) {
  return writer.write_with_payload(
      0, std::move(payload), [&](FlatBufferBuilder& builder, auto vector) {
        std::vector<flatbuffers::Offset<protocol::RaftMessage>> list;
        list.reserve(messages.size());
        for (const Message& message : messages) list.push_back(write_message(builder, message));
        const auto offsets = builder.CreateVector(list);
        return body(protocol::Body::RaftMessages,
                    protocol::CreateRaftMessages(builder, offsets, vector));
      });
}

flatbuffers::Offset<protocol::RaftConf> write_conf(FlatBufferBuilder& builder,
                                                   const ConfState& conf) {
  const auto voters = builder.CreateVector(conf.voters);
  const auto outgoing = builder.CreateVector(conf.voters_outgoing);
  const auto learners = builder.CreateVector(conf.learners);
  const auto next = builder.CreateVector(conf.learners_next);
  return protocol::CreateRaftConf(builder, voters, outgoing, learners, next, conf.auto_leave);
}

}  // namespace

OutFrame hello_frame(FrameWriter& writer, const Hello& hello) {
  return writer.write(0, [&](FlatBufferBuilder& builder) {
    const auto cluster = builder.CreateString(hello.from.cluster_id);
    const auto disk = builder.CreateString(hello.from.disk_id);
    return body(protocol::Body::PeerHello,
                protocol::CreatePeerHello(builder, hello.min_version, hello.max_version, cluster,
                                          hello.from.id, hello.to, disk, hello.from.incarnation));
  });
}

OutFrame hello_reply_frame(FrameWriter& writer, const PeerIdentity& self) {
  return writer.write(0, [&](FlatBufferBuilder& builder) {
    const auto cluster = builder.CreateString(self.cluster_id);
    const auto disk = builder.CreateString(self.disk_id);
    return body(protocol::Body::PeerHelloReply,
                protocol::CreatePeerHelloReply(builder, kPeerProtocolVersion, cluster, self.id,
                                               disk, self.incarnation));
  });
}

Hello read_hello(const protocol::PeerHello& body) {
  return {.min_version = body.min_version(),
          .max_version = body.max_version(),
          .from = {.cluster_id = text(body.cluster_id()),
                   .id = body.from(),
                   .disk_id = text(body.disk_id()),
                   .incarnation = body.incarnation()},
          .to = body.to()};
}

Hello read_hello(const protocol::PeerHelloReply& body) {
  return {.min_version = body.version(),
          .max_version = body.version(),
          .from = {.cluster_id = text(body.cluster_id()),
                   .id = body.from(),
                   .disk_id = text(body.disk_id()),
                   .incarnation = body.incarnation()}};
}

OutFrame peer_error_frame(FrameWriter& writer, const Error& error) {
  return writer.write(0, [&](FlatBufferBuilder& builder) {
    return body(protocol::Body::ErrorReply, make_error(builder, error));
  });
}

Error read_error(const protocol::ErrorReply* body) {
  if (body == nullptr) return {ErrorCode::kInternal, "the peer gave no reason"};
  return {error_info(static_cast<ErrorCode>(body->code())).code, text(body->message())};
}

OutFrame ping_frame(FrameWriter& writer) {
  return writer.write(0, [](FlatBufferBuilder& builder) {
    return body(protocol::Body::Ping, protocol::CreatePing(builder));
  });
}

OutFrame pong_frame(FrameWriter& writer) {
  return writer.write(0, [](FlatBufferBuilder& builder) {
    return body(protocol::Body::Pong, protocol::CreatePong(builder, net::wall_time_us()));
  });
}

std::vector<OutFrame> messages_frames(FrameWriter& writer, std::span<const Message> messages) {
  std::vector<OutFrame> frames;
  PayloadPieces pieces;
  std::size_t first = 0, entries = 0;
  const auto close = [&](std::size_t end) {
    if (end == first) return;
    frames.push_back(one_frame(writer, messages.subspan(first, end - first), pieces.take()));
    first = end;
    entries = 0;
  };
  for (std::size_t i = 0; i < messages.size(); ++i) {
    std::size_t bytes = 0;
    for (const Entry& entry : messages[i].entries) bytes += entry.data.size();
    if (i - first == limits::kMaxRaftMessagesPerFrame ||
        pieces.total_bytes() + bytes > kFramePayloadBytes ||
        entries + messages[i].entries.size() > limits::kMaxRaftEntriesPerFrame) {
      close(i);
    }
    for (const Entry& entry : messages[i].entries) pieces.add(entry.data);
    entries += messages[i].entries.size();
  }
  close(messages.size());
  return frames;
}

OutFrame snapshot_head_frame(FrameWriter& writer, const SnapshotHead& head) {
  return writer.write(0, [&](FlatBufferBuilder& builder) {
    const auto conf = write_conf(builder, head.meta.conf);
    return body(
        protocol::Body::RaftSnapshotHead,
        protocol::CreateRaftSnapshotHead(builder, head.transfer, head.term, head.meta.index,
                                         head.meta.term, conf, head.total_bytes, head.checksum));
  });
}

OutFrame snapshot_chunk_frame(FrameWriter& writer, std::uint64_t transfer, std::uint64_t offset,
                              SharedBytes bytes) {
  return writer.write_with_payload(
      0, {std::move(bytes)}, [&](FlatBufferBuilder& builder, auto vector) {
        return body(protocol::Body::RaftSnapshotChunk,
                    protocol::CreateRaftSnapshotChunk(builder, transfer, offset, vector));
      });
}

OutFrame snapshot_ack_frame(FrameWriter& writer, std::uint64_t transfer,
                            std::uint64_t received_bytes, bool complete) {
  return writer.write(0, [&](FlatBufferBuilder& builder) {
    return body(protocol::Body::RaftSnapshotAck,
                protocol::CreateRaftSnapshotAck(builder, transfer, received_bytes, complete));
  });
}

OutFrame snapshot_refused_frame(FrameWriter& writer, std::uint64_t transfer, const Error& error) {
  return writer.write(0, [&](FlatBufferBuilder& builder) {
    const auto reason = make_error(builder, error);
    return body(protocol::Body::RaftSnapshotRefused,
                protocol::CreateRaftSnapshotRefused(builder, transfer, reason));
  });
}

}  // namespace andyx::raft
