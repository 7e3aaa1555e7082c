// cluster commands: one request, one answer printed.
#include "tools/cli/print_result.h"
#include "tools/cli/show.h"
#include "tools/cli/show_text.h"

namespace andyx::cli {
namespace {

// After a change: what is so now, as JSON or as a sentence; or why it was refused.
Outcome told(const Session& session, const Status& changed, const Json& json,
             const std::string& sentence) {
  if (!changed) return std::unexpected(changed.error());
  return print(session.json() ? json_line(json) : sentence + '\n');
}

std::string node_name(NodeId node) { return "node " + number(node); }

std::string partition_name(std::uint32_t partition, const std::string& topic) {
  return "partition " + number(partition) + " of " + topic_url(topic);
}

// How a node becomes one of the cluster.
std::string start_text(NodeId node, const client::ClusterStatus& cluster) {
  std::string addresses;
  for (const auto& known : cluster.nodes) {
    if (known.host.empty()) continue;
    addresses += (addresses.empty() ? "" : ",") + known.host + ':' + number(known.port);
  }
  return ". A node is added by starting it, on its own machine and data directory: andyx-server "
         "--node-id " +
         number(node) + " --join " + addresses;
}

}  // namespace

Outcome run_command(Session& session, const ClusterStatusCommand&) {
  return show(session, session.client.admin().cluster_status(), &cluster_json, &cluster_table);
}

Outcome run_command(Session& session, const ClusterNodes&) {
  return show(session, session.client.admin().cluster_status(), &cluster_nodes_json,
              &cluster_nodes_table);
}

Outcome run_command(Session& session, const ClusterRemove& command) {
  const Status removed = session.client.admin().node_remove(command.node);
  return told(session, removed, {{"removed", command.node}}, "removed " + node_name(command.node));
}

// A node that the cluster does not know comes by being started.
Outcome run_command(Session& session, const ClusterAdd& command) {
  Status added = session.client.admin().node_drain(command.node, false);
  if (!added && added.error().code == ErrorCode::kUnknownNode) {
    const auto status = session.client.admin().cluster_status();
    if (!status) return std::unexpected(status.error());
    added.error().message += start_text(command.node, *status);
  }
  return told(session, added, {{"node_id", command.node}, {"draining", false}},
              node_name(command.node) + " takes copies");
}

Outcome run_command(Session& session, const ClusterDrain& command) {
  const bool on = !command.off;
  const Status drained = session.client.admin().node_drain(command.node, on);
  return told(
      session, drained, {{"node_id", command.node}, {"draining", on}},
      node_name(command.node) +
          (on ? " is draining: its copies move away, and it gets no more" : " takes copies again"));
}

Outcome run_command(Session& session, const ClusterBalance& command) {
  if (command.pause || command.resume) {
    if (const Status set = session.client.admin().balance_pause(command.pause); !set)
      return std::unexpected(set.error());
  }
  return show(session, session.client.admin().cluster_status(), &balance_json, &balance_report);
}

Outcome run_command(Session& session, const ClusterSafeToStop& command) {
  const auto advice = session.client.admin().safe_to_stop(command.node);
  if (!advice) return std::unexpected(advice.error());
  const std::string name = node_name(command.node);
  const Outcome printed =
      told(session, {}, {{"node_id", command.node}, {"safe", advice->safe}, {"why", advice->why}},
           advice->safe ? name + " may stop" : name + " should not stop: " + advice->why);
  if (!printed) return printed;
  return advice->safe ? tools::kDone : tools::kRefused;
}

Outcome run_command(Session& session, const ClusterMove& command) {
  const Status begun = session.client.admin().partition_move(command.topic, command.partition,
                                                             command.to, command.from);
  return told(session, begun,
              {{"topic", topic_url(command.topic)},
               {"partition", command.partition},
               {"from", command.from == 0 ? Json(nullptr) : Json(command.from)},
               {"to", command.to}},
              partition_name(command.partition, command.topic) + ": " +
                  (command.from == 0 ? "the main" : "the copy on " + node_name(command.from)) +
                  " moves to " + node_name(command.to));
}

Outcome run_command(Session& session, const ClusterElect& command) {
  const Status elected = session.client.admin().partition_elect(
      command.topic, command.partition, command.to, command.accept_data_loss);
  return told(
      session, elected,
      {{"topic", topic_url(command.topic)}, {"partition", command.partition}, {"main", command.to}},
      partition_name(command.partition, command.topic) + ": " + node_name(command.to) +
          " is the main");
}

}  // namespace andyx::cli
