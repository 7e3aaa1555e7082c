#include "tools/cli/show.h"
#include "tools/cli/show_text.h"
#include "tools/common/progress.h"
#include "tools/common/table.h"

namespace andyx::cli {
namespace {

std::string address(const client::ClusterNode& node) { return node.host + ':' + number(node.port); }

Json role_words(std::uint8_t roles) {
  Json words = Json::array();
  if ((roles & client::kRoleBroker) != 0) words.push_back("broker");
  if ((roles & client::kRoleMetadata) != 0) words.push_back("metadata");
  if ((roles & client::kRoleBalancer) != 0) words.push_back("balancer");
  return words;
}

std::string role_text(std::uint8_t roles) {
  std::string text;
  for (const auto& word : role_words(roles)) {
    if (!text.empty()) text += ',';
    text += word.get<std::string>();
  }
  return text;
}

// Its part in the metadata.
std::string metadata_word(const client::ClusterNode& node) {
  if (node.controller) return "controller";
  if (node.voter) return "voter";
  return node.learner ? "learner" : "-";
}

// An image always has a version: without one the node has told nothing of itself, or not to whom
// was asked.
bool has_reported(const client::ClusterNode& node) { return node.version != 0; }

std::string reported_number(const client::ClusterNode& node, std::uint64_t value) {
  return has_reported(node) ? number(value) : "-";
}

std::string reported_bytes(const client::ClusterNode& node, std::uint64_t bytes) {
  return has_reported(node) ? tools::short_bytes(static_cast<double>(bytes)) : "-";
}

Json reported(const client::ClusterNode& node, std::uint64_t value) {
  return has_reported(node) ? Json(value) : Json(nullptr);
}

// Of the cluster, then of its nodes.
std::string note_lines(const client::ClusterStatus& cluster) {
  std::string lines = note_line(cluster.note);
  for (const client::ClusterNode& node : cluster.nodes) {
    if (!node.note.empty()) lines += note_line("node " + number(node.node_id) + ' ' + node.note);
  }
  return lines;
}

Json nodes_json(const client::ClusterStatus& cluster) {
  Json nodes = Json::array();
  for (const client::ClusterNode& node : cluster.nodes) {
    nodes.push_back(Json{{"node_id", node.node_id},
                         {"status", node.status},
                         {"host", node.host},
                         {"port", node.port},
                         {"peer_port", node.peer_port},
                         {"roles", role_words(node.roles)},
                         {"alive", node.alive},
                         {"draining", node.draining},
                         {"controller", node.controller},
                         {"voter", node.voter},
                         {"learner", node.learner},
                         {"incarnation", node.incarnation},
                         {"version", reported(node, node.version)},
                         {"mains", node.mains},
                         {"copies", node.copies},
                         {"bytes_in", reported(node, node.bytes_in)},
                         {"bytes_out", reported(node, node.bytes_out)},
                         {"in_rate", reported(node, node.in_rate)},
                         {"out_rate", reported(node, node.out_rate)},
                         {"stored_bytes", reported(node, node.stored_bytes)},
                         {"disk_bytes", reported(node, node.disk_bytes)},
                         {"disk_free_bytes", reported(node, node.disk_free_bytes)},
                         {"note", node.note}});
  }
  return nodes;
}

const char* measure_word(bool copies) { return copies ? "disk" : "traffic"; }
bool is_measured(const client::ClusterStatus& cluster, bool copies) {
  return copies ? cluster.by_disk : cluster.by_traffic;
}

Json measures_json(const client::ClusterStatus& cluster, bool copies) {
  Json words = Json::array({"number"});
  if (is_measured(cluster, copies)) words.push_back(measure_word(copies));
  return words;
}

std::string measures_text(const client::ClusterStatus& cluster, bool copies) {
  return is_measured(cluster, copies) ? std::string("number and ") + measure_word(copies)
                                      : "number";
}

std::string uneven_line(const client::ClusterStatus& cluster, const client::NodeUnevenness& node) {
  std::string line = "node " + number(node.node_id) + ": " + (node.copies ? "copies " : "mains ") +
                     number(node.score) + " % of the average (number " + number(node.number) + " %";
  if (is_measured(cluster, node.copies)) {
    line += std::string(", ") + measure_word(node.copies) + ' ' + number(node.measured) + " %";
  }
  return line + ")\n";
}

Json uneven_json(const client::ClusterStatus& cluster) {
  Json uneven = Json::array();
  for (const client::NodeUnevenness& node : cluster.uneven) {
    const bool measured = is_measured(cluster, node.copies);
    uneven.push_back(Json{{"node_id", node.node_id},
                          {"of", node.copies ? "copies" : "mains"},
                          {"percent", node.score},
                          {"number_percent", node.number},
                          {"measured_percent", measured ? Json(node.measured) : Json(nullptr)}});
  }
  return uneven;
}

}  // namespace

std::string balance_text(const client::ClusterStatus& cluster) {
  return "balancing is " + std::string(cluster.balancing_paused ? "paused" : "on") + ", " +
         number(cluster.moves) + (cluster.moves == 1 ? " copy is" : " copies are") + " moving";
}

std::string balance_report(const client::ClusterStatus& cluster) {
  std::string out = balance_text(cluster) + '\n';
  if (cluster.controller == 0) return out + note_line(cluster.note);
  out += "mains are spread by " + measures_text(cluster, false) + ", copies by " +
         measures_text(cluster, true) + '\n';
  if (cluster.uneven.empty()) out += "no node is off the average by more than 20 %\n";
  for (const client::NodeUnevenness& node : cluster.uneven) out += uneven_line(cluster, node);
  return out;
}

std::string balance_json(const client::ClusterStatus& cluster) {
  return json_line(Json{{"balancing_paused", cluster.balancing_paused},
                        {"moves", cluster.moves},
                        {"mains_by", measures_json(cluster, false)},
                        {"copies_by", measures_json(cluster, true)},
                        {"uneven", uneven_json(cluster)}});
}

std::string cluster_table(const client::ClusterStatus& cluster) {
  std::string out = "cluster " + cluster.cluster_id + " is " + cluster.status + '\n';
  out += "controller " + (cluster.controller == 0 ? "none" : number(cluster.controller)) +
         ", voters " + (cluster.voters.empty() ? "not known" : number_list(cluster.voters)) +
         ", metadata version " + number(cluster.version) + '\n';
  out += number(cluster.partitions) + " partitions, " + number(cluster.under_replicated) +
         " under-replicated, " + number(cluster.without_main) + " without main; " +
         balance_text(cluster) + '\n';
  out += note_lines(cluster);
  tools::Table table({">NODE", "STATUS", "ADDRESS", "METADATA", ">MAINS", ">COPIES"});
  for (const client::ClusterNode& node : cluster.nodes) {
    table.add({number(node.node_id), node.status, address(node), metadata_word(node),
               number(node.mains), number(node.copies)});
  }
  return out + '\n' + table.text();
}

std::string cluster_json(const client::ClusterStatus& cluster) {
  return json_line(Json{{"cluster_id", cluster.cluster_id},
                        {"status", cluster.status},
                        {"controller", cluster.controller},
                        {"controller_epoch", cluster.controller_epoch},
                        {"version", cluster.version},
                        {"voters", cluster.voters},
                        {"partitions", cluster.partitions},
                        {"under_replicated", cluster.under_replicated},
                        {"without_main", cluster.without_main},
                        {"balancing_paused", cluster.balancing_paused},
                        {"moves", cluster.moves},
                        {"note", cluster.note},
                        {"nodes", nodes_json(cluster)}});
}

std::string cluster_nodes_table(const client::ClusterStatus& cluster) {
  tools::Table table({">NODE", "STATUS", "ADDRESS", ">PEER-PORT", "ROLES", "METADATA", ">VERSION",
                      ">MAINS", ">COPIES", ">IN/S", ">OUT/S", ">STORED", ">DISK", ">FREE"});
  for (const client::ClusterNode& node : cluster.nodes) {
    table.add({number(node.node_id), node.status, address(node),
               node.peer_port == 0 ? "-" : number(node.peer_port), role_text(node.roles),
               metadata_word(node), reported_number(node, node.version), number(node.mains),
               number(node.copies), reported_bytes(node, node.in_rate),
               reported_bytes(node, node.out_rate), reported_bytes(node, node.stored_bytes),
               reported_bytes(node, node.disk_bytes), reported_bytes(node, node.disk_free_bytes)});
  }
  return note_lines(cluster) + table.text();
}

std::string cluster_nodes_json(const client::ClusterStatus& cluster) {
  return json_line(Json{{"note", cluster.note}, {"nodes", nodes_json(cluster)}});
}

}  // namespace andyx::cli
