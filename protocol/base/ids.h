// Ids and units shared by every layer. No state; include anywhere.
#pragma once

#include <cstdint>

namespace andyx {

using Offset = std::uint64_t;          // position of a message in a partition, from 0, no gaps
using NodeId = std::uint32_t;          // 1..; 0 means "none"
using TopicId = std::uint32_t;         // never reused; 0 means "none"
using PartitionId = std::uint32_t;     // global over all topics, never reused; 0 means "none"
using SubscriptionId = std::uint32_t;  // never reused; 0 means "none"
using MainEpoch = std::uint32_t;  // changes with the main of a partition or its incarnation; from 1
using ProducerId = std::uint64_t;  // given by producer open; 0 means "not idempotent"
using TimeUs = std::int64_t;       // microseconds since 1970-01-01T00:00Z

inline constexpr Offset kNoOffset = ~Offset{0};

}  // namespace andyx
