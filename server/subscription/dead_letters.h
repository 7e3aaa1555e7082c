// Takes messages that failed too often to the dead-letter topic: `<topic>.dead`, the same
// partition. Each is a batch of its own with an internal idempotent producer (the subscription) and
// the round's sequence, so that a round that is repeated after a crash stores nothing twice. Where
// that partition has its main on another node, it is stored there, as durably as acks quorum. When
// storing is impossible (a full disk, a main that does not answer) the round is kept and tried
// again.
//
// Thread: the partition's loop. Owned by Subscription; works that are under way hold `alive`.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/ids.h"
#include "protocol/base/names.h"
#include "protocol/base/shared_bytes.h"
#include "server/subscription/subscription_core.h"

namespace andyx::server {

class OnLastRelease;
class Partition;
struct PartitionRecord;
struct SubscriptionRecord;
struct Topic;

inline constexpr std::string_view kDeadSuffix = ".dead";
bool is_dead_letter_topic(std::string_view topic);  // the last part of its name
// kBadName: the name would be too long.
Result<TopicName> dead_letter_topic(const TopicName& topic);

class DeadLetters {
 public:
  DeadLetters(Partition& partition, const SubscriptionRecord& record, SubscriptionCore& core,
              std::function<void()> progressed);

  // Begins a round where there is something to do and none is under way; goes on with one that a
  // restart has left.
  void work(std::weak_ptr<bool> alive);

 private:
  struct Round;

  void read_next(const std::shared_ptr<Round>& round);
  void message_read(const std::shared_ptr<Round>& round, Result<std::vector<SharedBytes>> read);
  void send(const std::shared_ptr<Round>& round);
  void store(const std::shared_ptr<Round>& round, const Topic& dead);
  void store_on_node(const std::shared_ptr<Round>& round, const Topic& dead,
                     const PartitionRecord& target, const SharedBytes& batch,
                     const std::shared_ptr<OnLastRelease>& all_stored);
  void finished(const std::shared_ptr<Round>& round);
  Result<SharedBytes> make_letter(const SubscriptionCore::DeadLetter& letter,
                                  std::uint64_t sequence, const SharedBytes& batch) const;

  Partition& partition_;
  const SubscriptionRecord& record_;
  SubscriptionCore& core_;
  std::function<void()> progressed_;
  bool busy_ = false;
};

}  // namespace andyx::server
