// One log of a partition on a node, its messages or its internal log, as main or as replica: what
// the server's ReplicatedLog does around the cores, with a simulated disk. What is derived from it
// is the copy's (copy.h).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "server/replication/main_core.h"
#include "server/replication/replica_core.h"
#include "tests/sim/replication/batch.h"
#include "tests/sim/replication/options.h"

namespace andyx::server::sim {

class Checker;
class Copy;
class Node;

class ReplicaLog {
 public:
  ReplicaLog(Node& node, Copy& owner, bool internal);

  NodeId id() const;  // of the node
  bool up() const;
  bool internal() const { return internal_; }
  const SimLog& log() const { return log_; }
  const LocalCopy& copy() const { return copy_; }
  const MainCore* main() const { return main_ && !main_->resigned() ? main_.get() : nullptr; }
  bool was_main() const { return main_ != nullptr; }  // until it stands down
  bool serving() const { return main() != nullptr && main_->serving(); }
  bool heard_controller() const;
  MainEpoch epoch() const;
  MainEpoch failing_epoch() const { return failing_epoch_; }  // pulls from its main fail; 0: not
  std::string describe() const;

  // The process and its disk.
  void start();
  void crash();
  void wipe();  // while it is down, or when the copy is taken from the node
  void tick();

  // Roles.
  void lead(const ReplicationRecord& record);
  void follow(const ReplicationRecord& record);
  void image_moved(const ReplicationRecord& record);
  void stand_down();
  void controller_answered(std::uint64_t asked_ms);

  // The main's.
  Status may_append(protocol::Acks level) const;
  void append(Batch batch, protocol::Acks level, std::uint64_t token);
  void duplicate(Offset end, protocol::Acks level, std::uint64_t token);
  void retain(Offset from);

  // From other nodes.
  void fetch(const FetchEntry& entry, bool at_once);
  void fetched(const FetchAnswer& answer, const std::vector<Batch>& batches);

 private:
  void act();
  void act_on(const MainAction& action);
  void act_on(const ReplicaAction& action);
  void answer_fetch(const AnswerFetch& action);
  void cut(const CutLog& cut);
  void store(const Batch& batch);
  void write();
  void written(Offset end);
  void refuse_unsynced();
  Checker& checker() const;
  std::uint64_t now_ms() const;

  Node& node_;
  Copy& owner_;
  bool internal_;
  SimLog log_;
  Offset synced_ = 0;  // survives a crash
  bool writing_ = false;
  std::uint64_t life_ = 0;  // what was begun in an earlier one has no end
  LocalCopy copy_;
  std::unique_ptr<MainCore> main_;
  std::unique_ptr<ReplicaCore> replica_;
  std::vector<Batch> arrived_;  // with the answer that is being taken
  std::uint64_t next_request_ = 1;
  MainEpoch failing_epoch_ = 0;
  bool acting_ = false;
};

}  // namespace andyx::server::sim
