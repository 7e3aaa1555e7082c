// MetadataLog over Raft: each node with the metadata role runs one peer, whose id is its node id.
// What the group agrees on is in raft_metadata_log_content.h; the node that leads the group is the
// one that can campaign and append.
//
// Threads: calls may come from any thread. Answers come on the raft thread, or inside the call.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>

#include "raft/host/raft_host.h"
#include "server/metadata/metadata_log.h"
#include "server/metadata/raft_metadata_log_content.h"

namespace andyx::server {

struct RaftMetadataLogOptions {
  raft::HostOptions host;
  // What a new group begins with, the same on each of its `bootstrap_voters`: empty, or what a log
  // of another kind held. Ignored when the store holds a log.
  MetadataLogContent first;
  // Asked before each append, on the caller's thread: why nothing may be added now (the disk is
  // nearly full), or nothing. May be empty.
  std::function<std::optional<Error>()> refuse_append;
};

class RaftMetadataLog final : public MetadataLog {
 public:
  // Blocks: opens the store, listens for peers, starts the thread. The errors are those of
  // RaftHost::start.
  static Result<std::unique_ptr<RaftMetadataLog>> open(RaftMetadataLogOptions options);
  ~RaftMetadataLog() override;

  void campaign(NodeId node, std::uint32_t ttl_ms, LogDone<Result<ControllerEpoch>> done) override;
  void append(Position expected, ControllerEpoch epoch, std::vector<EntryBytes> entries,
              LogDone<AppendResult> done) override;
  void read(Position from, std::size_t max_bytes,
            LogDone<Result<std::vector<LogEntry>>> done) override;
  void tail(LogDone<Result<Position>> done) override;
  // Kept by this node alone, and written to its disk as a part of Raft's snapshot of now, so that
  // Raft's log can be forgotten behind it.
  void put_snapshot(ImageSnapshotBytes snapshot, LogDone<Status> done) override;
  void get_snapshot(LogDone<Result<std::optional<ImageSnapshotBytes>>> done) override;
  void trim(Position before, LogDone<Status> done) override;
  void watch(std::function<void(Position tail)> hint) override;
  void on_leader(std::function<void(LogLeader)> changed) override;

  // Of the peer itself, as RaftHost: voters, learners, their progress (on the leader), addresses.
  void status(std::move_only_function<void(raft::NodeStatus)> done);
  void propose_conf_change(raft::ConfChange change, raft::RaftHost::ProposalDone done);
  void transfer_leader(raft::PeerId to);
  void add_peer(raft::PeerAddress peer);
  void remove_peer(raft::PeerId peer);
  void on_leader_change(std::function<void(raft::SoftState, raft::Term)> changed);
  std::uint16_t port() const;
  std::optional<Error> failure() const;

 private:
  class Machine;
  explicit RaftMetadataLog(raft::PeerId self);
  Error why_not(const raft::ProposalResult& result) const;
  Error why_not(const Error& error) const;
  Error not_known(const char* what) const;

  const raft::PeerId self_;
  std::function<std::optional<Error>()> refuse_append_;
  std::atomic<bool> closing_ = false;
  std::unique_ptr<Machine> machine_;
  std::unique_ptr<raft::RaftHost> host_;  // last: its callbacks end before the rest goes
};

}  // namespace andyx::server
