// The pulls of other nodes' replicas: many partitions in one frame, each answered by itself when
// there is something to tell.
#include <algorithm>

#include "frame_generated.h"
#include "server/handlers/handlers.h"
#include "server/loop/core_loop.h"
#include "server/partition/partition.h"

namespace andyx::server {
namespace {

constexpr std::uint32_t kMaxWaitMs = 30'000;

// Back to the loop that has the connection.
class ConnectionLink final : public ReplicaLink {
 public:
  ConnectionLink(CoreLoop& home, std::uint64_t connection, std::shared_ptr<DeliveryGate> gate)
      : home_(home), connection_(connection), gate_(std::move(gate)) {}

  void send(std::vector<frame::OutFrame> frames) override {
    std::size_t bytes = 0;
    for (const frame::OutFrame& frame : frames) bytes += frame.size_bytes();
    gate_->in_transit.fetch_add(bytes, std::memory_order_relaxed);
    auto push = [&home = home_, id = connection_, gate = gate_, frames = std::move(frames),
                 bytes]() mutable {
      auto* connection = home.find_connection(id);
      if (connection == nullptr) {
        gate->in_transit.fetch_sub(bytes, std::memory_order_relaxed);
        return;
      }
      for (frame::OutFrame& frame : frames) connection->push(std::move(frame));
      connection->in_transit_arrived(bytes);
    };
    if (home_.net_loop().on_loop_thread())
      push();
    else
      home_.net_loop().post(std::move(push));
  }
  bool takes_more() const override { return gate_->open(); }

 private:
  CoreLoop& home_;
  std::uint64_t connection_;
  std::shared_ptr<DeliveryGate> gate_;
};

struct Pull {
  PartitionId partition = 0;
  bool internal = false;
  FetchEntry entry;
};

void fetch_all(CoreLoop& owner, const std::vector<Pull>& pulls,
               const std::shared_ptr<ReplicaLink>& link, std::size_t max_bytes,
               std::uint32_t max_wait_ms) {
  for (const Pull& pull : pulls) {
    if (auto* partition = owner.find_copy(pull.partition))
      partition->replicated_log(pull.internal).fetch(pull.entry, link, max_bytes, max_wait_ms);
    else if (!pull.entry.progress_only)  // not here yet, or no more: the replica asks again
      owner.pulls().send_answer(link, refusal_of(pull.partition, pull.internal, pull.entry));
  }
}

}  // namespace

void handle(ClientConnection& client, const protocol::ReplicaFetch& body, Reply reply) {
  if (!require_node(client, reply)) return;
  reply.none();
  if (client.node_id() != body.node_id()) {
    return client.close_with_error(
        {ErrorCode::kUnauthorized, "a node pulls replicas as itself only"});
  }
  CoreLoop& here = client.loop();
  std::vector<std::vector<Pull>> by_loop(here.node().loops.size());
  for (const auto* entry : *body.entries()) {
    CoreLoop& owner = here.node().loop_of(entry->partition_id());
    by_loop[owner.index()].push_back({.partition = entry->partition_id(),
                                      .internal = entry->internal(),
                                      .entry = {.replica = body.node_id(),
                                                .incarnation = body.incarnation(),
                                                .main_epoch = entry->main_epoch(),
                                                .request = entry->request(),
                                                .fetch_offset = entry->fetch_offset(),
                                                .last_epoch = entry->last_epoch(),
                                                .durable = entry->durable(),
                                                .progress_only = entry->progress_only()}});
  }
  const auto link = client.replica_link(
      [&] { return std::make_shared<ConnectionLink>(here, client.id(), client.gate()); });
  const std::uint32_t max_wait_ms = std::min(body.max_wait_ms(), kMaxWaitMs);
  for (std::uint32_t index = 0; index < by_loop.size(); ++index) {
    if (by_loop[index].empty()) continue;
    CoreLoop& owner = *here.node().loops[index];
    auto run = [&owner, pulls = std::move(by_loop[index]), link, max_bytes = body.max_bytes(),
                max_wait_ms] { fetch_all(owner, pulls, link, max_bytes, max_wait_ms); };
    if (&owner == &here)
      run();
    else
      owner.net_loop().post(std::move(run));
  }
}

}  // namespace andyx::server
