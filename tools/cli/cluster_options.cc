#include "tools/cli/cluster_options.h"

#include "tools/common/options.h"

namespace andyx::cli {
namespace {

void add_node(CLI::App& app, NodeId& node) {
  tools::add_number<NodeId>(app, "NODE", node, "", "id of the node", 1)->required();
}

template <typename Placement>
void add_placement(CLI::App& app, Placement& placement, const char* to) {
  add_topic_name(app, placement.topic);
  tools::add_number<std::uint32_t>(app, "PARTITION", placement.partition, "", "index, from 0")
      ->required();
  tools::add_number<NodeId>(app, "--to", placement.to, "NODE", to, 1)->required();
}

void add_node_commands(CLI::App& group, ClusterValues& values, Chosen& chosen) {
  add_node(add_command(group, "remove", "Forget a node for good, once its copies have moved away",
                       chosen, values.remove),
           values.remove.node);
  add_node(add_command(group, "add",
                       "Give copies to a node again that was drained; tells how to start a new one",
                       chosen, values.add),
           values.add.node);
  CLI::App& drain = add_command(group, "drain", "Move all copies away from a node, give it no more",
                                chosen, values.drain);
  add_node(drain, values.drain.node);
  drain.add_flag("--off", values.drain.off, "the node takes copies again");
  add_node(add_command(group, "safe-to-stop",
                       "Say whether anything would be lost or stop if the node stopped now; "
                       "status 3 when it would",
                       chosen, values.safe_to_stop),
           values.safe_to_stop.node);
}

}  // namespace

void add_cluster_commands(CLI::App& app, ClusterValues& values, Chosen& chosen) {
  CLI::App& group = add_group(app, "cluster",
                              "Show and change the cluster (a node is added by starting it: "
                              "andyx-server --node-id N --join HOST:PORT)");
  add_command(group, "status", "Show the state of the cluster", chosen, values.status);
  add_command(group, "nodes", "List the nodes", chosen, values.nodes);
  add_node_commands(group, values, chosen);

  ClusterBalance& balance = values.balance;
  CLI::App& balance_app = add_command(
      group, "balance", "Show, pause or resume the spreading of copies and mains over the nodes",
      chosen, balance);
  CLI::Option* pause = balance_app.add_flag("--pause", balance.pause, "spread nothing");
  balance_app.add_flag("--resume", balance.resume, "spread again")->excludes(pause);

  CLI::App& move =
      add_command(group, "move", "Begin to move a copy of a partition", chosen, values.move);
  add_placement(move, values.move, "where the copy goes");
  tools::add_number<NodeId>(move, "--from", values.move.from, "NODE",
                            "whose copy goes (default: the main's)", 1);

  CLI::App& elect =
      add_command(group, "elect", "Make a node the main of a partition", chosen, values.elect);
  add_placement(elect, values.elect, "the new main");
  elect.add_flag("--accept-data-loss", values.elect.accept_data_loss,
                 "also where its copy may lack what was acknowledged");
}

}  // namespace andyx::cli
