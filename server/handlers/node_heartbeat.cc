// A node lives, and says how it is.
#include "frame_generated.h"
#include "server/handlers/handlers.h"
#include "server/handlers/routing.h"

namespace andyx::server {
namespace {

// At most what a node may tell of. False: there is more.
bool read_shares(const flatbuffers::Vector<const protocol::PartitionShare*>* in,
                 std::vector<PartitionShare>& out) {
  if (in == nullptr) return true;
  if (in->size() > limits::kMaxLoadShares) return false;
  for (const auto* share : *in) out.push_back({share->partition_id(), share->amount()});
  return true;
}

Status read_load(const protocol::NodeHeartbeat& body, NodeReport& report) {
  const auto* in = body.load();
  if (in == nullptr) return {};
  MeasuredLoad load{.in_rate = in->in_rate(),
                    .out_rate = in->out_rate(),
                    .stored_bytes = in->stored_bytes(),
                    .busiest = {},
                    .largest = {}};
  if (!read_shares(in->busiest(), load.busiest) || !read_shares(in->largest(), load.largest)) {
    return fail(ErrorCode::kBadArgument, "a heartbeat tells of more than " +
                                             std::to_string(limits::kMaxLoadShares) +
                                             " partitions in a list of its load");
  }
  report.load = std::move(load);
  return {};
}

NodeReport report_of(const protocol::NodeHeartbeat& body) {
  NodeReport report{.version = body.version(),
                    .image_hash = body.image_hash(),
                    .oldest_write_ms = body.oldest_write_ms(),
                    .slowest_loop_ms = body.slowest_loop_ms(),
                    .failing_pulls = {},
                    .partitions = body.partitions(),
                    .mains = body.mains(),
                    .bytes_in = body.bytes_in(),
                    .bytes_out = body.bytes_out(),
                    .disk_bytes = body.disk_bytes(),
                    .disk_free_bytes = body.disk_free_bytes(),
                    .peer_progress = body.peer_progress(),
                    .stopping = body.stopping(),
                    .metadata_stopped = {},
                    .load = {}};
  if (const auto* stopped = body.metadata_stopped()) report.metadata_stopped = stopped->str();
  if (const auto* failing = body.failing_pulls())
    report.failing_pulls.assign(failing->begin(), failing->end());
  return report;
}

void answer(Reply reply, const Result<NodeSessions::Answer>& kept) {
  if (!kept) return reply.error(kept.error());
  reply.body(protocol::Body::NodeHeartbeatReply, [&](flatbuffers::FlatBufferBuilder& builder) {
    const auto astray = builder.CreateString(kept->astray);
    return protocol::CreateNodeHeartbeatReply(builder, kept->controller, kept->epoch, kept->tail,
                                              kept->session_ms, astray);
  });
}

}  // namespace

void handle(ClientConnection& client, const protocol::NodeHeartbeat& body, Reply reply) {
  if (!require_node(client, reply)) return;
  if (body.node_id() != client.node_id() || body.incarnation() != client.node_incarnation()) {
    return reply.error({ErrorCode::kBadArgument,
                        "a heartbeat of node " + std::to_string(body.node_id()) +
                            " on a connection of node " + std::to_string(client.node_id())});
  }
  NodeReport told = report_of(body);
  if (auto read = read_load(body, told); !read) return reply.error(read.error());
  client.carries_session();
  auto work = [id = body.node_id(), incarnation = body.incarnation(), report = std::move(told)](
                  Node& node, Reply owed) {
    if (node.sessions == nullptr) {
      return owed.error({ErrorCode::kNotController, "node " + std::to_string(node.config.node_id) +
                                                        " keeps no sessions of nodes"});
    }
    answer(std::move(owed), node.sessions->heartbeat(id, incarnation, report));
  };
  on_control_loop(client.loop(), std::move(reply), std::move(work));
}

}  // namespace andyx::server
