#include "raft/host/snapshot_transfer.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "protocol/batch/checksum.h"

namespace andyx::raft {

SnapshotSender::SnapshotSender(std::uint64_t transfer, const Message& message)
    : head_{.transfer = transfer,
            .term = message.term,
            .meta = message.snapshot->meta,
            .total_bytes = message.snapshot->data.size(),
            .checksum = batch::checksum64(message.snapshot->data.span())},
      snapshot_(message.snapshot) {}

std::optional<SnapshotSender::Chunk> SnapshotSender::next() {
  const std::uint64_t left = head_.total_bytes - sent_;
  const std::size_t size = std::min<std::uint64_t>(left, kSnapshotChunkBytes);
  if (size == 0 || sent_ + size - acknowledged_ > kSnapshotWindowBytes) return std::nullopt;
  Chunk chunk{.offset = sent_, .bytes = snapshot_->data.slice(sent_, size)};
  sent_ += size;
  return chunk;
}

bool SnapshotSender::acknowledged(std::uint64_t received_bytes) {
  if (received_bytes < acknowledged_ || received_bytes > sent_) return false;
  acknowledged_ = received_bytes;
  return true;
}

Status SnapshotReceiver::add(std::uint64_t offset, ByteSpan bytes) {
  if (bytes.empty() || bytes.size() > limits::kMaxRaftSnapshotChunkBytes || offset != received_ ||
      bytes.size() > head_.total_bytes - received_) {
    return fail(ErrorCode::kBadFrame, "a snapshot chunk of " + std::to_string(bytes.size()) +
                                          " bytes at " + std::to_string(offset) + ", with " +
                                          std::to_string(received_) + " of " +
                                          std::to_string(head_.total_bytes) + " bytes here");
  }
  if (received_ + bytes.size() > bytes_.size()) {
    const std::uint64_t wanted = std::max<std::uint64_t>(2 * bytes_.size(), limits::kMiB);
    auto larger = SharedBytes::allocate(std::min(wanted, head_.total_bytes));
    if (received_ > 0) std::memcpy(larger.mutable_data(), bytes_.data(), received_);
    bytes_ = std::move(larger);
  }
  std::memcpy(bytes_.mutable_data() + received_, bytes.data(), bytes.size());
  received_ += bytes.size();
  return {};
}

Result<Message> SnapshotReceiver::finish(PeerId from, PeerId to) {
  if (batch::checksum64(bytes_.span()) != head_.checksum) {
    return fail(ErrorCode::kBadChecksum, "a snapshot of " + std::to_string(head_.total_bytes) +
                                             " bytes does not match its checksum");
  }
  return Message{.type = MessageType::kSnapshot,
                 .from = from,
                 .to = to,
                 .term = head_.term,
                 .snapshot = std::make_shared<Snapshot>(
                     Snapshot{.meta = head_.meta, .data = std::move(bytes_)})};
}

}  // namespace andyx::raft
