// The bytes of RaftMetadataLog's proposals and snapshots. Little-endian; lengths before what they
// count. A change of the meaning gets a new version number; old ones are read for ever.
#include <algorithm>
#include <string>
#include <utility>

#include "protocol/base/limits.h"
#include "server/metadata/content_hash.h"
#include "server/metadata/raft_metadata_log_content.h"

namespace andyx::server {
namespace {

constexpr std::uint8_t kProposalVersion = 1;
constexpr std::uint8_t kCampaign = 1;
constexpr std::uint8_t kAppend = 2;

constexpr std::uint32_t kContentVersion = 1;
constexpr std::size_t kContentHeadBytes = 12;  // version, XXH3-64 of what follows

class Writer {
 public:
  template <typename Number>
  void number(Number value) {
    for (std::size_t i = 0; i < sizeof value; ++i) {
      bytes_.push_back(static_cast<std::uint8_t>(std::uint64_t{value} >> (8 * i)));
    }
  }
  void bytes(const EntryBytes& value) {
    number(static_cast<std::uint64_t>(value.size()));
    bytes_.insert(bytes_.end(), value.begin(), value.end());
  }
  void reserve(std::size_t size) { bytes_.reserve(size); }
  const std::vector<std::uint8_t>& written() const { return bytes_; }

 private:
  std::vector<std::uint8_t> bytes_;
};

// Past the end everything reads as zero, and ok() says so.
class Reader {
 public:
  explicit Reader(ByteSpan bytes) : bytes_(bytes) {}

  template <typename Number>
  Number number() {
    std::uint64_t value = 0;
    if (take(sizeof(Number))) {
      for (std::size_t i = 0; i < sizeof(Number); ++i) {
        value |= std::uint64_t{bytes_[at_ - sizeof(Number) + i]} << (8 * i);
      }
    }
    return static_cast<Number>(value);
  }
  EntryBytes bytes() {
    const auto size = number<std::uint64_t>();
    if (!take(size)) return {};
    const auto begin = bytes_.begin() + static_cast<std::ptrdiff_t>(at_ - size);
    return {begin, begin + static_cast<std::ptrdiff_t>(size)};
  }
  // Of things that take at least 8 bytes each.
  std::uint64_t count() {
    const auto count = number<std::uint64_t>();
    if (count > (bytes_.size() - at_) / 8) ok_ = false;
    return ok_ ? count : 0;
  }
  bool finished() const { return ok_ && at_ == bytes_.size(); }

 private:
  bool take(std::uint64_t size) {
    ok_ = ok_ && size <= bytes_.size() - at_;
    if (ok_) at_ += size;
    return ok_;
  }

  ByteSpan bytes_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

std::unexpected<Error> newer(const char* what, std::uint32_t version) {
  return fail(ErrorCode::kUnsupportedVersion, std::string(what) + " has version " +
                                                  std::to_string(version) +
                                                  ", which this program does not know");
}

}  // namespace

SharedBytes encode_log_proposal(const LogProposal& proposal) {
  Writer out;
  out.number(kProposalVersion);
  if (const auto* campaign = std::get_if<CampaignProposal>(&proposal)) {
    out.number(kCampaign);
    out.number(campaign->node);
  } else {
    const auto& append = std::get<AppendProposal>(proposal);
    out.number(kAppend);
    out.number(append.expected);
    out.number(append.epoch);
    out.number(static_cast<std::uint64_t>(append.entries.size()));
    for (const EntryBytes& entry : append.entries) out.bytes(entry);
  }
  return SharedBytes::copy_of(out.written());
}

Result<LogProposal> decode_log_proposal(ByteSpan bytes) {
  Reader in(bytes);
  const auto version = in.number<std::uint8_t>();
  if (version > kProposalVersion) return newer("an entry of the metadata's Raft log", version);
  LogProposal proposal;
  bool known = version == kProposalVersion;
  switch (in.number<std::uint8_t>()) {
    case kCampaign:
      proposal = CampaignProposal{in.number<NodeId>()};
      break;
    case kAppend: {
      AppendProposal append{
          .expected = in.number<Position>(), .epoch = in.number<ControllerEpoch>(), .entries = {}};
      for (auto left = in.count(); left > 0; --left) append.entries.push_back(in.bytes());
      proposal = std::move(append);
      break;
    }
    default:
      known = false;
  }
  if (known && in.finished()) return proposal;
  return fail(ErrorCode::kCorrupt, "an entry of the metadata's Raft log is damaged");
}

SharedBytes encode_log_content(const MetadataLogContent& content) {
  const Position start = content.snapshot ? content.snapshot->position : content.start;
  Writer out;
  std::size_t size = 64 + (content.snapshot ? content.snapshot->bytes.size() : 0);
  for (Position at = start; at < content.tail(); ++at) {
    size += 8 + content.entries[at - content.start].size();
  }
  out.reserve(size);
  out.number(content.epoch);
  out.number(content.controller);
  out.number(static_cast<std::uint8_t>(content.snapshot.has_value()));
  if (content.snapshot) {
    out.number(content.snapshot->position);
    out.bytes(content.snapshot->bytes);
  }
  out.number(start);
  out.number(content.tail() - start);
  for (Position at = start; at < content.tail(); ++at) {
    out.bytes(content.entries[at - content.start]);
  }
  Writer head;
  head.number(kContentVersion);
  head.number(xxh3_64(out.written()));
  SharedBytes all = SharedBytes::allocate(head.written().size() + out.written().size());
  std::ranges::copy(head.written(), all.mutable_data());
  std::ranges::copy(out.written(), all.mutable_data() + head.written().size());
  return all;
}

Result<MetadataLogContent> decode_log_content(ByteSpan bytes) {
  const auto damaged = [] {
    return fail(ErrorCode::kCorrupt, "a Raft snapshot of the metadata log is damaged");
  };
  if (bytes.size() < kContentHeadBytes) return damaged();
  Reader head(bytes.first(kContentHeadBytes));
  const auto version = head.number<std::uint32_t>();
  if (version > kContentVersion) return newer("a Raft snapshot of the metadata log", version);
  const ByteSpan rest = bytes.subspan(kContentHeadBytes);
  if (version != kContentVersion || head.number<std::uint64_t>() != xxh3_64(rest)) return damaged();
  Reader in(rest);
  MetadataLogContent content;
  content.epoch = in.number<ControllerEpoch>();
  content.controller = in.number<NodeId>();
  if (in.number<std::uint8_t>() != 0) {
    const auto position = in.number<Position>();
    content.snapshot = ImageSnapshotBytes{position, in.bytes()};
  }
  content.start = in.number<Position>();
  for (auto left = in.count(); left > 0; --left) content.entries.push_back(in.bytes());
  const bool covered = content.start == (content.snapshot ? content.snapshot->position : 0);
  if (!in.finished() || !covered) return damaged();
  return content;
}

}  // namespace andyx::server
