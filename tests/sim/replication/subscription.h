// A subscription on the main of a partition: what the server's Subscription does around the real
// core. Its durable changes go to the internal log by its Copy.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "server/metadata/image.h"
#include "server/subscription/subscription_core.h"
#include "tests/sim/replication/attachment.h"

namespace andyx::server::sim {

class Copy;

class SimSubscription {
 public:
  SimSubscription(Copy& copy, std::shared_ptr<const SubscriptionRecord> record);

  SubscriptionCore& core() { return core_; }
  const SubscriptionRecord& record() const { return *record_; }

  void recovered();             // what the internal log said was applied
  void start_at(Offset start);  // it said nothing
  void when_ready(Done ready);
  void end(ErrorCode reason);  // of the main's role
  void committed(Offset offset);
  void log_start_advanced();
  void tick();

  // What may arrive.
  void open_stream(const StreamOpen& open, Done reply);
  void close_stream(std::uint64_t connection, std::uint32_t stream);
  void connection_lost(std::uint64_t connection);
  void credit(std::uint64_t connection, std::uint32_t stream, std::uint64_t messages);
  void answer(std::uint64_t connection, std::uint32_t stream, protocol::AnswerKind kind,
              OffsetRange range, Done reply);
  void revoke(std::uint64_t attach_epoch, Done drained);

 private:
  struct Stream {
    ConsumerRef from;
    std::uint32_t number = 0;
    std::uint64_t attach_epoch = 0;
  };
  struct Drain {
    std::uint64_t attach_epoch = 0;
    std::uint64_t until_ms = 0;
    Done drained;
  };

  void become_ready(ErrorCode outcome);
  void make_start_durable();
  StreamId find(std::uint64_t connection, std::uint32_t stream) const;
  void end_stream(StreamId id);
  void pump();
  void check_drains();
  void note_changes();
  std::uint64_t now_ms() const;

  Copy& copy_;
  std::shared_ptr<const SubscriptionRecord> record_;
  SubscriptionCore core_;
  bool started_ = false, ready_ = false, failed_ = false;
  std::vector<Done> when_ready_;
  std::map<StreamId, Stream> streams_;
  std::vector<Drain> drains_;
  StreamId next_stream_ = 1;
};

}  // namespace andyx::server::sim
