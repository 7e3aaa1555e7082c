// FORMAT.md holds the same table in prose; a test compares the two.
#include "protocol/base/error.h"

#include <array>
#include <cstddef>

namespace andyx {
namespace {

constexpr auto kNotStored = Storedness::kNotStored;
constexpr auto kMaybeStored = Storedness::kMaybeStored;

// `stored` speaks of a produce that is answered with the code. It is kNotStored only where the
// refusal comes before anything is written. `retriable`: the same bytes may succeed later.
constexpr ErrorInfo kTable[] = {
    {ErrorCode::kOk, "ok", "no error", "Nothing to do.", kMaybeStored, false},

    // Frames and connections.
    {ErrorCode::kBadFrame, "bad_frame", "the bytes are not a valid frame",
     "Check that the client speaks Andy X's protocol (protocol/FORMAT.md) and that nothing changes the "
     "bytes on the way; then connect again.",
     kNotStored, false},
    {ErrorCode::kFrameTooLarge, "frame_too_large", "the frame is longer than the limit",
     "Send smaller batches: the hello's answer states max_frame_bytes. Before hello only 4 KiB are taken.",
     kNotStored, false},
    {ErrorCode::kUnknownBody, "unknown_body",
     "the frame's body is missing or of a type unknown here",
     "Use the protocol version that the hello agreed on, or upgrade the server.", kNotStored,
     false},
    {ErrorCode::kHelloRequired, "hello_required", "a request came before hello",
     "Send Hello as the first frame of a connection and wait for its answer.", kNotStored, false},
    {ErrorCode::kUnsupportedVersion, "unsupported_version",
     "client and server have no protocol version in common",
     "Upgrade the older of the two; the message names the versions that the server speaks.",
     kNotStored, false},
    {ErrorCode::kTooManyConnections, "too_many_connections",
     "the server is at its limit of connections",
     "Close connections that are not needed or raise max-connections (and the limit of open files); try "
     "again after a pause.",
     kNotStored, true},
    {ErrorCode::kTooManyRequests, "too_many_requests",
     "too many requests or bytes in flight on one connection",
     "Wait for answers before sending more: keep to the bounds in flight that FORMAT.md states; connect "
     "again.",
     kNotStored, true},
    {ErrorCode::kIdleTimeout, "idle_timeout", "nothing was received on the connection for too long",
     "Connect again, and send Ping more often than the hello's idle_timeout_ms.", kMaybeStored,
     true},
    {ErrorCode::kWrongCluster, "wrong_cluster",
     "this node belongs to another cluster than the pinned one",
     "Check the address, or the cluster id that the client pins.", kNotStored, false},
    {ErrorCode::kUnauthorized, "unauthorized",
     "the credentials are missing, wrong or do not allow this",
     "Check the key, its secret and its roles.", kNotStored, false},

    // Names and metadata.
    {ErrorCode::kBadName, "bad_name", "the name is not valid",
     "Use 1 to 128 characters of A-Z a-z 0-9 . _ - that do not start with a dot; a topic is NAME or "
     "andyx://tenant/product/component/topic.",
     kNotStored, false},
    {ErrorCode::kUnknownTopic, "unknown_topic", "there is no such topic",
     "Check the name (topic list shows all), or create the topic first.", kNotStored, false},
    {ErrorCode::kTopicExists, "topic_exists", "a topic of this name exists",
     "Use the existing topic, choose another name, or delete it first.", kNotStored, false},
    {ErrorCode::kUnknownPartition, "unknown_partition", "the topic has no such partition",
     "Use an index from 0 to partitions - 1; topic describe shows them.", kNotStored, false},
    {ErrorCode::kCreationNotAllowed, "creation_not_allowed",
     "automatic creation is switched off here",
     "Create it explicitly (its create command), or allow automatic creation in the settings.",
     kNotStored, false},
    {ErrorCode::kBadArgument, "bad_argument", "a value is out of its range",
     "Correct the value that the message names.", kNotStored, false},
    {ErrorCode::kUnknownSubscription, "unknown_subscription", "the topic has no such subscription",
     "Check the name (subscription list shows all), or create the subscription first.", kNotStored,
     false},
    {ErrorCode::kSubscriptionExists, "subscription_exists",
     "a subscription of this name exists on the topic",
     "Use the existing subscription, choose another name, or delete it first.", kNotStored, false},
    {ErrorCode::kSubscriptionConflict, "subscription_conflict",
     "the subscription was created with another type, mode or key order",
     "Attach with what subscription describe shows, or use another name.", kNotStored, false},
    {ErrorCode::kSubscriptionBusy, "subscription_busy",
     "another consumer is attached: of a unique subscription, or of the same name",
     "Stop the other consumer (subscription describe names it) or take over, use another name, or "
     "use another subscription.",
     kNotStored, false},
    {ErrorCode::kLimitReached, "limit_reached", "a limit of the system is reached",
     "Stay within the limit that the message names, or free what is not needed.", kNotStored,
     false},
    {ErrorCode::kUnknownScope, "unknown_scope", "there is no such tenant, product or component",
     "Check the path (tenant list, product list and component list show all), or create it first.",
     kNotStored, false},
    {ErrorCode::kScopeExists, "scope_exists", "a tenant, product or component of this path exists",
     "Use the existing one, or choose another name.", kNotStored, false},
    {ErrorCode::kNotEmpty, "not_empty", "there is still something in it",
     "Delete what is in it first; list shows it.", kNotStored, false},
    {ErrorCode::kTenantInactive, "tenant_inactive", "the tenant is deactivated",
     "Activate it (tenant activate) before producing or consuming.", kNotStored, false},

    // Data.
    {ErrorCode::kBadBatch, "bad_batch", "the record batch is malformed",
     "Correct the client: the batch must follow record batch v1 of FORMAT.md; the message names the field.",
     kNotStored, false},
    {ErrorCode::kBadChecksum, "bad_checksum", "the record batch does not match its checksum",
     "Build the batch again from its messages; if it repeats, check the client's checksum and the machine's "
     "memory and network.",
     kNotStored, false},
    {ErrorCode::kMessageTooLarge, "message_too_large", "one message is larger than the limit",
     "Split the message, or keep it elsewhere and send a reference; the hello's answer states "
     "max_message_bytes.",
     kNotStored, false},
    {ErrorCode::kDecompressionFailed, "decompression_failed",
     "the batch does not decompress to the size that it states",
     "Build the batch again; check the client's compression (LZ4 block or one Zstd frame) and body_bytes.",
     kNotStored, false},
    {ErrorCode::kOffsetOutOfRange, "offset_out_of_range",
     "the offset is outside of what the partition holds",
     "Use an offset from start_offset to committed_offset; look them up (earliest or latest).",
     kNotStored, false},
    {ErrorCode::kNotMain, "not_main", "this node is not the partition's main in that epoch",
     "Ask for metadata again and send the same bytes to the main that it names.", kNotStored, true},
    {ErrorCode::kOutOfSequence, "out_of_sequence",
     "an earlier batch of this producer is missing on the partition",
     "Send the missing batches again first, in order, then this one, each with its own sequence; if they are "
     "gone, open the producer again.",
     kNotStored, true},
    {ErrorCode::kProducerFenced, "producer_fenced", "a newer producer of this name has been opened",
     "Stop this producer: another one has taken over. Open again only if this one should take over.",
     kNotStored, false},
    {ErrorCode::kUnknownProducer, "unknown_producer",
     "the producer id was never opened, or was forgotten after 24 hours without traffic",
     "Open the producer again and begin its sequences from 0.", kNotStored, false},
    {ErrorCode::kDuplicateUnknown, "duplicate_unknown",
     "the batch was stored before; its offset is no longer known",
     "Take the batch as stored; do not send it again.", kMaybeStored, false},
    {ErrorCode::kNotInSync, "not_in_sync", "fewer copies are in sync than min-in-sync asks for",
     "Try again when replicas are back (topic describe shows them), or produce with acks main.",
     kNotStored, true},
    {ErrorCode::kProducerBusy, "producer_busy",
     "the producer is single and another one of its name is connected",
     "Stop the other one (producer list shows it), or use another name.", kNotStored, false},
    {ErrorCode::kProducerConflict, "producer_conflict",
     "the producer was created with another instance type",
     "Open it with the instance type that producer list shows, or use another name.", kNotStored,
     false},
    {ErrorCode::kDuplicateMessage, "duplicate_message",
     "messages of the batch were stored before, within the de-duplication window",
     "Take the messages that the error names as stored, and send the others as a new batch.",
     kNotStored, false},

    // Subscriptions.
    {ErrorCode::kUnknownStream, "unknown_stream", "the stream is not open on this connection",
     "Subscribe and open the stream again; unanswered messages are delivered again.", kNotStored,
     false},
    {ErrorCode::kStaleAttach, "stale_attach", "another attach to the subscription has taken over",
     "Subscribe again for a new attach epoch if this consumer should still run.", kNotStored,
     false},
    {ErrorCode::kNotYours, "not_yours", "the message is held by another consumer",
     "Answer only messages that were delivered to this consumer.", kNotStored, false},
    {ErrorCode::kCreditOverflow, "credit_overflow", "more credit was given than the limit",
     "Grant only what was used up: at most 256 MiB and 10,000,000 messages may be open.",
     kNotStored, false},

    // Node.
    {ErrorCode::kOverloaded, "overloaded", "a queue of the server is full",
     "Send the same bytes again after a pause (retry_after_ms where given).", kNotStored, true},
    {ErrorCode::kDiskFull, "disk_full",
     "the disk of the node is nearly full, nothing more is appended",
     "Free disk space, or delete topics that are not needed; writing works again by itself then. Send the "
     "same bytes again after a pause.",
     kNotStored, true},
    {ErrorCode::kStorageFailed, "storage_failed",
     "the storage shard has stopped after an error of its disk",
     "Check the node's log and its disk, then restart the node. Send the same bytes again with the same "
     "producer id and sequence.",
     kMaybeStored, true},
    {ErrorCode::kShuttingDown, "shutting_down", "the node is stopping",
     "Connect again, to another node or after the restart, and send the same bytes again.",
     kNotStored, true},
    {ErrorCode::kTimedOut, "timed_out", "the answer did not come in time",
     "Send the same bytes again with the same producer id and sequence, or read to see what is stored.",
     kMaybeStored, true},
    {ErrorCode::kCorrupt, "corrupt", "stored data does not match its checksum and is not served",
     "Check the disk and the node's log; restore the data from a replica or a backup.",
     kMaybeStored, false},
    {ErrorCode::kDataLoss, "data_loss",
     "less was recovered from the disk than had been acknowledged",
     "Check the disk; restore a backup, or start with --accept-data-loss to go on with what is left.",
     kMaybeStored, false},
    {ErrorCode::kDataDirLocked, "data_dir_locked", "another process uses the data directory",
     "Stop the other server, or use another --data-dir.", kNotStored, false},
    {ErrorCode::kDataDirVersion, "data_dir_version",
     "the data directory was written in a format that this version does not know",
     "Start the version of the server that wrote it, or a newer one.", kNotStored, false},
    {ErrorCode::kAddressInUse, "address_in_use", "another process listens on the address",
     "Stop the other process, or choose another --listen address (port 0 takes any free one).",
     kNotStored, false},
    {ErrorCode::kConnectionLost, "connection_lost",
     "the connection was lost before the answer came",
     "Connect again and send the same bytes again with the same producer id and sequence.",
     kMaybeStored, true},
    {ErrorCode::kUnreachable, "unreachable", "the server cannot be reached",
     "Check that the server runs and that the address is right; try again after a pause.",
     kNotStored, true},
    {ErrorCode::kIo, "io", "an operation on a file or a socket failed",
     "See the message for the operation and the system's reason; correct it and try again.",
     kMaybeStored, false},
    {ErrorCode::kUnknownPeer, "unknown_peer", "the peer is not one of this group",
     "Check the peer's id and address; to join, it is added to the group first.", kNotStored,
     false},
    {ErrorCode::kPeerConflict, "peer_conflict", "the peer's id belongs to another disk",
     "A peer that lost its disk does not come back as itself: remove it from the group and add it "
     "under a new id. If two nodes were given the same id, correct one.",
     kNotStored, false},
    // Cluster.
    {ErrorCode::kNotController, "not_controller", "another node is the controller of the cluster",
     "Try again: any node passes changes of the metadata on to the controller.", kNotStored, true},
    {ErrorCode::kNoController, "no_controller",
     "the cluster has no controller: no majority of its metadata voters is reachable",
     "Try again; if it stays so, bring back voters (cluster status names them). Data goes on meanwhile.",
     kNotStored, true},
    {ErrorCode::kUnknownNode, "unknown_node", "the cluster has no such node",
     "Check the id: cluster nodes lists them.", kNotStored, false},
    {ErrorCode::kNodeConflict, "node_conflict", "another node, or another disk, has this node id",
     "Start the node with its old data directory, or give it a node id that was never used.",
     kNotStored, false},
    {ErrorCode::kInternal, "internal", "an error inside Andy X, or a code unknown here",
     "Report it with the message and the node's log; a newer client may know the code.",
     kMaybeStored, false},
};

constexpr std::size_t kCodes = static_cast<std::size_t>(ErrorCode::kInternal) + 1;
constexpr std::size_t kInternalRow = std::size(kTable) - 1;
static_assert(kTable[kInternalRow].code == ErrorCode::kInternal);

// Code to row, in O(1); unknown numbers lead to kInternal.
constexpr auto kRows = [] {
  std::array<std::uint8_t, kCodes> rows{};
  rows.fill(static_cast<std::uint8_t>(kInternalRow));
  for (std::size_t row = 0; row < std::size(kTable); ++row) {
    rows[static_cast<std::size_t>(kTable[row].code)] = static_cast<std::uint8_t>(row);
  }
  return rows;
}();

}  // namespace

const ErrorInfo& error_info(ErrorCode code) {
  const auto number = static_cast<std::size_t>(code);
  return kTable[number < kCodes ? kRows[number] : kInternalRow];
}

}  // namespace andyx
