// What producers and consumers were promised, held against what is there: the judge of the kill
// tests. No IO, no clock, no threads inside; the caller serialises the calls. Promises: every
// acknowledged message is stored, at the offset it was acknowledged with; no message twice; for
// each producer and partition, and so for each key, in the order of sending; a key stays in its
// partition.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/base/ids.h"

namespace andyx::test {

struct MessageId {
  std::uint32_t producer = 0;
  std::uint32_t sequence = 0;  // counts the messages of a producer from 0
  auto operator<=>(const MessageId&) const = default;
  std::string text() const;
};

// The payload that carries an id: "producer/sequence/" and padding up to `size_bytes`.
std::string payload_of(MessageId id, std::size_t size_bytes);
std::optional<MessageId> id_in(std::string_view payload);

class Violations {
 public:
  void add(std::string what);  // the first few are kept, all are counted
  std::size_t count() const { return count_; }
  std::string text() const;

 private:
  std::size_t count_ = 0;
  std::vector<std::string> first_;
};

class DeliveryLedger {
 public:
  void acknowledged(MessageId id, std::uint32_t partition, Offset offset);

  // A message read back; for each partition in the order of offsets, from 0, without gaps.
  void stored(std::uint32_t partition, Offset offset, std::string_view payload,
              std::optional<std::string_view> key);
  Offset stored_end(std::uint32_t partition) const;  // where to read on

  // A point in the list of acknowledgements; what came before it is judged by require_stored.
  std::size_t mark() const { return acknowledged_.size(); }
  // Call after reading back to the committed end: everything acknowledged before `mark` must be
  // there.
  void require_stored(std::size_t mark);

  std::uint64_t messages_stored() const;
  const Violations& violations() const { return violations_; }

 private:
  struct Acknowledgement {
    MessageId id;
    std::uint32_t partition;
    Offset offset;
  };
  std::vector<Acknowledgement> acknowledged_;
  std::size_t judged_ = 0;
  std::map<std::uint32_t, std::vector<MessageId>> stored_;  // by partition, then offset
  std::map<std::uint32_t, std::vector<bool>> seen_;         // by producer, then sequence
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t> last_;  // (partition, producer)
  std::map<std::string, std::uint32_t, std::less<>> partition_of_key_;
  Violations violations_;
};

// What first deliveries keep to, whoever gets them.
enum class Order { kPartition, kKey, kNone };

// The same for one subscription. `run` counts the starts of the server. Promises: a message whose
// answer was confirmed is never delivered by a later run; first deliveries go through a partition
// without gaps (kPartition), or rise for each key (kKey).
class SubscriptionLedger {
 public:
  explicit SubscriptionLedger(Order order = Order::kPartition) : order_(order) {}

  void delivered(std::uint32_t run, std::uint32_t partition, Offset offset,
                 std::optional<std::string_view> key = std::nullopt);
  void confirmed(std::uint32_t run, std::uint32_t partition, Offset first, Offset last);

  std::uint64_t confirmed_count(std::uint32_t partition) const;
  Offset delivered_end(std::uint32_t partition) const;  // first deliveries end here
  std::uint64_t redeliveries() const { return redeliveries_; }
  const Violations& violations() const { return violations_; }

 private:
  struct Partition {
    Offset delivered_end = 0;
    std::vector<bool> delivered;                        // by offset
    std::map<std::string, Offset, std::less<>> latest;  // first deliveries of each key
    std::vector<std::uint32_t> confirmed_in;            // run, by offset; 0: not confirmed
    std::uint64_t confirmed_count = 0;
  };
  void check_order(Partition& state, std::uint32_t partition, Offset offset,
                   std::optional<std::string_view> key);

  Order order_;
  std::map<std::uint32_t, Partition> partitions_;
  std::uint64_t redeliveries_ = 0;
  Violations violations_;
};

}  // namespace andyx::test
