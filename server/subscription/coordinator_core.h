// Who is attached to a subscription, over all its partitions: one core for each subscription, on
// the main of the coordinating partition. An attach epoch names one decision; the mains of the
// partitions deliver only under the newest one they have seen (SubscriptionCore::attach). Pure; one
// thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "protocol/base/error.h"
#include "protocol/base/ids.h"

namespace andyx::server {

struct AttachedConsumer {
  std::string name;
  std::uint64_t session = 0;  // chosen by the client; a reconnect with the same one takes its place
  std::uint64_t connection = 0;  // the shell's token of its connection
  std::uint64_t attach_epoch = 0;

  bool operator==(const AttachedConsumer&) const = default;
};

// Type unique: one consumer.
class CoordinatorCore {
 public:
  // Epochs are given from `first_epoch` on. They must grow over restarts: seed it with a value that
  // did not exist before, as the node's incarnation or start time in the upper bits.
  CoordinatorCore(std::string subscription, std::uint64_t first_epoch);

  struct Attached {
    std::uint64_t attach_epoch = 0;
    std::optional<AttachedConsumer>
        displaced;  // the same session's earlier attach: its streams end
  };

  // kSubscriptionBusy, naming the present consumer, when another session is attached.
  Result<Attached> attach(std::string name, std::uint64_t session, std::uint64_t connection);

  // The consumer leaves. False when `attach_epoch` is not the present one: nothing to do.
  bool detach(std::uint64_t attach_epoch);
  // A connection was lost. The consumer that left with it, if any: its streams on all partitions
  // end.
  std::optional<AttachedConsumer> connection_lost(std::uint64_t connection);

  const std::optional<AttachedConsumer>& consumer() const { return consumer_; }

 private:
  std::string subscription_;
  std::uint64_t next_epoch_;
  std::optional<AttachedConsumer> consumer_;
};

}  // namespace andyx::server
