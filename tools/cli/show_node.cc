#include "tools/cli/show.h"
#include "tools/cli/show_text.h"
#include "tools/common/progress.h"
#include "tools/common/table.h"
#include "tools/common/time_text.h"

namespace andyx::cli {

std::string node_table(const client::NodeStatus& node) {
  std::string out;
  out += "node " + number(node.node_id) + " of cluster " + node.cluster_id + ", andyx-server " +
         node.server_version + '\n';
  out += "listens on " + node.listen + ", advertises " + node.advertise + ", up " +
         tools::format_duration_ms(node.uptime_ms) + ", RSS " +
         tools::short_bytes(static_cast<double>(node.rss_bytes)) + ", CPU " +
         tools::format_duration_ms(node.cpu_us / 1000) + '\n';
  out += number(node.connections) + " connections, " + number(node.topics) + " topics, " +
         number(node.partitions) + " partitions, metadata version " +
         number(node.metadata_version) + '\n';
  tools::Table loops({">LOOP", ">CONNECTIONS", ">PARTITIONS", ">MAILBOX", ">CACHED"});
  for (const client::LoopStatus& loop : node.loops) {
    loops.add({number(loop.loop), number(loop.connections), number(loop.partitions),
               number(loop.mailbox), tools::short_bytes(static_cast<double>(loop.cached_bytes))});
  }
  tools::Table storage({">SHARD", "STATE", "FSYNC", ">GENERATION", ">UNFLUSHED", ">WRITTEN",
                        ">DISK", ">FREE", ">READS", ">SYNCS", ">LAST-SYNC-US", "CRC32C",
                        ">CRC32C-CALLS"});
  for (const client::StorageStatus& shard : node.storage) {
    storage.add({number(shard.shard), shard.state, shard.fsync ? "on" : "off",
                 number(shard.generation), number(shard.unflushed_generations),
                 tools::short_bytes(static_cast<double>(shard.written_bytes)),
                 tools::short_bytes(static_cast<double>(shard.disk_bytes)),
                 tools::short_bytes(static_cast<double>(shard.free_bytes)), number(shard.reads),
                 number(shard.syncs), number(shard.last_sync_us), shard.crc32c,
                 number(shard.crc32c_calls)});
  }
  return out + '\n' + loops.text() + '\n' + storage.text();
}

std::string node_json(const client::NodeStatus& node) {
  Json json{{"node_id", node.node_id},         {"cluster_id", node.cluster_id},
            {"incarnation", node.incarnation}, {"server_version", node.server_version},
            {"listen", node.listen},           {"advertise", node.advertise},
            {"uptime_ms", node.uptime_ms},     {"rss_bytes", node.rss_bytes},
            {"connections", node.connections}, {"topics", node.topics},
            {"partitions", node.partitions},   {"metadata_version", node.metadata_version},
            {"cpu_us", node.cpu_us},           {"loops", Json::array()},
            {"storage", Json::array()}};
  for (const client::LoopStatus& loop : node.loops) {
    json["loops"].push_back(Json{{"loop", loop.loop},
                                 {"connections", loop.connections},
                                 {"partitions", loop.partitions},
                                 {"mailbox", loop.mailbox},
                                 {"cached_bytes", loop.cached_bytes}});
  }
  for (const client::StorageStatus& shard : node.storage) {
    json["storage"].push_back(Json{{"shard", shard.shard},
                                   {"state", shard.state},
                                   {"fsync", shard.fsync},
                                   {"generation", shard.generation},
                                   {"unflushed_generations", shard.unflushed_generations},
                                   {"written_bytes", shard.written_bytes},
                                   {"disk_bytes", shard.disk_bytes},
                                   {"free_bytes", shard.free_bytes},
                                   {"syncs", shard.syncs},
                                   {"last_sync_us", shard.last_sync_us},
                                   {"crc32c", shard.crc32c},
                                   {"crc32c_calls", shard.crc32c_calls},
                                   {"reads", shard.reads}});
  }
  return json_line(json);
}

}  // namespace andyx::cli
