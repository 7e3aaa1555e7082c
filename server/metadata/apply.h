// The deterministic state machine of the metadata: image + entry -> image. Pure: no IO, clock,
// thread or randomness; the same entries give the same image, hash included, on every node and for
// ever.
#pragma once

#include <cstdint>
#include <memory>

#include "protocol/base/error.h"
#include "protocol/base/shared_bytes.h"
#include "server/metadata/image.h"

namespace andyx::server {

namespace wire {
struct Entry;
}

// What a command came to. A refused one changes nothing but position and chain hash.
struct Outcome {
  Status status;             // kTopicExists, kUnknownTopic, kBadName, kLimitReached, …
  std::uint64_t result = 0;  // CreateTopic: topic id. CreateSubscription: subscription id.
                             // ReserveProducerIds: the first of the ids. OpenProducer: the
                             // producer id. Otherwise 0.
};

struct Applied {
  std::shared_ptr<const Image> image;
  Outcome outcome;
};

// Checks the bytes, that the entry continues the image's chain and cluster, and applies it. An
// error (kCorrupt, kWrongCluster, kUnsupportedVersion) means that this log cannot be followed any
// further.
Result<Applied> apply_entry(const Image& image, ByteSpan entry);

// The part behind the checks; `entry` is verified. For apply_entry and for tests.
Applied apply_verified(const Image& image, const wire::Entry& entry, std::uint64_t entry_hash);

std::uint64_t hash_of_entry(ByteSpan entry);  // the chain hash

}  // namespace andyx::server
