// The one error type and the one list of error codes (append-only: the numbers are on the wire).
// Values; usable from any thread.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "protocol/base/ids.h"

namespace andyx {

enum class ErrorCode : std::uint16_t {
  kOk = 0,
  // Frames and connections. The connection closes after these, except kUnsupportedVersion's hello
  // answer.
  kBadFrame = 1,            // fails verification, or random bytes
  kFrameTooLarge = 2,       // length prefix over the limit
  kUnknownBody = 3,         // union type unknown, or its body null
  kHelloRequired = 4,       // a request before hello
  kUnsupportedVersion = 5,  // no common protocol version
  kTooManyConnections = 6,
  kTooManyRequests = 7,  // in-flight requests or bytes over the connection's bound
  kIdleTimeout = 8,
  kWrongCluster = 9,  // the client pinned another cluster id
  kUnauthorized = 10,
  // Names and metadata.
  kBadName = 20,
  kUnknownTopic = 21,
  kTopicExists = 22,
  kUnknownPartition = 23,
  kCreationNotAllowed = 24,  // automatic creation is off here
  kBadArgument = 25,         // a value out of its range: the message names it
  kUnknownSubscription = 26,
  kSubscriptionExists = 27,
  kSubscriptionConflict = 28,  // type or mode differ from those it was created with
  kSubscriptionBusy = 29,      // unique, and another consumer is attached
  kLimitReached = 30,          // a bound of limits.h; the message names it
  kUnknownScope = 31,          // no such tenant, product or component
  kScopeExists = 32,
  kNotEmpty = 33,        // it still holds something
  kTenantInactive = 34,  // deactivated: no producing, no attaching
  // Data.
  kBadBatch = 40,  // structure, count, positions, header fields
  kBadChecksum = 41,
  kMessageTooLarge = 42,
  kDecompressionFailed =
      43,  // does not decompress, or to another size than stated, or over the limit
  kOffsetOutOfRange = 44,
  kNotMain = 45,           // another node, or another epoch, is main
  kOutOfSequence = 46,     // idempotent producer: a gap
  kProducerFenced = 47,    // a newer epoch of this producer exists
  kUnknownProducer = 48,   // never opened, or forgotten after 24 h: open again
  kDuplicateUnknown = 49,  // older than those remembered: stored, offset no longer known
  kNotInSync = 50,         // fewer in-sync copies than min-in-sync
  kProducerBusy = 51,      // single, and another one is connected
  kProducerConflict = 52,  // its instance type differs from the one it was created with
  kDuplicateMessage = 53,  // its message id was stored within the de-duplication window
  // Subscriptions.
  kUnknownStream = 60,  // detached, or never attached
  kStaleAttach = 61,    // another attach has taken over
  kNotYours = 62,       // the offset is held by another consumer
  kCreditOverflow = 63,
  // Node.
  kOverloaded = 80,  // a queue is full; try again
  kDiskFull = 81,
  kStorageFailed = 82,  // the storage shard has stopped: EIO, failed or hung fsync
  kShuttingDown = 83,
  kTimedOut = 84,
  kCorrupt = 85,   // stored data fails its checksum: never served
  kDataLoss = 86,  // less was recovered than was acknowledged
  kDataDirLocked = 87,
  kDataDirVersion = 88,
  kAddressInUse = 89,
  kConnectionLost = 90,  // client side: the answer will never come
  kUnreachable = 91,     // client side
  kIo = 92,
  // Raft peers.
  kUnknownPeer = 93,   // no peer of this group
  kPeerConflict = 94,  // another peer, or another disk, had this id before
  // Cluster.
  kNotController = 95,  // another node is the controller, or has become it meanwhile
  kNoController = 96,   // the metadata voters have no majority, or no leader yet
  kUnknownNode = 97,
  kNodeConflict = 98,  // another node, or another disk, has this node id
  kInternal = 99,
};

// What a client may believe about a produce that was answered with an error.
enum class Storedness : std::uint8_t { kNotStored = 0, kMaybeStored = 1 };

struct ErrorInfo {
  ErrorCode code;
  std::string_view name;    // stable, snake_case, for scripts: "unknown_topic"
  std::string_view text;    // what happened
  std::string_view remedy;  // what to do
  Storedness stored;
  bool retriable;
};

// Never fails: an unknown number gives the entry of kInternal.
const ErrorInfo& error_info(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;  // what happened, where, with the values; the remedy comes from error_info
  NodeId node = 0;      // kNotMain, kNotController: the node to ask instead; 0: not known

  std::string_view name() const { return error_info(code).name; }
  std::string_view remedy() const { return error_info(code).remedy; }
  bool retriable() const { return error_info(code).retriable; }
};

template <typename T>
using Result = std::expected<T, Error>;
using Status = std::expected<void, Error>;

inline std::unexpected<Error> fail(ErrorCode code, std::string message) {
  return std::unexpected(Error{code, std::move(message)});
}

}  // namespace andyx
