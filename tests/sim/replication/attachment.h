// What consumers and nodes tell each other. Values.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "protocol/base/error.h"
#include "server/subscription/coordinator_core.h"
#include "server/subscription/cursor_record.h"

namespace andyx::server::sim {

class Consumer;

using Done = std::function<void(ErrorCode)>;

// A consumer in one of its lives: its process, and with it its connections.
struct ConsumerRef {
  Consumer* consumer = nullptr;
  std::uint64_t connection = 0;
};

struct SubscribeRequest {
  std::string subscription;
  ConsumerRef from;
  std::string name;
  std::uint64_t session = 0;
  std::int32_t priority = 0;
  bool take_over = false;
};
struct SubscribeAnswer {
  ErrorCode error = ErrorCode::kOk;
  std::uint64_t attach_epoch = 0;
  std::vector<PartitionGrant> grants;
};
using SubscribeReply = std::function<void(SubscribeAnswer)>;

// The partitions of an attachment, as they are now. `version` rises.
struct Assignment {
  std::uint64_t attach_epoch = 0;
  std::uint64_t version = 0;
  std::vector<PartitionGrant> grants;
};

struct StreamOpen {
  ConsumerRef from;
  std::uint32_t stream = 0;  // the consumer's number
  std::uint64_t epoch = 0;   // of its grant
};

struct Delivery {
  std::uint32_t partition = 0;
  std::uint32_t stream = 0;
  OffsetRange range;
};

}  // namespace andyx::server::sim
