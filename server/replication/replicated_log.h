// One log of a partition, its messages or its internal log, as main or as replica: the shell around
// LocalCopy, MainCore and ReplicaCore. Answers the pulls of replicas from memory or from the disk,
// stores what a replica pulled, cuts what differs, and keeps the table of main epochs durable. What
// is derived from the log, and who waits for it, is its owner's.
//
// A main without other copies has no core at all: what is durable here is committed.
//
// Thread: the partition's loop. Owned by what implements Owner, and lives as long.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/batch/batch_reader.h"
#include "protocol/net/loop.h"
#include "server/loop/write_queue.h"
#include "server/replication/main_core.h"
#include "server/replication/pull_sessions.h"
#include "server/replication/replica_core.h"
#include "storage/storage_shard.h"

namespace andyx::protocol {
struct ReplicaAnswer;
}

namespace andyx::server {

class CoreLoop;

class ReplicatedLog {
 public:
  // What happens around a cut, beside the log itself. `before` and `after` run on the read pool;
  // what `after` returns runs on the loop.
  struct CutWork {
    std::vector<storage::StatePut> reset_puts;  // where the log begins anew, in one write with that
    std::function<Status()> before;
    std::function<Result<net::Task>()> after;
  };

  class Owner {
   public:
    virtual std::shared_ptr<void> keep() = 0;  // while work is under way elsewhere
    virtual std::string describe() const = 0;
    virtual void committed_moved(Offset committed) = 0;
    // Nothing is being cut or refused any more: the role may change.
    virtual void settled() = 0;

    // Of a main.
    virtual void answer(std::uint64_t token, ErrorCode error) = 0;
    virtual void serving_begins() = 0;
    virtual void propose(const SetProposal& proposal) = 0;
    virtual void ask_for_new_epoch(MainEpoch epoch) = 0;
    // The batch that holds `offset`, committed or not, from memory; empty: not there.
    virtual SharedBytes remembered(Offset offset) = 0;
    // What a replica has to know of the records below `start` that begins there.
    virtual std::vector<std::uint8_t> state_below(Offset start) = 0;

    // Of a replica.
    // To storage, `puts` in the same write; written() says what came of it.
    virtual void store(const batch::Header& header, SharedBytes batch,
                       std::vector<storage::StatePut> puts, Awaited awaited) = 0;
    virtual void start_moved(Offset start) = 0;
    virtual void pulls_failing(bool failing) = 0;
    // `state`: what state_below() of the main said.
    virtual CutWork cut_work(const CutLog& cut, ByteSpan state) = 0;

   protected:
    ~Owner() = default;
  };

  ReplicatedLog(CoreLoop& loop, Owner& owner, PartitionId partition, bool internal,
                MainOptions options);

  // What storage holds of it, with its table of main epochs (searched in the log where no row says
  // it). Blocks. Durable is not committed yet: committed begins at the start of the log.
  Status recover();

  const LocalCopy& copy() const { return copy_; }
  const MainCore* main() const { return main_.get(); }
  const ReplicaCore* replica() const { return replica_.get(); }
  bool internal() const { return internal_; }

  // ---- Roles. Only while settled(): nothing is being cut, and no refused write is under way.
  bool settled() const { return !cutting_ && !refused_from_ && !failed_; }
  void lead(const ReplicationRecord& record);
  void follow(const ReplicationRecord& record);
  // At any time. A main that it deposes answers everybody and is gone: has_resigned().
  void image_moved(const ReplicationRecord& record);
  // Neither main nor replica; a main answers everybody first.
  void stand_down();
  bool leads() const { return leads_; }
  MainEpoch epoch() const { return epoch_; }  // while it leads
  bool cutting() const { return cutting_; }
  // Committed records may be read.
  bool serving() const { return leads_ && (!main_ || main_->serving()); }
  // Records and requests may be answered for what is not quorum: the controller is heard.
  bool heard_controller() const;

  // ---- The main's appends.
  Status may_append(protocol::Acks level);
  // A batch with its server's fields set is about to be handed to storage. The row that has to go
  // with it, where it begins an epoch. Call act() when it has been handed on.
  std::optional<storage::StatePut> appended(const batch::Header& header, const SharedBytes& batch,
                                            protocol::Acks level, std::uint64_t token);
  void duplicate(Offset end, protocol::Acks level, std::uint64_t token);
  void start_advanced(Offset start);
  void act();

  // ---- Of either role: what storage says of [from, to), in the order of the writes.
  void written(Offset from, Offset to, ErrorCode error);

  // ---- From other nodes.
  void fetch(const FetchEntry& entry, const std::shared_ptr<ReplicaLink>& link,
             std::size_t max_bytes, std::uint64_t max_wait_ms);
  void answered(const protocol::ReplicaAnswer& body, const SharedBytes& frame);
  void main_unreachable(NodeId main);

  // True: wants to be looked at again soon (100 ms); else once a second will do.
  bool tick();

 private:
  struct Arrived {
    batch::Header header;
    SharedBytes bytes;
  };
  struct Puller {
    NodeId node = 0;
    std::shared_ptr<ReplicaLink> link;
    std::size_t max_bytes = 0;
    std::uint64_t until_ms = 0;  // its poll may wait
    Offset seen_end = 0;         // of this log, when something was read for it last; 0: never yet
  };

  storage::LogId log_id() const;
  std::size_t kept_batches() const;
  std::string epochs_key() const;
  storage::StatePut epochs_row() const;
  Status search_epochs();
  void stood_down();
  void settle();

  // Pulls (replicated_log_pulls.cc).
  void act_on(const MainAction& action);
  void act_on(const ReplicaAction& action);
  void answer_fetch(const AnswerFetch& action);
  std::vector<SharedBytes> in_memory(Offset from, Offset to, std::size_t max_bytes);
  void read_for(const AnswerFetch& action, Puller& puller);
  void answer_read(const AnswerFetch& action, const Puller& puller,
                   Result<std::vector<SharedBytes>> read);
  void send_answer(const Puller& puller, const FetchAnswer& answer,
                   std::vector<SharedBytes> batches);
  Puller* find_puller(NodeId node);
  Status take_batches(const protocol::ReplicaAnswer& body, const SharedBytes& frame);
  void see_distance(const protocol::ReplicaAnswer& body);
  void store(const StoreBatches& action);
  void cut(const CutLog& cut);
  void cut_ended(CutLog cut, Result<net::Task> outcome);
  void retry_soon();
  bool lively() const;

  CoreLoop& loop_;
  Owner& owner_;
  PartitionId partition_;
  bool internal_;
  MainOptions options_;
  LocalCopy copy_;
  std::unique_ptr<MainCore> main_;
  std::unique_ptr<ReplicaCore> replica_;
  bool leads_ = false;
  MainEpoch epoch_ = 0;
  std::uint64_t next_request_ = 1;
  std::vector<Puller> pullers_;
  // Of a main with other copies: what was appended and is not durable, and a few before.
  std::deque<Arrived> recent_;
  std::vector<Arrived> arrived_;  // with the answer that is being taken
  std::vector<std::uint8_t> arrived_state_;
  // Of a replica. Awaited: it is in sync, or too few copies are. Behind: the last answer was not
  // all that its main has, whose log ended at seen_end_ then.
  Awaited awaited_ = Awaited::kYes;
  bool behind_ = false;
  Offset seen_end_ = 0;
  std::uint64_t lively_until_ms_ = 0;
  std::uint32_t writes_under_way_ = 0;
  std::optional<Offset> refused_from_;
  bool cutting_ = false;
  bool failed_ = false;  // its shard has stopped
  bool acting_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace andyx::server
