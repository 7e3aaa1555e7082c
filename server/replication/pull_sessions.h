// The pull sessions of one loop. As replica: the fetches of all its partitions in one turn become
// one frame for each main's node, and pushed answers find their partition. As main: answers leave
// together, and reads of the disk for replicas that are behind are bounded. What nobody waits for,
// of either side, goes at the node's pace (catch_up_pace.h). And the clock of both: partitions with
// something under way are looked at every 100 ms, the others every 10 s, so that thousands of idle
// ones cost next to nothing.
//
// Thread: its loop. Owned by CoreLoop.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "protocol/frame/frame_writer.h"
#include "server/cluster/node_links.h"
#include "server/loop/write_queue.h"
#include "server/replication/fetch.h"
#include "server/replication/replica_core.h"

namespace andyx::server {

class CoreLoop;
class ReplicatedLog;

// The way back to a replica's loop. Shared by the partitions that it pulls, on any of the loops.
class ReplicaLink {
 public:
  virtual ~ReplicaLink() = default;
  virtual void send(std::vector<frame::OutFrame> frames) = 0;  // any loop
  virtual bool takes_more() const = 0;                         // any thread
};

// The answer to a fetch of a partition that this node is not the main of.
frame::OutFrame refusal_of(PartitionId partition, bool internal, const FetchEntry& entry);

// BOOTTIME: what the cores of replication count in.
std::uint64_t replication_now_ms();

class PullSessions final : public NodeLinks::Events {
 public:
  explicit PullSessions(CoreLoop& loop) : loop_(loop) {}

  // Null where the node has no cluster. Before anything is pulled.
  void set_links(std::unique_ptr<NodeLinks> links) {
    links_ = std::move(links);
    up_.clear();
  }
  NodeLinks* links() { return links_.get(); }

  // ---- As replica.
  // Not awaited: when the pace allows it.
  void send_fetch(PartitionId partition, bool internal, const SendFetch& fetch, Awaited awaited);

  // ---- As main.
  // At the end of the turn, with what else goes there.
  void send_answer(std::shared_ptr<ReplicaLink> link, frame::OutFrame frame);
  // What has to come from the disk. `begin` is called when the replica's link takes more and fewer
  // than kReadsAtOnce reads for it are under way, and where it is not awaited, when the pace allows
  // it too. It reads at most so many bytes, and says how many there were when it has ended. Not
  // begun at until_ms, for lack of pace: `give_up` instead.
  using ReadEnded = std::move_only_function<void(std::size_t bytes)>;
  struct Read {
    Awaited awaited = Awaited::kYes;
    std::uint64_t until_ms = 0;
    std::move_only_function<void(std::size_t max_bytes, ReadEnded ended)> begin;
    net::Task give_up;
  };
  void read_later(std::shared_ptr<ReplicaLink> link, Read read);

  // ---- The clock.
  void watch(PartitionId partition);  // has other copies
  void wake(PartitionId partition) { lively_.insert(partition); }
  void short_tick();  // every 20 ms

  void on_push(NodeId from, NodeFrame frame) override;
  void on_up(NodeId node) override;
  void on_down(NodeId node, const Error& reason) override;

  // Of a poll that may wait: long, because the link says when it is lost. Its deadline is seen by
  // the sweep, some 10 s late; it is asked again when that has not happened, either.
  static constexpr std::uint32_t kMaxWaitMs = 30'000;
  static constexpr std::uint64_t kParkedTimeoutMs = 45'000;
  static constexpr std::uint64_t kAnswerTimeoutMs = 5'000;  // of one that may not wait
  static constexpr std::size_t kMaxAnswerBytes = 1 * limits::kMiB;

 private:
  static constexpr std::size_t kReadsAtOnce = 4;
  static constexpr std::uint32_t kTicksOfSweep = 500;  // short ones: 10 s
  static constexpr std::uint32_t kTicksOfLively = 5;   // 100 ms
  static constexpr std::size_t kFetchesOfFrame = 4'096;

  struct Outgoing {
    PartitionId partition = 0;
    bool internal = false;
    bool at_once = false;
    FetchEntry entry;
    std::size_t max_bytes = kMaxAnswerBytes;
  };
  using Fetches = std::vector<Outgoing>;
  struct Reads {
    std::size_t under_way = 0;
    std::deque<Read> waiting;
    std::deque<Read> paced;  // nobody waits for these
  };

  void flush_later();
  void flush();
  void ask_again(NodeId node);
  void flush_fetches();
  void take_paced_fetches();
  bool tell_fetches(NodeId main, std::span<const Outgoing> fetches);
  void start_reads(const std::shared_ptr<ReplicaLink>& link);
  bool start_read(const std::shared_ptr<ReplicaLink>& link, Reads& reads);
  void tick(PartitionId partition);
  bool has_room() const;

  CoreLoop& loop_;
  std::unique_ptr<NodeLinks> links_;
  std::unordered_map<NodeId, Fetches> fetches_;
  std::unordered_map<NodeId, std::deque<Outgoing>> paced_fetches_;
  std::unordered_set<NodeId> up_;  // links
  std::unordered_map<std::shared_ptr<ReplicaLink>, std::vector<frame::OutFrame>> answers_;
  std::unordered_map<std::shared_ptr<ReplicaLink>, Reads> reads_;
  std::unordered_set<PartitionId> lively_;
  std::vector<PartitionId> watched_;
  std::unordered_set<PartitionId> is_watched_;
  std::size_t sweep_at_ = 0;
  std::uint32_t ticks_ = 0;
  bool flush_scheduled_ = false;
};

}  // namespace andyx::server
