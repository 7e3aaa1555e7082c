#include "server/metadata/raft_metadata_log_content.h"

#include <string>
#include <utility>

#include "protocol/base/limits.h"

namespace andyx::server {

ControllerEpoch MetadataLogContent::apply(const CampaignProposal& proposal) {
  controller = proposal.node;
  return ++epoch;
}

AppendResult MetadataLogContent::apply(const AppendProposal& proposal) {
  const auto refuse = [this](AppendOutcome outcome, ErrorCode code, std::string message) {
    return AppendResult{outcome, tail(), {code, std::move(message), controller}};
  };
  if (proposal.epoch != epoch) {
    return refuse(AppendOutcome::kFenced, ErrorCode::kNotController,
                  "the metadata log is at epoch " + std::to_string(epoch) + " of node " +
                      std::to_string(controller) + ", not " + std::to_string(proposal.epoch));
  }
  if (proposal.expected != tail()) {
    return refuse(AppendOutcome::kMismatch, ErrorCode::kOutOfSequence,
                  "the metadata log ends at " + std::to_string(tail()) + ", not " +
                      std::to_string(proposal.expected));
  }
  entries.insert(entries.end(), proposal.entries.begin(), proposal.entries.end());
  return {AppendOutcome::kOk, tail(), {}};
}

Result<std::vector<LogEntry>> MetadataLogContent::read(Position from, std::size_t max_bytes) const {
  if (from < start || from > tail()) {
    return fail(ErrorCode::kOffsetOutOfRange,
                "the metadata log holds entries " + std::to_string(start) + " to " +
                    std::to_string(tail()) + ", asked for " + std::to_string(from));
  }
  std::vector<LogEntry> out;
  std::size_t bytes = 0;
  for (Position at = from; at < tail() && (out.empty() || bytes < max_bytes); ++at) {
    out.push_back({at, entries[at - start]});
    bytes += out.back().bytes.size();
  }
  return out;
}

Status MetadataLogContent::put_snapshot(ImageSnapshotBytes taken) {
  if (taken.position > tail()) {
    return fail(ErrorCode::kBadArgument, "a metadata snapshot of position " +
                                             std::to_string(taken.position) +
                                             " of a log that ends at " + std::to_string(tail()));
  }
  if (!snapshot || snapshot->position < taken.position) snapshot = std::move(taken);
  return {};
}

Status MetadataLogContent::trim(Position before) {
  const Position covered = snapshot ? snapshot->position : 0;
  if (before > covered) {
    return fail(ErrorCode::kBadArgument, "the metadata log is not trimmed to " +
                                             std::to_string(before) + ": its snapshot ends at " +
                                             std::to_string(covered));
  }
  for (; start < before; ++start) entries.pop_front();
  return {};
}

}  // namespace andyx::server
