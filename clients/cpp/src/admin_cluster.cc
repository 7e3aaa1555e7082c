// The administration of the cluster. Any node answers it, or passes it on to the controller.
#include "andyx/admin.h"
#include "clients/cpp/src/ask.h"
#include "protocol/base/names.h"

namespace andyx::client {
namespace {

ClusterNode cluster_node(const protocol::ClusterNode& in) {
  return {.node_id = in.node_id(),
          .host = in.host() == nullptr ? std::string() : in.host()->str(),
          .port = in.port(),
          .peer_port = in.peer_port(),
          .roles = in.roles(),
          .status = in.status() == nullptr ? std::string() : in.status()->str(),
          .alive = in.alive(),
          .draining = in.draining(),
          .controller = in.controller(),
          .voter = in.voter(),
          .learner = in.learner(),
          .incarnation = in.incarnation(),
          .version = in.version(),
          .mains = in.mains(),
          .copies = in.copies(),
          .bytes_in = in.bytes_in(),
          .bytes_out = in.bytes_out(),
          .in_rate = in.in_rate(),
          .out_rate = in.out_rate(),
          .disk_bytes = in.disk_bytes(),
          .disk_free_bytes = in.disk_free_bytes(),
          .stored_bytes = in.stored_bytes(),
          .note = in.note() == nullptr ? std::string() : in.note()->str()};
}

Result<ClusterStatus> cluster_status_of(const ReplyFrame& reply) {
  const auto* in = reply.frame->body_as_ClusterStatusReply();
  if (in == nullptr) return fail(ErrorCode::kInternal, "the answer to cluster status is none");
  const auto text = [](const flatbuffers::String* s) { return s == nullptr ? "" : s->str(); };
  ClusterStatus out{.cluster_id = text(in->cluster_id()),
                    .status = text(in->status()),
                    .controller = in->controller(),
                    .controller_epoch = in->controller_epoch(),
                    .version = in->version(),
                    .voters = {},
                    .nodes = {},
                    .partitions = in->partitions(),
                    .under_replicated = in->under_replicated(),
                    .without_main = in->without_main(),
                    .balancing_paused = in->balancing_paused(),
                    .moves = in->moves(),
                    .by_traffic = in->by_traffic(),
                    .by_disk = in->by_disk(),
                    .uneven = {},
                    .note = text(in->note())};
  if (in->voters() != nullptr) out.voters.assign(in->voters()->begin(), in->voters()->end());
  if (in->nodes() != nullptr) {
    for (const auto* node : *in->nodes()) out.nodes.push_back(cluster_node(*node));
  }
  if (in->uneven() != nullptr) {
    for (const auto* node : *in->uneven()) {
      out.uneven.push_back(
          {node->node_id(), node->copies(), node->score(), node->number(), node->measured()});
    }
  }
  return out;
}

Result<StopAdvice> advice_of(const ReplyFrame& reply) {
  const auto* in = reply.frame->body_as_SafeToStopReply();
  if (in == nullptr) return fail(ErrorCode::kInternal, "the answer to safe to stop is none");
  return StopAdvice{in->safe(), in->why() == nullptr ? std::string() : in->why()->str()};
}

struct BackupPart {
  std::uint64_t version = 0, total_bytes = 0;
  std::vector<std::uint8_t> bytes;
};

Result<BackupPart> backup_part_of(const ReplyFrame& reply) {
  const auto* in = reply.frame->body_as_MetadataSnapshotPart();
  if (in == nullptr || in->bytes() == nullptr || in->bytes()->size() == 0)
    return fail(ErrorCode::kInternal, "the answer to metadata backup is none");
  return BackupPart{in->version(), in->total_bytes(), {in->bytes()->begin(), in->bytes()->end()}};
}

Result<std::vector<std::uint8_t>> read_backup(ClientImpl& client, std::uint64_t at_least) {
  std::vector<std::uint8_t> all;
  std::uint64_t version = 0, total_bytes = 0;
  do {
    auto fill = [version, offset = all.size(), at_least](Builder& builder) {
      return body_of(protocol::Body::MetadataBackup,
                     protocol::CreateMetadataBackup(builder, version, offset, at_least));
    };
    const auto part = ask<BackupPart>(client, 0, fill, Repeat::kYes, backup_part_of);
    if (!part) return std::unexpected(part.error());
    version = part->version;
    total_bytes = part->total_bytes;
    all.insert(all.end(), part->bytes.begin(), part->bytes.end());
  } while (all.size() < total_bytes);
  return all;
}

constexpr int kBackupAttempts = 10;  // another backup may come in between, or another node answer

}  // namespace

Result<std::vector<std::uint8_t>> Admin::metadata_backup() {
  const auto status = cluster_status();
  if (!status) return std::unexpected(status.error());
  auto read = read_backup(*impl_, status->version);
  for (int i = 1; i < kBackupAttempts && !read; ++i) {
    if (read.error().code != ErrorCode::kOffsetOutOfRange) break;
    read = read_backup(*impl_, status->version);
  }
  return read;
}

Result<ClusterStatus> Admin::cluster_status() {
  auto fill = [](Builder& builder) {
    return body_of(protocol::Body::ClusterStatus, protocol::CreateClusterStatus(builder));
  };
  return ask<ClusterStatus>(*impl_, 0, fill, Repeat::kYes, cluster_status_of);
}

Status Admin::node_remove(NodeId node) {
  auto fill = [node](Builder& builder) {
    return body_of(protocol::Body::NodeRemove, protocol::CreateNodeRemove(builder, node));
  };
  return plain(ask<bool>(*impl_, 0, fill, Repeat::kNo, done_of));
}

Status Admin::node_drain(NodeId node, bool on) {
  auto fill = [node, on](Builder& builder) {
    return body_of(protocol::Body::NodeDrain, protocol::CreateNodeDrain(builder, node, on));
  };
  return plain(ask<bool>(*impl_, 0, fill, Repeat::kYes, done_of));
}

Status Admin::balance_pause(bool paused) {
  auto fill = [paused](Builder& builder) {
    return body_of(protocol::Body::BalancePause, protocol::CreateBalancePause(builder, paused));
  };
  return plain(ask<bool>(*impl_, 0, fill, Repeat::kYes, done_of));
}

Result<StopAdvice> Admin::safe_to_stop(NodeId node) {
  auto fill = [node](Builder& builder) {
    return body_of(protocol::Body::SafeToStop, protocol::CreateSafeToStop(builder, node));
  };
  return ask<StopAdvice>(*impl_, 0, fill, Repeat::kYes, advice_of);
}

Status Admin::partition_move(const std::string& topic, std::uint32_t partition, NodeId to,
                             NodeId from) {
  const auto name = TopicName::parse(topic);
  if (!name) return std::unexpected(name.error());
  auto fill = [path = name->path(), partition, to, from](Builder& builder) {
    const auto text = builder.CreateString(path);
    return body_of(protocol::Body::PartitionMove,
                   protocol::CreatePartitionMove(builder, text, partition, to, from));
  };
  return plain(ask<bool>(*impl_, 0, fill, Repeat::kNo, done_of));
}

Status Admin::partition_elect(const std::string& topic, std::uint32_t partition, NodeId to,
                              bool accept_data_loss) {
  const auto name = TopicName::parse(topic);
  if (!name) return std::unexpected(name.error());
  auto fill = [path = name->path(), partition, to, accept_data_loss](Builder& builder) {
    const auto text = builder.CreateString(path);
    return body_of(protocol::Body::PartitionElect,
                   protocol::CreatePartitionElect(builder, text, partition, to, accept_data_loss));
  };
  return plain(ask<bool>(*impl_, 0, fill, Repeat::kNo, done_of));
}

}  // namespace andyx::client
