#include "raft/core/types.h"

#include <algorithm>
#include <utility>

namespace andyx::raft {

namespace {

constexpr std::uint64_t varint_bytes(std::uint64_t value) {
  std::uint64_t bytes = 1;
  while (value >= 0x80) {
    value >>= 7;
    bytes++;
  }
  return bytes;
}

// Protobuf: a field is a tag (number << 3 | wire type), then a varint (wire type 0) or a length and
// bytes (wire type 2).
enum class Wire : std::uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) {
    out.push_back(static_cast<char>(value | 0x80));
  }
  out.push_back(static_cast<char>(value));
}

void put_number(std::string& out, std::uint32_t field, std::uint64_t value) {
  put_varint(out, std::uint64_t{field} << 3 | std::to_underlying(Wire::kVarint));
  put_varint(out, value);
}

void put_bytes(std::string& out, std::uint32_t field, const std::string& bytes) {
  put_varint(out, std::uint64_t{field} << 3 | std::to_underlying(Wire::kBytes));
  put_varint(out, bytes.size());
  out += bytes;
}

struct Field {
  std::uint32_t number = 0;
  Wire wire = Wire::kVarint;
  std::uint64_t value = 0;
  ByteSpan bytes;
};

class FieldReader {
 public:
  explicit FieldReader(ByteSpan bytes) : bytes_(bytes) {}

  bool done() const { return bytes_.empty(); }

  bool next(Field& field) {
    std::uint64_t tag = 0;
    if (!varint(tag) || tag >> 3 == 0 || tag >> 3 > 0x1fffffff) {
      return false;
    }
    field.number = static_cast<std::uint32_t>(tag >> 3);
    field.wire = static_cast<Wire>(tag & 7);
    switch (field.wire) {
      case Wire::kVarint:
        return varint(field.value);
      case Wire::kBytes: {
        std::uint64_t size = 0;
        return varint(size) && take(size, field.bytes);
      }
      case Wire::kFixed64:
        return take(8, field.bytes);
      case Wire::kFixed32:
        return take(4, field.bytes);
    }
    return false;
  }

 private:
  bool varint(std::uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64 && !bytes_.empty(); shift += 7) {
      const std::uint8_t byte = bytes_.front();
      bytes_ = bytes_.subspan(1);
      value |= std::uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) {
        return true;
      }
    }
    return false;
  }

  bool take(std::uint64_t size, ByteSpan& out) {
    if (size > bytes_.size()) {
      return false;
    }
    out = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return true;
  }

  ByteSpan bytes_;
};

bool set_type(std::uint64_t value, ConfChangeType& type) {
  type = static_cast<ConfChangeType>(value);
  return value <= std::to_underlying(ConfChangeType::kAddLearner);
}

// ConfChangeSingle: type = 1, node_id = 2.
bool decode_single(ByteSpan bytes, ConfChangeSingle& single) {
  FieldReader reader(bytes);
  Field field;
  while (!reader.done()) {
    if (!reader.next(field)) {
      return false;
    }
    if (field.number == 1 && !set_type(field.value, single.type)) {
      return false;
    }
    if (field.number == 2) {
      single.peer = field.value;
    }
  }
  return true;
}

// ConfChange: id = 1, type = 2, node_id = 3, context = 4.
bool decode_v1_field(const Field& field, ConfChange& change) {
  switch (field.number) {
    case 2:
      return set_type(field.value, change.changes[0].type);
    case 3:
      change.changes[0].peer = field.value;
      return true;
    case 4:
      change.context.assign(field.bytes.begin(), field.bytes.end());
      return true;
    default:
      return true;
  }
}

// ConfChangeV2: transition = 1, changes = 2, context = 3.
bool decode_v2_field(const Field& field, ConfChange& change) {
  switch (field.number) {
    case 1:
      change.transition = static_cast<ConfTransition>(field.value);
      return field.value <= std::to_underlying(ConfTransition::kJointExplicit);
    case 2:
      return decode_single(field.bytes, change.changes.emplace_back());
    case 3:
      change.context.assign(field.bytes.begin(), field.bytes.end());
      return true;
    default:
      return true;
  }
}

}  // namespace

std::uint64_t Entry::encoded_bytes() const {
  std::uint64_t bytes = 2 + varint_bytes(term) + varint_bytes(index);
  if (type != EntryType::kNormal) {
    bytes += 2;
  }
  if (!data.empty()) {
    bytes += 1 + varint_bytes(data.size()) + data.size();
  }
  return bytes;
}

bool is_local(MessageType type) {
  switch (type) {
    case MessageType::kHup:
    case MessageType::kBeat:
    case MessageType::kUnreachable:
    case MessageType::kSnapshotStatus:
    case MessageType::kCheckQuorum:
    case MessageType::kStorageAppend:
    case MessageType::kStorageAppendReply:
    case MessageType::kStorageApply:
    case MessageType::kStorageApplyReply:
    case MessageType::kForgetLeader:
      return true;
    default:
      return false;
  }
}

bool is_reply(MessageType type) {
  switch (type) {
    case MessageType::kAppendReply:
    case MessageType::kVoteReply:
    case MessageType::kHeartbeatReply:
    case MessageType::kUnreachable:
    case MessageType::kReadIndexReply:
    case MessageType::kPreVoteReply:
    case MessageType::kStorageAppendReply:
    case MessageType::kStorageApplyReply:
      return true;
    default:
      return false;
  }
}

SharedBytes encode(const ConfChange& change) {
  std::string out;
  if (change.v1) {
    put_number(out, 2, std::to_underlying(change.changes.at(0).type));
    put_number(out, 3, change.changes.at(0).peer);
    if (!change.context.empty()) {
      put_bytes(out, 4, change.context);
    }
  } else {
    if (change.transition != ConfTransition::kAuto) {
      put_number(out, 1, std::to_underlying(change.transition));
    }
    for (const ConfChangeSingle& single : change.changes) {
      std::string inner;
      put_number(inner, 1, std::to_underlying(single.type));
      put_number(inner, 2, single.peer);
      put_bytes(out, 2, inner);
    }
    if (!change.context.empty()) {
      put_bytes(out, 3, change.context);
    }
  }
  if (out.empty()) {
    return {};
  }
  return SharedBytes::copy_of({reinterpret_cast<const std::uint8_t*>(out.data()), out.size()});
}

bool decode(EntryType type, ByteSpan bytes, ConfChange& change) {
  change = {};
  change.v1 = type == EntryType::kConfChange;
  if (change.v1) {
    change.changes.resize(1);
  }
  FieldReader reader(bytes);
  Field field;
  while (!reader.done()) {
    if (!reader.next(field) ||
        !(change.v1 ? decode_v1_field(field, change) : decode_v2_field(field, change))) {
      return false;
    }
  }
  return true;
}

}  // namespace andyx::raft
