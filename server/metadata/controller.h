// The metadata of one node: follows the log, and publishes its images. On the node that leads the
// log it is the controller: holds the epoch, and is the only one to append, after it has applied
// every earlier entry. Elsewhere it passes on what is proposed. A shell around ControllerCore
// (controller_core.h) and ProposalRelay: the control loop, the log, clock and random ids.
//
// Threads: lives on the control loop (a net::Loop with a thread of its own). Proposals and image()
// may come from any thread. Order of destruction: stop(), loop.stop() and its run() has returned,
// controller (which owns and ends the log), loop, storage shard.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/base/ids.h"
#include "protocol/base/limits.h"
#include "protocol/net/loop.h"
#include "server/metadata/image.h"
#include "server/metadata/metadata_log.h"
#include "server/metadata/proposal.h"
#include "server/metadata/proposal_answer.h"

namespace andyx::server {

struct NodeSpec {
  NodeId node_id = 0;
  Uuid disk_id;  // of the data directory; another one under the same node id is refused
  std::uint64_t incarnation = 0;  // new with each start, e.g. the wall clock at start
  std::string host;               // as advertised
  std::uint16_t port = 0;
  std::uint16_t peer_port = 0;  // where its Raft peer listens; 0: it runs none
  std::uint8_t roles = kAllRoles;
  bool intact = true;  // what was durable there still is; otherwise it leaves the in-sync sets
};

struct SubscriptionSpec {
  std::string name;
  protocol::SubscriptionType type{};
  protocol::SubscriptionMode mode{};
  protocol::StartKind start_kind{};
  std::int64_t start_value = 0;
  bool key_ordered = false;
};

struct ProducerSpec {
  std::string name;
  protocol::ProducerInstance instance{};
  std::uint64_t session = 0;                      // of an open
  std::uint32_t known_epoch = kAnyProducerEpoch;  // likewise: OpenProducerCommand
};
// What opening a named producer came to.
struct OpenedProducer {
  ProducerId producer_id = 0;
  std::shared_ptr<const ProducerRecord> record;
};

// The way of a proposal to the node that leads, where this one does not (ControllerPropose).
class ControllerPeer {
 public:
  virtual ~ControllerPeer() = default;
  // Control loop; must not wait. `to` 0: not known here; any node may know. `done` once, on any
  // thread: what the controller answered (Controller::propose_for), or kUnreachable,
  // kConnectionLost, kTimedOut. Called again under the same command id after such an error,
  // kNotController (with Error.node) or kNoController.
  using Done = std::move_only_function<void(Result<ProposalAnswer>)>;
  virtual void propose(NodeId to, const Uuid& command_id, std::vector<std::uint8_t> wish,
                       Done done) = 0;
};

struct ControllerOptions {
  // Registered at start.
  NodeSpec node;
  // Of the cluster, where an empty log is the beginning of a new one; zero: it never is (the node
  // joins a cluster).
  Uuid bootstrap_cluster;
  ControllerPeer* peer = nullptr;  // outlives the controller; null: there are no other nodes
  std::uint32_t ttl_ms = 10'000;
  std::uint32_t max_pending = limits::kMaxPendingProposals;
  // How long what is proposed waits for a node that leads, and to be known here; then the last
  // error.
  std::uint32_t patience_ms = 10'000;
  // A snapshot is taken after so many entries, or bytes of entries.
  std::uint64_t snapshot_entries = limits::kMetadataSnapshotEntries;
  std::uint64_t snapshot_bytes = limits::kMetadataSnapshotBytes;
};

class Controller {
 public:
  // Called exactly once, on the control loop: when the command is durable and its image published,
  // or with a refusal. Inside the call only when the loop takes no more tasks (kOverloaded). Where
  // this node does not lead, also kNotController, kNoController, kUnreachable, kConnectionLost,
  // kTimedOut: done or not.
  using StatusDone = std::move_only_function<void(Status)>;
  using TopicDone = std::move_only_function<void(Result<std::shared_ptr<const Topic>>)>;
  using SubscriptionDone =
      std::move_only_function<void(Result<std::shared_ptr<const SubscriptionRecord>>)>;
  using ProducerDone = std::move_only_function<void(Result<OpenedProducer>)>;
  using IdDone = std::move_only_function<void(Result<ProducerId>)>;
  // On the control loop, after each publication (one for many commands that were appended
  // together), before the `done` of those commands; the first one before `ready` of start().
  using ImageListener = std::function<void(std::shared_ptr<const Image>)>;

  Controller(net::Loop& loop, std::unique_ptr<MetadataLog> log, ControllerOptions options);
  ~Controller();
  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;

  // Before start(). `on_failed`: once, on the control loop, when the controller has stopped for
  // good (the log cannot be followed: kCorrupt, kDataLoss; storage failed): say it loudly; data
  // goes on. `on_role`: on the control loop, when this node begins to lead (after the image from
  // which on it does), and when it does no more.
  void on_image(ImageListener listener);
  void on_role(std::function<void(bool leading)> listener);
  void on_failed(std::function<void(const Error&)> listener);

  // Loads snapshot and log, bootstraps where the log is empty, registers the node: by itself, or
  // through the node that leads, for which it waits as long as it takes. Any thread.
  void start(StatusDone ready);
  // Ends the following for good, as a log that cannot be followed does: the image here is not what
  // it should be. Any thread.
  void give_up(Error error);
  // Refuses new proposals; `stopped` when nothing is in flight any more. Any thread.
  void stop(std::move_only_function<void()> stopped);

  // The last published image; never null (empty before the first). Any thread.
  std::shared_ptr<const Image> image() const;

  // Any thread; may be out of date when they are used.
  bool leading() const;
  ControllerEpoch epoch() const;  // that it leads under; 0 where it does not
  NodeId leader() const;          // the node that leads the log; 0: not known

  // What another node passes on: `wish` as encode_wish made it. kNotController (with the node where
  // it is known) or kNoController when this one does not lead; what the proposal itself is refused
  // for; kBadArgument, kUnsupportedVersion. Any thread; `done` as above.
  using AnswerDone = std::move_only_function<void(Result<ProposalAnswer>)>;
  void propose_for(const Uuid& command_id, ByteSpan wish, AnswerDone done);

  // kTopicExists, kBadName, kBadArgument, kLimitReached.
  void create_topic(TopicName name, std::uint32_t partitions, TopicDone done);
  // Answers the topic that is there, with the partitions that it has.
  void ensure_topic(TopicName name, std::uint32_t partitions, TopicDone done);
  // The same for a topic that somebody produces to: as its levels' settings say, with
  // `default_partitions` where they say nothing. kCreationNotAllowed, kTenantInactive.
  void auto_create_topic(TopicName name, std::uint32_t default_partitions, TopicDone done);
  // To `partitions` in all. kUnknownTopic, kBadArgument (fewer than before), kLimitReached.
  void alter_topic(TopicName name, std::uint32_t partitions, TopicDone done);
  void delete_topic(TopicName name, StatusDone done);  // kUnknownTopic

  // kSubscriptionExists, kSubscriptionConflict (another type, mode or key order), kUnknownTopic,
  // kBadName, kLimitReached.
  void create_subscription(TopicName topic, SubscriptionSpec spec, SubscriptionDone done);
  // Answers the subscription that is there when type, mode and key order are those.
  void ensure_subscription(TopicName topic, SubscriptionSpec spec, SubscriptionDone done);
  void delete_subscription(TopicName topic, std::string name, StatusDone done);

  // Tenants, products, components: kScopeExists, kUnknownScope, kNotEmpty, kBadName, kLimitReached.
  void create_scope(LevelPath path, std::string description, StatusDone done);
  void delete_scope(LevelPath path, StatusDone done);
  void activate_tenant(LevelPath tenant, bool active, StatusDone done);
  // Of any level: kUnknownScope, kUnknownTopic, kBadArgument (then nothing is changed).
  void set_settings(LevelPath path, std::vector<std::pair<std::string, std::string>> settings,
                    StatusDone done);
  void set_retention(LevelPath path, std::optional<RetentionPolicy> policy, StatusDone done);
  // Named producers. kUnknownTopic, kBadName, kProducerConflict (another instance type),
  // kLimitReached; open: also kCreationNotAllowed; delete: kUnknownProducer. Create is idempotent.
  void create_producer(TopicName topic, ProducerSpec spec, StatusDone done);
  void open_producer(TopicName topic, ProducerSpec spec, ProducerDone done);
  void delete_producer(TopicName topic, std::string name, std::vector<ProducerId> open_ids,
                       StatusDone done);

  // `count` ids from the one answered on, never given out
  // again. 1..limits::kMaxProducerIdsReserved.
  void reserve_producer_ids(std::uint32_t count, IdDone done);
  void register_node(NodeSpec node, StatusDone done);

  // Of the cluster. Any wish of which no more than its success is asked.
  void propose(Wish wish, StatusDone done);
  // What this node decides as the controller: nobody carries it out (kNotController) once it is
  // that no more, however soon it is it again.
  void decide(Wish wish, StatusDone done);
  // As the other ones above, with a replication factor: kBadArgument when it is over the number of
  // brokers.
  void create_topic(TopicProposal topic, TopicDone done);
  void alter_topic(TopicAlteration topic, TopicDone done);
  // A main's proposal. kNotMain: of an earlier record or epoch; kNotInSync; kUnknownTopic.
  void change_in_sync(TopicId topic, std::uint32_t partition, SetProposal proposal,
                      StatusDone done);
  // A main that can go on under a new epoch only. kNotMain: `main_epoch` is over.
  void ask_for_new_epoch(TopicId topic, std::uint32_t partition, MainEpoch main_epoch,
                         StatusDone done);

 private:
  struct Shell;
  std::unique_ptr<Shell> shell_;
};

}  // namespace andyx::server
