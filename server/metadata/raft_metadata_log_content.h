// What the Raft group of the metadata agrees on: the log of the MetadataLog contract, not the image
// that it feeds. Proposals are decided when they are applied, so the same on every node. Pure; one
// thread, or a lock around it.
//
// Snapshots of the image and trimming are each node's own matter: the image at a position is the
// same everywhere, so that nothing of it has to travel through the log.
#pragma once

#include <deque>
#include <optional>
#include <variant>
#include <vector>

#include "protocol/base/shared_bytes.h"
#include "server/metadata/metadata_log.h"

namespace andyx::server {

// A node asks to be the one that appends.
struct CampaignProposal {
  NodeId node = 0;
};
struct AppendProposal {
  Position expected = 0;
  ControllerEpoch epoch = 0;
  std::vector<EntryBytes> entries;
};
using LogProposal = std::variant<CampaignProposal, AppendProposal>;

// The payload of a Raft entry: version, kind, fields; little-endian. Raft's store and frames have
// checksums of their own.
SharedBytes encode_log_proposal(const LogProposal& proposal);
// kCorrupt, kUnsupportedVersion.
Result<LogProposal> decode_log_proposal(ByteSpan bytes);

struct MetadataLogContent {
  ControllerEpoch epoch = 0;
  NodeId controller = 0;                       // that won it
  std::optional<ImageSnapshotBytes> snapshot;  // the newest
  Position start = 0;                          // of the first entry that is kept
  std::deque<EntryBytes> entries;

  Position tail() const { return start + entries.size(); }

  ControllerEpoch apply(const CampaignProposal& proposal);
  AppendResult apply(const AppendProposal& proposal);
  // As the calls of MetadataLog.
  Result<std::vector<LogEntry>> read(Position from, std::size_t max_bytes) const;
  Status put_snapshot(ImageSnapshotBytes taken);
  Status trim(Position before);
};

// A snapshot for Raft: epoch, image snapshot, and the entries behind it. With version and checksum.
SharedBytes encode_log_content(const MetadataLogContent& content);
// kCorrupt, kUnsupportedVersion.
Result<MetadataLogContent> decode_log_content(ByteSpan bytes);

}  // namespace andyx::server
