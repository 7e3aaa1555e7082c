// What this node says of itself.
#include "frame_generated.h"
#include "server/app/process_info.h"
#include "server/handlers/handlers.h"
#include "server/handlers/routing.h"

namespace andyx::server {
namespace {

struct LoopView {
  std::uint32_t connections = 0, partitions = 0, mailbox = 0;
  std::uint64_t cached_bytes = 0;
};

flatbuffers::Offset<protocol::StorageStatus> make_storage(flatbuffers::FlatBufferBuilder& builder,
                                                          const storage::ShardStatus& status) {
  auto state = builder.CreateString(status.state);
  auto crc32c = builder.CreateString(status.crc32c_hardware ? "hardware" : "software");
  return protocol::CreateStorageStatus(
      builder, 0, state, status.fsync, status.generation, status.unflushed_generations,
      status.written_bytes, status.disk_bytes, status.free_bytes, status.syncs, status.last_sync_us,
      crc32c, status.crc32c_calls, status.reads);
}

void send_status(CoreLoop& here, const std::vector<LoopView>& views, Reply reply) {
  Node& node = here.node();
  const Image& image = here.image();
  reply.body(protocol::Body::NodeStatusReply, [&](flatbuffers::FlatBufferBuilder& builder) {
    std::vector<flatbuffers::Offset<protocol::LoopStatus>> loops;
    std::uint32_t partitions = 0;
    for (std::uint32_t index = 0; index < views.size(); ++index) {
      const LoopView& view = views[index];
      partitions += view.partitions;
      loops.push_back(protocol::CreateLoopStatus(builder, index, view.connections, view.partitions,
                                                 view.mailbox, view.cached_bytes));
    }
    auto cluster = builder.CreateString(image.cluster_id.text());
    auto version = builder.CreateString(ANDYX_VERSION);
    auto listen = builder.CreateString(node.address.text());
    auto advertise = builder.CreateString(node.advertise.text());
    auto loop_vector = builder.CreateVector(loops);
    auto storage = builder.CreateVector({make_storage(builder, node.shard->status())});
    return protocol::CreateNodeStatusReply(
        builder, node.config.node_id, cluster, node.incarnation, version, listen, advertise,
        (net::monotonic_ns() - node.started_ns) / 1'000'000, rss_bytes(), node.connections.load(),
        static_cast<std::uint32_t>(image.topics.size()), partitions, image.position, loop_vector,
        storage, cpu_us());
  });
}

}  // namespace

void handle(ClientConnection& client, const protocol::NodeStatus&, Reply reply) {
  CoreLoop& here = client.loop();
  auto views = std::make_shared<std::vector<LoopView>>(here.node().loops.size());
  auto done =
      std::make_shared<OnLastRelease>(here, [&here, views, reply = std::move(reply)]() mutable {
        send_status(here, *views, std::move(reply));
      });
  for (auto& loop : here.node().loops) {
    loop->net_loop().post([owner = loop.get(), views, done] {
      (*views)[owner->index()] = {static_cast<std::uint32_t>(owner->connection_count()),
                                  static_cast<std::uint32_t>(owner->partitions().size()),
                                  owner->net_loop().queued(), owner->cache_budget().used_bytes()};
    });
  }
}

}  // namespace andyx::server
