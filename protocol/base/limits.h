// Every bound of the system in one place (design: "Everything has one, in one header").
// Over a bound: back-pressure or a clear error, never growth.
#pragma once

#include <cstddef>
#include <cstdint>

namespace andyx::limits {

inline constexpr std::size_t kKiB = 1024;
inline constexpr std::size_t kMiB = 1024 * kKiB;

// Wire.
inline constexpr std::size_t kMaxMessageBytes = 8 * kMiB;  // key + headers + payload of one message
inline constexpr std::size_t kMaxBatchBytes =
    9 * kMiB;  // one record batch, and its decompressed body
inline constexpr std::size_t kMaxFrameBytes = 10 * kMiB;  // value of the length prefix
inline constexpr std::size_t kMaxRequestBytesBeforeHello = 4 * kKiB;
inline constexpr std::uint32_t kMaxBatchRecords = 1u << 20;
inline constexpr std::uint32_t kFrameVerifyDepth = 16;
inline constexpr std::uint32_t kFrameVerifyTables = 20'000;
// Of the answer to a list: what is over them comes with the next one.
inline constexpr std::uint32_t kMaxTablesOfList = 15'000;
inline constexpr std::size_t kMaxBytesOfList = 5 * kMiB;
inline constexpr std::uint32_t kMaxRangesPerAnswer = 10'000;

// Names, headers.
inline constexpr std::size_t kMaxNameBytes = 128;
inline constexpr std::uint32_t kMaxHeadersPerMessage = 1'000;
inline constexpr std::size_t kMaxHeaderNameBytes = 1'024;
inline constexpr std::uint32_t kMaxPartitionsPerTopic = 10'000;
inline constexpr std::uint32_t kMaxPartitionsPerNode = 100'000;
// A replica that asks for an older one copies the log anew.
inline constexpr std::uint32_t kMaxMainEpochsPerPartition = 4'096;

// Connections.
// Of one connection to another node: open requests, and bytes that wait to be sent.
inline constexpr std::uint32_t kMaxNodeLinkCalls = 16 * 1'024;
inline constexpr std::size_t kMaxNodeLinkQueuedBytes = 16 * kMiB;
inline constexpr std::uint32_t kMaxConnections = 20'000;  // default of max-connections
inline constexpr std::size_t kReceiveSlabBytes = 256 * kKiB;
inline constexpr std::size_t kSlabPoolBytes = 8 * kMiB;  // of a process: slabs that nobody holds
inline constexpr std::size_t kMinPinShare = 4;  // a batch under 1/4 of its slab is copied out of it
inline constexpr std::uint32_t kMaxInFlightRequestsPerConnection = 1'024;
inline constexpr std::size_t kMaxInFlightBytesPerConnection = 16 * kMiB;
inline constexpr std::size_t kMaxQueuedSendBytesPerConnection = 32 * kMiB;
inline constexpr std::size_t kMaxInFlightBytesPerNode = 256 * kMiB;
inline constexpr std::uint32_t kMaxStreamsPerConnection = 100'000;
inline constexpr std::uint32_t kHandshakeTimeoutMs = 15'000;
inline constexpr std::uint32_t kKeepAliveIntervalMs = 15'000;
inline constexpr std::uint32_t kIdleTimeoutMs = 60'000;  // nothing received, pings included
inline constexpr std::uint32_t kMailboxMessages = 64 * 1024;

// Partitions and subscriptions.
inline constexpr std::uint32_t kProducerBatchesRemembered = 10;
inline constexpr std::uint32_t kMaxProducersPerPartition = 100'000;
inline constexpr std::uint64_t kProducerIdleMs = 24ull * 3600 * 1000;
inline constexpr std::size_t kTailCacheBytes = 64 * kMiB;  // default of tail-cache-bytes
inline constexpr std::uint32_t kMaxParkedReadsPerPartition = 10'000;
inline constexpr std::uint32_t kMaxSubscriptionsPerTopic = 10'000;
inline constexpr std::uint32_t kMaxAnsweredRanges =
    100'000;  // above the floor, each subscription and partition
inline constexpr std::uint64_t kMaxCreditBytes = 256 * kMiB;
inline constexpr std::uint64_t kMaxCreditMessages = 10'000'000;
inline constexpr std::uint32_t kConsumerSessionMs = 10'000;  // silent for longer: detached
inline constexpr std::uint32_t kMaxConsumersPerSubscription = 10'000;
inline constexpr std::uint64_t kDrainTimeoutMs = 5'000;  // of a partition that changes its consumer
// Streams that a partition was taken from, kept for late answers, of each subscription.
inline constexpr std::size_t kMaxRetiredStreams = 16;
inline constexpr std::uint64_t kMaxRedeliveryDelayMs = 7ull * 24 * 3600 * 1000;
inline constexpr std::uint32_t kMaxAckTimeoutMs = 24u * 3600 * 1000;
inline constexpr std::uint32_t kMaxKeyLookAhead =
    10'000;  // messages set aside for their keys' order, each subscription and partition
inline constexpr std::uint32_t kMaxMatured =
    10'000;  // delayed messages that are due and unanswered, each subscription and partition
inline constexpr std::uint32_t kMaxDeadLettersPerRound = 100;
inline constexpr std::uint64_t kMaxDeliverAheadMs = 366ull * 24 * 3600 * 1000;
inline constexpr std::uint32_t kMaxNamedProducersPerTopic = 100'000;
// A single producer's epochs rise by so many with each open: those between are its own, to begin a
// partition's sequences anew without another open.
inline constexpr std::uint32_t kProducerEpochsPerOpen = 256;
inline constexpr std::uint32_t kMaxNamedProducersPerConnection = 10'000;
inline constexpr std::uint32_t kMaxDedupIdsPerPartition = 100'000;
inline constexpr std::uint64_t kMaxDedupWindowMs = 10ull * 60 * 1000;
inline constexpr std::uint32_t kMaxScopes = 100'000;  // tenants, products, components
inline constexpr std::size_t kMaxDescriptionBytes = 1'024;
inline constexpr std::int64_t kMaxRetentionMs = 100ll * 366 * 24 * 3600 * 1000;  // 100 years
inline constexpr std::int64_t kMaxRetentionBytes = 1ll << 60;

// Between nodes.
inline constexpr std::uint32_t kNodeGatherMs = 2'000;  // for a description: then told without
// A node that waits for metadata which the asker has.
inline constexpr std::uint32_t kNodeAwaitMs = 2'000;
// Until every main of a topic has answered well; mains that are lost are replaced within it.
inline constexpr std::uint32_t kMainsAnswerMs = 8'000;
inline constexpr std::uint32_t kMainsRetryMs = 50;
// On top of kDrainTimeoutMs, for a main that has to be found first.
inline constexpr std::uint32_t kRevokeGraceMs = 3'000;
// A node's busiest mains, and its largest copies, in a heartbeat.
inline constexpr std::uint32_t kMaxLoadShares = 32;
inline constexpr std::uint32_t kMaxRevokeCalls = 64;  // to one node, of one turn of a coordinator
// What replicas that are far behind may always read or store on a node, bytes/s, however slow the
// writes of others are; and 1.5 times what their logs grow by meanwhile, so that every catch-up
// ends. A tenth of what a slow SSD writes; 100 GB take 3.5 hours then.
inline constexpr std::size_t kMinCatchUpBytesPerSecond = 8 * kMiB;

// Storage.
inline constexpr std::size_t kGenerationBytes = 128 * kMiB;
inline constexpr std::uint32_t kMaxUnflushedGenerations = 3;
inline constexpr std::size_t kStorageQueueBytes = 64 * kMiB;
inline constexpr std::size_t kMaxReadBytes = 4 * kMiB;

// Metadata.
inline constexpr std::uint32_t kMaxNodes = 1'000;
inline constexpr std::uint32_t kMaxReplicationFactor = 7;
inline constexpr std::uint32_t kMaxCopiesPerPartition = 15;  // those that move, and observers
inline constexpr std::uint32_t kMaxMoves = 4;  // copies that catch up in a new place, at a time
inline constexpr std::uint32_t kMaxMainsSpreadPerRound = 32;  // a round takes a second or more
inline constexpr std::size_t kImageHashesRemembered = 4'096;  // of published images, to compare
inline constexpr std::uint32_t kMaxClusterActions = 256;      // of the controller, open at a time
inline constexpr std::uint32_t kMaxSubscriptions = 200'000;   // of all topics
inline constexpr std::size_t kMaxHostBytes = 255;
inline constexpr std::uint32_t kMaxProducerIdsReserved = 1'000'000;  // by one command
inline constexpr std::uint32_t kCommandsRemembered = 4'096;          // ids, against repetition
inline constexpr std::uint32_t kMaxPendingProposals = 20'000;        // default of the controller
inline constexpr std::uint32_t kMaxMetadataAppendEntries = 1'024;    // in one append
inline constexpr std::size_t kMaxMetadataAppendBytes = 1 * kMiB;     // but at least one entry
inline constexpr std::uint64_t kMetadataSnapshotEntries = 20'000;
inline constexpr std::uint64_t kMetadataSnapshotBytes = 8 * kMiB;
// Served to nodes that run no Raft peer.
inline constexpr std::size_t kMaxMetadataPartBytes = 256 * kKiB;     // of a snapshot
inline constexpr std::size_t kMaxImageBytes = 1'024 * kMiB;          // of a whole one
inline constexpr std::uint32_t kMaxParkedMetadataPulls = 2 * 1'000;  // at a time
inline constexpr std::uint32_t kMaxMetadataPullWaitMs = 10'000;

// Raft.
inline constexpr std::uint32_t kMaxRaftPeers = 1'000;   // a host remembers, members or not
inline constexpr std::uint32_t kMaxRaftStrangers = 64;  // connections before their hello
inline constexpr std::uint32_t kMaxRaftMessagesPerFrame = 1'024;
inline constexpr std::uint32_t kMaxRaftEntriesPerFrame = 256 * 1'024;
inline constexpr std::size_t kMaxRaftEntryBytes = 8 * kMiB;         // payload of one entry
inline constexpr std::size_t kMaxRaftAppendBytes = 1 * kMiB;        // of one append, or one entry
inline constexpr std::size_t kMaxRaftInflightBytes = 8 * kMiB;      // of one peer, not answered
inline constexpr std::size_t kMaxRaftUncommittedBytes = 64 * kMiB;  // payload
inline constexpr std::uint32_t kMaxRaftProposals = 128 * 1'024;     // open at a time, of a host
inline constexpr std::uint32_t kMaxRaftReads = 128 * 1'024;         // likewise
inline constexpr std::size_t kMaxRaftQueuedSendBytes = 16 * kMiB;   // of one peer; then no appends
inline constexpr std::size_t kMaxRaftSnapshotBytes = 1'024 * kMiB;
inline constexpr std::size_t kMaxRaftSnapshotChunkBytes = 256 * kKiB;
inline constexpr std::size_t kMaxRaftRoundCopyBytes = 64 * kKiB;  // of a round of the store
inline constexpr std::uint64_t kMaxRaftTermJump = 1ull << 32;     // of a message ahead of our term

}  // namespace andyx::limits
