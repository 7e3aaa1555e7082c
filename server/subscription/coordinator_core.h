// Who is attached to a subscription, and who is active on which partition: one core for each
// subscription, on the main of its coordinating partition. Events in, actions out. Pure; one
// thread.
//
// Every attachment has an attach epoch, its id. Every partition has a partition epoch: its main
// delivers only to streams of the newest one that it has seen.
//   unique    one attachment has all partitions.
//   failover  each partition has one owner among the attachments of the highest priority, spread
//             evenly; the others stand by. Only what has to move moves.
//   shared    every attachment has every partition, under one epoch that never changes.
// A partition whose owner changes while its holder is attached is revoked first; its main says
// drained() when what was delivered there is answered (or its time is up), and only then it is
// granted anew. A holder that has gone is replaced at once.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/ids.h"

namespace andyx::protocol {  // of common_generated.h
enum class SubscriptionType : std::uint8_t;
}

namespace andyx::server {

// A coordinator's epochs begin here and rise. Above every epoch of a coordinator before it, on
// whatever node: a main epoch has one main in one incarnation, and rises with each other one. So
// many bits that neither side can run over: 2^38 grants in one main epoch, 2^26 main epochs.
inline constexpr unsigned kGrantBits = 38;
std::uint64_t first_coordinator_epoch(MainEpoch main_epoch);

struct AttachRequest {
  std::string name;
  std::uint64_t session = 0;  // chosen by the client; a reconnect with the same one takes its place
  std::uint64_t connection = 0;  // the shell's token of its connection
  std::int32_t priority = 0;     // failover only
  bool take_over = false;        // who is in the way is detached
};

struct AttachedConsumer {
  std::uint64_t attach_epoch = 0;
  std::string name;
  std::uint64_t session = 0;
  std::uint64_t connection = 0;
  std::int32_t priority = 0;

  bool operator==(const AttachedConsumer&) const = default;
};

struct PartitionGrant {
  std::uint32_t partition = 0;  // index in the topic
  std::uint64_t epoch = 0;      // for StreamOpen

  bool operator==(const PartitionGrant&) const = default;
};

class CoordinatorCore {
 public:
  // Epochs are given from `first_epoch` on. They must grow over restarts: seed it with a value that
  // did not exist before, as the node's incarnation or start time in the upper bits.
  CoordinatorCore(std::string subscription, protocol::SubscriptionType type,
                  std::uint32_t partitions, std::uint64_t first_epoch);

  struct Revoke {
    std::uint32_t partition = 0;
    std::uint64_t epoch = 0;  // streams of this one and older ones get nothing more
  };
  struct Ended {
    AttachedConsumer consumer;
    Error reason;
  };
  // What an event leads to. The shell tells those who are `assigned` their grants() anew before it
  // revokes anything, so that a client knows what it loses before its stream is affected.
  struct Actions {
    std::vector<Ended> ended;             // displaced: they are told, and their streams end
    std::vector<std::uint64_t> assigned;  // attach epochs whose partitions have changed; ascending
    std::vector<Revoke> revokes;
  };

  struct Attached {
    std::uint64_t attach_epoch = 0;  // begins with grants(attach_epoch), perhaps none
    Actions actions;                 // about the others
  };
  // kSubscriptionBusy, naming who is in the way: the present consumer of a unique subscription, or
  // one of the same name. kLimitReached.
  Result<Attached> attach(AttachRequest request);
  Actions detach(std::uint64_t attach_epoch);         // nothing for one that is not attached
  Actions connection_lost(std::uint64_t connection);  // and every attachment of it
  // The main of a revoked partition has drained it. Late news of another epoch change nothing.
  Actions drained(std::uint32_t partition, std::uint64_t epoch);
  Actions set_partitions(std::uint32_t count);  // never fewer

  // Partitions that this attachment should have open, ascending.
  std::vector<PartitionGrant> grants(std::uint64_t attach_epoch) const;
  bool attached(std::uint64_t attach_epoch) const { return consumers_.contains(attach_epoch); }
  std::vector<AttachedConsumer> consumers() const;  // in the order of their attaching
  // The attach epoch of who is active on a partition, 0 for nobody. Not for shared: all are.
  std::uint64_t active(std::uint32_t partition) const;
  bool shared() const;
  std::uint32_t partitions() const { return static_cast<std::uint32_t>(partitions_.size()); }

 private:
  struct Consumer {
    AttachedConsumer face;
    // Of rebalance().
    bool candidate = false;
    std::uint32_t owned = 0, quota = 0;
  };
  struct Partition {
    std::uint64_t owner = 0;   // the attachment that should have it
    std::uint64_t holder = 0;  // that has it until drained
    std::uint64_t epoch = 0;   // of the holder
    bool revoked = false;      // and the news that it is drained has not come
  };
  using Consumers = std::map<std::uint64_t, Consumer>;  // by attach epoch

  Result<std::vector<std::uint64_t>> in_the_way(const AttachRequest& request) const;
  void release(std::uint64_t attach_epoch, std::uint64_t heir);
  std::vector<Consumer*> candidates();
  void set_quotas();
  void place_partitions();
  void rebalance(Actions& actions);
  void grant(Partition& partition, std::uint64_t epoch, Actions& actions);
  static void finish(Actions& actions, std::uint64_t without);

  std::string subscription_;
  protocol::SubscriptionType type_;
  std::uint64_t shared_epoch_;
  std::uint64_t next_epoch_;
  Consumers consumers_;
  std::vector<Partition> partitions_;
};

}  // namespace andyx::server
