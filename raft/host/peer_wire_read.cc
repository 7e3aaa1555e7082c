// What strangers' bytes have to pass before the core sees them.
#include <algorithm>
#include <cstring>

#include "frame_generated.h"
#include "protocol/base/limits.h"
#include "raft/host/peer_wire.h"

namespace andyx::raft {
namespace {

// Where the entries of a frame find their bytes.
class Payload {
 public:
  explicit Payload(ByteSpan bytes) : bytes_(bytes) {}
  bool take(std::uint64_t size, ByteSpan& out) {
    if (size > bytes_.size()) return false;
    out = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return true;
  }
  bool empty() const { return bytes_.empty(); }

 private:
  ByteSpan bytes_;
};

std::unexpected<Error> bad(const std::string& why) {
  return fail(ErrorCode::kBadArgument, "a Raft message that cannot be: " + why);
}

bool travels(protocol::RaftMessageKind kind) {
  switch (kind) {
    case protocol::RaftMessageKind::append:
    case protocol::RaftMessageKind::append_reply:
    case protocol::RaftMessageKind::vote:
    case protocol::RaftMessageKind::vote_reply:
    case protocol::RaftMessageKind::heartbeat:
    case protocol::RaftMessageKind::heartbeat_reply:
    case protocol::RaftMessageKind::transfer_leader:
    case protocol::RaftMessageKind::timeout_now:
    case protocol::RaftMessageKind::read_index:
    case protocol::RaftMessageKind::read_index_reply:
    case protocol::RaftMessageKind::pre_vote:
    case protocol::RaftMessageKind::pre_vote_reply:
      return true;
  }
  return false;
}

// The bytes of all entries of a message share one allocation.
Status read_entries(const protocol::RaftMessage& body, Payload& payload, Message& message) {
  const auto& list = *body.entries();
  const Term last_term_before = message.log_term;
  std::uint64_t total = 0;
  for (const protocol::RaftEntry* entry : list) total += entry->size();
  ByteSpan bytes;
  if (!payload.take(total, bytes)) {
    return fail(ErrorCode::kBadFrame, "entries of Raft messages say more bytes than there are");
  }
  if (message.index > kNoLimit - 1 - list.size()) return bad("its index overflows");
  const auto shared = total > 0 ? SharedBytes::copy_of(bytes) : SharedBytes();
  message.entries.reserve(list.size());
  std::size_t at = 0;
  Term term = last_term_before;
  for (const protocol::RaftEntry* from : list) {
    const Index index = message.index + 1 + message.entries.size();
    if (from->term() == 0) return bad("entry " + std::to_string(index) + " has term 0");
    if (from->term() < term || from->term() > message.term) {
      return bad("entry " + std::to_string(index) + " of term " + std::to_string(from->term()) +
                 " follows one of term " + std::to_string(term) + " in a message of term " +
                 std::to_string(message.term));
    }
    if (from->size() > limits::kMaxRaftEntryBytes) {
      return bad("entry " + std::to_string(index) + " has " + std::to_string(from->size()) +
                 " bytes, the limit is " + std::to_string(limits::kMaxRaftEntryBytes));
    }
    term = from->term();
    Entry entry{.term = term, .index = index, .type = static_cast<EntryType>(from->kind())};
    if (from->size() > 0) entry.data = shared.slice(at, from->size());
    at += from->size();
    if (entry.type > EntryType::kConfChangeV2) return bad("an entry of an unknown kind");
    ConfChange change;
    if (entry.type != EntryType::kNormal && !decode(entry.type, entry.data.span(), change)) {
      return bad("entry " + std::to_string(index) + " is no membership change");
    }
    message.entries.push_back(std::move(entry));
  }
  return {};
}

Result<Message> read_message(const protocol::RaftMessage& body, Payload& payload, PeerId peer,
                             PeerId self) {
  if (!travels(body.kind())) {
    return bad("kind " + std::to_string(static_cast<int>(body.kind())) +
               " is not sent between peers");
  }
  Message message{.type = static_cast<MessageType>(body.kind()),
                  .from = body.from(),
                  .to = self,
                  .term = body.term(),
                  .log_term = body.log_term(),
                  .index = body.index(),
                  .commit = body.commit(),
                  .reject = body.reject(),
                  .reject_hint = body.reject_hint(),
                  .transfer = body.transfer(),
                  .context = body.context(),
                  .tick = body.tick()};
  const bool names_another = message.type == MessageType::kTransferLeader;
  if (names_another ? message.from == kNone || is_storage_thread(message.from)
                    : message.from != peer) {
    return bad("peer " + std::to_string(peer) + " speaks for peer " + std::to_string(message.from));
  }
  const bool any_term = names_another || message.type == MessageType::kReadIndex;
  if (message.term == 0 && !any_term) return bad("it has term 0");
  if (message.log_term > message.term && !any_term && message.type != MessageType::kAppendReply) {
    return bad("its log's term " + std::to_string(message.log_term) + " is above its own, " +
               std::to_string(message.term));
  }
  if (body.entries() != nullptr && body.entries()->size() > 0) {
    if (message.type != MessageType::kAppend) return bad("entries outside of an append");
    if (auto read = read_entries(body, payload, message); !read) {
      return std::unexpected(read.error());
    }
  }
  return message;
}

std::vector<PeerId> read_ids(const flatbuffers::Vector<std::uint64_t>* list) {
  if (list == nullptr) return {};
  return {list->begin(), list->end()};
}

bool is_id_set(const std::vector<PeerId>& ids) {
  return ids.size() <= limits::kMaxRaftPeers &&
         std::ranges::adjacent_find(ids, std::greater_equal{}) == ids.end() &&
         std::ranges::none_of(ids, [](PeerId id) { return id == kNone || is_storage_thread(id); });
}

bool overlap(const std::vector<PeerId>& one, const std::vector<PeerId>& other) {
  return std::ranges::any_of(one, [&](PeerId id) { return std::ranges::count(other, id) > 0; });
}

// What every configuration that the core can reach has in common.
bool is_possible(const ConfState& conf) {
  if (conf.voters.empty()) return false;
  for (const auto* ids :
       {&conf.voters, &conf.voters_outgoing, &conf.learners, &conf.learners_next}) {
    if (!is_id_set(*ids)) return false;
  }
  if (conf.voters_outgoing.empty() && (!conf.learners_next.empty() || conf.auto_leave)) {
    return false;
  }
  return !overlap(conf.learners, conf.voters) && !overlap(conf.learners, conf.voters_outgoing) &&
         !overlap(conf.learners, conf.learners_next) &&
         std::ranges::includes(conf.voters_outgoing, conf.learners_next);
}

}  // namespace

Result<std::vector<Message>> read_messages(const protocol::RaftMessages& body, PeerId peer,
                                           PeerId self) {
  const auto& list = *body.messages();
  if (list.size() > limits::kMaxRaftMessagesPerFrame) {
    return fail(ErrorCode::kBadFrame, std::to_string(list.size()) +
                                          " Raft messages in one frame, the limit is " +
                                          std::to_string(limits::kMaxRaftMessagesPerFrame));
  }
  std::uint64_t entries = 0;
  for (const auto* message : list) {
    entries += message->entries() == nullptr ? 0 : message->entries()->size();
  }
  if (entries > limits::kMaxRaftEntriesPerFrame) {
    return fail(ErrorCode::kBadFrame, std::to_string(entries) +
                                          " Raft entries in one frame, the limit is " +
                                          std::to_string(limits::kMaxRaftEntriesPerFrame));
  }
  std::vector<Message> messages;
  messages.reserve(list.size());
  Payload payload({body.payload()->data(), body.payload()->size()});
  for (const auto* message : list) {
    auto read = read_message(*message, payload, peer, self);
    if (!read) return std::unexpected(read.error());
    messages.push_back(std::move(*read));
  }
  if (!payload.empty()) {
    return fail(ErrorCode::kBadFrame, "a frame of Raft messages has bytes that are of no entry");
  }
  return messages;
}

Result<SnapshotHead> read_snapshot_head(const protocol::RaftSnapshotHead& body) {
  const auto& conf = *body.conf();
  SnapshotHead head{.transfer = body.transfer(),
                    .term = body.term(),
                    .meta = {.index = body.index(),
                             .term = body.index_term(),
                             .conf = {.voters = read_ids(conf.voters()),
                                      .voters_outgoing = read_ids(conf.voters_outgoing()),
                                      .learners = read_ids(conf.learners()),
                                      .learners_next = read_ids(conf.learners_next()),
                                      .auto_leave = conf.auto_leave()}},
                    .total_bytes = body.total_bytes(),
                    .checksum = body.checksum()};
  if (head.total_bytes > limits::kMaxRaftSnapshotBytes) {
    return fail(ErrorCode::kLimitReached, "a Raft snapshot of " + std::to_string(head.total_bytes) +
                                              " bytes, the limit is " +
                                              std::to_string(limits::kMaxRaftSnapshotBytes));
  }
  if (head.meta.index == 0 || head.meta.index == kNoLimit || head.meta.term == 0 ||
      head.meta.term > head.term) {
    return bad("a snapshot at index " + std::to_string(head.meta.index) + " of term " +
               std::to_string(head.meta.term) + " in term " + std::to_string(head.term));
  }
  if (!is_possible(head.meta.conf)) {
    return bad("a snapshot with a configuration that no group can have");
  }
  return head;
}

}  // namespace andyx::raft
