// The metadata log of a node that runs no Raft peer: reads it from the nodes that do, waits for new
// entries by a long poll, and refuses everything else with kNotController.
//
// Not linearizable: tail() is the highest one that any node has told of. Snapshots and trimming are
// each node's own business, and this one keeps nothing, so both come to nothing.
//
// Threads: calls from any thread; the work is done on the control loop, where answers come. Made
// before the loop runs, destroyed after it has; the peers are closed before.
#pragma once

#include <memory>

#include "server/cluster/metadata_peers.h"
#include "server/metadata/metadata_log.h"

namespace andyx::server {

struct RemoteMetadataLogOptions {
  std::uint32_t call_timeout_ms = 2'000;
  std::uint32_t poll_ms = 5'000;  // of one long poll
  std::uint32_t retry_ms = 100;   // when no node answers
};

class RemoteMetadataLog final : public MetadataLog {
 public:
  RemoteMetadataLog(net::Loop& loop, std::shared_ptr<MetadataPeers> peers,
                    RemoteMetadataLogOptions options = {});
  ~RemoteMetadataLog() override;

  // Any thread: another way to learn how far the log goes, as from the answer to a heartbeat.
  void tail_is(Position tail);
  // Any thread: who leads the log, as the answer to a heartbeat says.
  void leader_is(NodeId node);

  void campaign(NodeId node, std::uint32_t ttl_ms, LogDone<Result<ControllerEpoch>> done) override;
  void append(Position expected, ControllerEpoch epoch, std::vector<EntryBytes> entries,
              LogDone<AppendResult> done) override;
  void read(Position from, std::size_t max_bytes,
            LogDone<Result<std::vector<LogEntry>>> done) override;
  void tail(LogDone<Result<Position>> done) override;
  void put_snapshot(ImageSnapshotBytes snapshot, LogDone<Status> done) override;
  void get_snapshot(LogDone<Result<std::optional<ImageSnapshotBytes>>> done) override;
  void trim(Position before, LogDone<Status> done) override;
  void watch(std::function<void(Position tail)> hint) override;
  void on_leader(std::function<void(LogLeader)> changed) override;

 private:
  class Puller;
  template <typename T, typename Work>
  void on_loop(LogDone<Result<T>> done, Work work);

  net::Loop& loop_;
  std::shared_ptr<Puller> puller_;
};

}  // namespace andyx::server
