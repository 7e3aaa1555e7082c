// What an operator asks about the cluster. The controller knows most, so other nodes pass the
// question on to it, once.
#include "server/cluster/cluster_status.h"

#include <algorithm>

#include "frame_generated.h"
#include "server/cluster/cluster_controller.h"
#include "server/cluster/safe_to_stop.h"
#include "server/handlers/handlers.h"
#include "server/handlers/over_mains.h"
#include "server/loop/loop_load.h"
#include "server/metadata/raft_metadata_log.h"

namespace andyx::server {
namespace {

using Members = ClusterController::Members;

// Runs `locally` where this node is the one to answer: `silence` says why the controller does not,
// and is empty where this is the controller. What comes from a node is not passed on again.
using Locally = std::move_only_function<void(Reply, std::string silence)>;
void ask_controller(ClientConnection& client, const NodeLinks::Fill& fill, Reply reply,
                    Locally locally) {
  CoreLoop& here = client.loop();
  const Node& node = here.node();
  if (node.controller->leading()) return locally(std::move(reply), {});
  const NodeId to = node.controller->leader();
  if (to == 0 || to == node.config.node_id)
    return locally(std::move(reply), "there is none now, or it is only just becoming it");
  if (client.node_id() != 0)
    return locally(std::move(reply), "it is node " + std::to_string(to) + " by now");
  call_node(here, to, fill, limits::kNodeGatherMs,
            [to, reply = std::move(reply),
             locally = std::move(locally)](Result<NodeFrame> answer) mutable {
              if (answer) return reply.send(renumbered(*answer, reply.correlation_id()));
              locally(std::move(reply),
                      "node " + std::to_string(to) + ": " + answer.error().message);
            });
}

std::vector<NodeId> node_ids(const std::vector<raft::PeerId>& peers) {
  return {peers.begin(), peers.end()};
}

// The Raft group of the metadata as this node's peer knows it, on `here`; empty where it runs none.
void with_members(CoreLoop& here, std::move_only_function<void(Members)> done) {
  RaftMetadataLog* raft = here.node().raft;
  if (raft == nullptr) return done({});
  raft->status([&here, done = std::move(done)](raft::NodeStatus status) mutable {
    Members members{.voters = node_ids(status.conf.voters),
                    .learners = node_ids(status.conf.learners),
                    .leader = static_cast<NodeId>(status.soft.leader)};
    here.net_loop().post([done = std::move(done), members = std::move(members)]() mutable {
      done(std::move(members));
    });
  });
}

NodeReport report_of_itself(CoreLoop& here) {
  const storage::ShardStatus storage = here.node().shard->status();
  NodeReport report;
  report.version = here.image().position;
  auto measured = measured_load(here.node());
  report.bytes_in = measured.bytes_in;
  report.bytes_out = measured.bytes_out;
  report.load = std::move(measured.load);
  report.disk_bytes = storage.disk_bytes;
  report.disk_free_bytes = storage.free_bytes;
  return report;
}

ClusterFacts facts_of(CoreLoop& here, const Members& members, std::string silence) {
  const Node& node = here.node();
  ClusterFacts facts{.controller = node.controller->leader(),
                     .voters = members.voters,
                     .reports = {},
                     .astray = {},
                     .silence = std::move(silence)};
  if (node.cluster != nullptr) {
    facts.reports = node.cluster->reports();
    facts.astray = node.cluster->astray();
  }
  facts.reports.emplace(node.config.node_id, report_of_itself(here));
  return facts;
}

flatbuffers::Offset<protocol::ClusterNode> make_node(flatbuffers::FlatBufferBuilder& builder,
                                                     const Image& image, const NodeRecord& record,
                                                     const ClusterFacts& facts,
                                                     const Members& members) {
  const auto found = facts.reports.find(record.id);
  const NodeReport* known = found == facts.reports.end() ? nullptr : &found->second;
  const NodeReport report = known == nullptr ? NodeReport{} : *known;
  const NodeLoad load = image.loads.of(record.id);
  const auto is_in = [&](const std::vector<NodeId>& nodes) {
    return std::ranges::find(nodes, record.id) != nodes.end();
  };
  const auto host = builder.CreateString(record.host);
  const auto status = builder.CreateString(std::string(status_word(record, facts)));
  const auto note = builder.CreateString(node_note(record, facts));
  protocol::ClusterNodeBuilder node(builder);
  node.add_node_id(record.id);
  node.add_host(host);
  node.add_port(record.port);
  node.add_peer_port(record.peer_port);
  node.add_roles(record.roles);
  node.add_status(status);
  node.add_alive(record.alive);
  node.add_draining(record.draining);
  node.add_controller(record.id == facts.controller);
  node.add_voter(is_in(members.voters));
  node.add_learner(is_in(members.learners));
  node.add_incarnation(record.incarnation);
  node.add_version(report.version);
  node.add_mains(load.mains);
  node.add_copies(load.copies);
  node.add_bytes_in(report.bytes_in);
  node.add_bytes_out(report.bytes_out);
  node.add_disk_bytes(report.disk_bytes);
  node.add_disk_free_bytes(report.disk_free_bytes);
  node.add_note(note);
  if (report.load) {
    node.add_in_rate(report.load->in_rate);
    node.add_out_rate(report.load->out_rate);
    node.add_stored_bytes(report.load->stored_bytes);
  }
  return node.Finish();
}

using OffsetOfUneven = flatbuffers::Offset<protocol::NodeUnevenness>;
std::vector<OffsetOfUneven> make_uneven(flatbuffers::FlatBufferBuilder& builder,
                                        const ClusterCore::Evenness& evenness) {
  const auto percent = [](double part) { return static_cast<std::uint32_t>(part * 100 + 0.5); };
  std::vector<OffsetOfUneven> out;
  for (const Scores::Off& off : evenness.off) {
    out.push_back(protocol::CreateNodeUnevenness(
        builder, off.node, off.kind == Scores::Kind::kCopies, percent(off.score),
        percent(off.number), percent(off.measured)));
  }
  return out;
}

void send_status(CoreLoop& here, const Members& members, std::string silence, Reply reply) {
  const Node& node = here.node();
  const Image& image = here.image();
  const ClusterFacts facts = facts_of(here, members, std::move(silence));
  const ClusterSummary summary = summarize(image, facts);
  reply.body(protocol::Body::ClusterStatusReply, [&](flatbuffers::FlatBufferBuilder& builder) {
    std::vector<flatbuffers::Offset<protocol::ClusterNode>> nodes;
    for (const NodeRecord& record : image.nodes)
      nodes.push_back(make_node(builder, image, record, facts, members));
    const auto cluster_id = builder.CreateString(image.cluster_id.text());
    const auto status = builder.CreateString(std::string(summary.status));
    const auto voters = builder.CreateVector(members.voters);
    const auto node_vector = builder.CreateVector(nodes);
    const auto note = builder.CreateString(summary.note);
    const bool knows = node.cluster != nullptr;
    const auto evenness = knows ? node.cluster->evenness() : ClusterCore::Evenness{};
    const auto uneven = builder.CreateVector(make_uneven(builder, evenness));
    return protocol::CreateClusterStatusReply(
        builder, cluster_id, status, facts.controller, node.controller->epoch(), image.position,
        voters, node_vector, summary.partitions, summary.under_replicated, summary.without_main,
        image.balancing_paused, knows ? node.cluster->moving() : 0, note, image.group,
        evenness.by_traffic, evenness.by_disk, uneven);
  });
}

void send_advice(const SafeToStop& advice, Reply reply) {
  reply.body(protocol::Body::SafeToStopReply, [&](flatbuffers::FlatBufferBuilder& builder) {
    return protocol::CreateSafeToStopReplyDirect(builder, advice.safe, advice.why.c_str());
  });
}

}  // namespace

void handle(ClientConnection& client, const protocol::ClusterStatus&, Reply reply) {
  const auto fill = [](flatbuffers::FlatBufferBuilder& builder) {
    return node_body(protocol::Body::ClusterStatus, protocol::CreateClusterStatus(builder));
  };
  ask_controller(
      client, fill, std::move(reply), [&here = client.loop()](Reply owed, std::string silence) {
        with_members(here, [&here, owed = std::move(owed),
                            silence = std::move(silence)](const Members& members) mutable {
          send_status(here, members, std::move(silence), std::move(owed));
        });
      });
}

void handle(ClientConnection& client, const protocol::SafeToStop& body, Reply reply) {
  CoreLoop& here = client.loop();
  const NodeId node = body.node_id();
  if (!here.image().find_node(node)) {
    return reply.error(
        {ErrorCode::kUnknownNode, "the cluster has no node " + std::to_string(node)});
  }
  const auto fill = [node](flatbuffers::FlatBufferBuilder& builder) {
    return node_body(protocol::Body::SafeToStop, protocol::CreateSafeToStop(builder, node));
  };
  // Without the controller nobody knows who is alive: nothing is safe then.
  ask_controller(client, fill, std::move(reply), [&here, node](Reply owed, std::string silence) {
    if (!silence.empty())
      return send_advice({false, "the controller does not answer: " + silence}, std::move(owed));
    with_members(here, [&here, node, owed = std::move(owed)](const Members& members) mutable {
      send_advice(safe_to_stop(here.image(), node, members.voters), std::move(owed));
    });
  });
}

}  // namespace andyx::server
