#include "server/app/metadata_start.h"

#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "raft/store/raft_store.h"
#include "server/app/data_directory.h"
#include "server/app/log.h"
#include "server/log_ids.h"
#include "server/metadata/apply.h"
#include "server/metadata/local_metadata_store.h"
#include "server/metadata/snapshot.h"

namespace andyx::server {
namespace {

constexpr const char* kClusterIdKey = "cluster-id";
constexpr const char* kInRaftKey = "metadata-in-raft";

struct Membership {
  Uuid cluster_id;
  bool founder = false;
};

Result<std::optional<Membership>> read_membership(storage::StorageShard& shard) {
  auto stored = shard.get(storage::Table::kMeta, kClusterIdKey);
  if (!stored) return std::unexpected(stored.error());
  if (!*stored) return std::nullopt;
  Membership membership;
  constexpr std::size_t kIdBytes = sizeof membership.cluster_id;
  if ((*stored)->size() != kIdBytes + 1)
    return fail(ErrorCode::kCorrupt, "the cluster id in the data directory is damaged");
  std::memcpy(&membership.cluster_id, (*stored)->data(), kIdBytes);
  membership.founder = (*stored)->back() != 0;
  return membership;
}

Status write_membership(storage::StorageShard& shard, const Membership& membership) {
  std::string bytes(sizeof membership.cluster_id, '\0');
  std::memcpy(bytes.data(), &membership.cluster_id, bytes.size());
  bytes.push_back(membership.founder ? 1 : 0);
  return put_durably(shard, kClusterIdKey, std::move(bytes));
}

// What an earlier version kept in the shard, checked to the last entry.
struct Former {
  MetadataLogContent content;
  Uuid cluster_id;  // zero: there is none
};
Result<Former> read_former(storage::StorageShard& shard) {
  auto store = LocalMetadataStore::open(shard);
  if (!store) return std::unexpected(store.error());
  auto content = store->content();
  if (!content) return std::unexpected(content.error());
  auto image = std::make_shared<const Image>();
  if (content->snapshot) {
    auto decoded = decode_snapshot(content->snapshot->bytes);
    if (!decoded) return std::unexpected(decoded.error());
    image = std::move(*decoded);
  }
  for (const EntryBytes& entry : content->entries) {
    auto applied = apply_entry(*image, entry);
    if (!applied) return std::unexpected(applied.error());
    image = std::move(applied->image);
  }
  return Former{std::move(*content), image->cluster_id};
}

Result<Membership> first_membership(const Config& config, const NodeSpec& node,
                                    const Uuid& former_cluster, const JoinCluster& join) {
  if (config.join.empty()) {
    return Membership{former_cluster.is_zero() ? Uuid::random() : former_cluster, true};
  }
  if (!former_cluster.is_zero()) {
    return fail(ErrorCode::kBadArgument,
                config.data_dir + " holds the metadata of cluster " + former_cluster.text() +
                    " and cannot join another one: start the node without --join, or with an "
                    "empty data directory");
  }
  if (!join) return fail(ErrorCode::kBadArgument, "this program cannot join a cluster");
  auto cluster_id = join(config, node);
  if (!cluster_id) return std::unexpected(cluster_id.error());
  return Membership{*cluster_id, false};
}

void log_raft(raft::LogLevel level, std::string_view line) {
  switch (level) {
    case raft::LogLevel::kDebug:
    case raft::LogLevel::kInfo:
      return log::debug("raft", {{"message", line}});
    case raft::LogLevel::kWarn:
      return log::warn("raft", {{"message", line}});
    case raft::LogLevel::kError:
    case raft::LogLevel::kFatal:
      return log::error("raft", {{"message", line}});
  }
}

bool is_empty(const raft::RaftStore& store) {
  const auto snapshot = store.snapshot();
  return store.last_index() == 0 && store.initial_state().hard.empty() &&
         (!snapshot || (*snapshot)->meta.index == 0);
}

raft::HostOptions host_options(const Config& config, const NodeSpec& node,
                               const Membership& membership, bool must_exist,
                               std::shared_ptr<rocksdb::FileSystem> file_system) {
  raft::HostOptions options;
  options.store.path = config.data_dir + "/raft";
  options.store.identity = {membership.cluster_id.text(), node.node_id, node.disk_id.text()};
  options.store.fsync = config.fsync;
  options.listen = config.peer_address();
  if (membership.founder) options.bootstrap_voters = {node.node_id};
  options.log = log_raft;
  options.open_store =
      [must_exist, fs = std::move(file_system)](
          const raft::StoreOptions& store) -> Result<std::unique_ptr<raft::RaftStore>> {
    auto opened = raft::RaftStore::open(store, fs);
    if (opened && must_exist && is_empty(**opened)) {
      return fail(ErrorCode::kDataLoss,
                  "the metadata of this node was in " + store.path +
                      ", which is gone: restore it, or replace the node by one with an empty data "
                      "directory and another id");
    }
    return opened;
  };
  return options;
}

// A store that runs out of space stops its peer for good. So half of what must stay free is kept
// for the votes and terms that it has to write, and changes of the metadata are refused before.
std::function<std::optional<Error>()> refusal_on_full_disk(const Config& config,
                                                           const storage::StorageShard& shard) {
  const std::uint64_t reserve =
      config.min_free_bytes != 0 ? config.min_free_bytes : 2 * config.generation_bytes;
  const std::uint64_t least = reserve / 2;
  return [&shard, least]() -> std::optional<Error> {
    const storage::ShardStatus status = shard.status();
    if (status.error != ErrorCode::kDiskFull || status.free_bytes >= least) return std::nullopt;
    return Error{ErrorCode::kDiskFull, "the disk has " + std::to_string(status.free_bytes) +
                                           " bytes free; changes of the metadata need " +
                                           std::to_string(least)};
  };
}

}  // namespace

Result<StartedMetadata> start_metadata_log(const Config& config, const NodeSpec& node,
                                           storage::StorageShard& shard,
                                           std::shared_ptr<rocksdb::FileSystem> file_system,
                                           const JoinCluster& join) {
  auto in_raft = shard.get(storage::Table::kMeta, kInRaftKey);
  if (!in_raft) return std::unexpected(in_raft.error());
  auto membership = read_membership(shard);
  if (!membership) return std::unexpected(membership.error());
  const bool must_exist = in_raft->has_value();
  Former former;
  if (!must_exist) {
    auto read = read_former(shard);
    if (!read) return std::unexpected(read.error());
    former = std::move(*read);
  }
  if (!*membership) {
    if (must_exist)
      return fail(ErrorCode::kCorrupt, "the cluster id in the data directory is missing");
    auto first = first_membership(config, node, former.cluster_id, join);
    if (!first) return std::unexpected(first.error());
    if (auto written = write_membership(shard, *first); !written)
      return std::unexpected(written.error());
    *membership = *first;
  }
  if (!former.cluster_id.is_zero()) {
    log::info("taking over the metadata of an earlier version",
              {{"cluster", former.cluster_id.text()}, {"version", former.content.tail()}});
  }
  RaftMetadataLogOptions options{
      .host = host_options(config, node, **membership, must_exist, std::move(file_system)),
      .first = std::move(former.content),
      .refuse_append = refusal_on_full_disk(config, shard)};
  auto opened = RaftMetadataLog::open(std::move(options));
  if (!opened) return std::unexpected(opened.error());
  return StartedMetadata{std::move(*opened), (*membership)->cluster_id, (*membership)->founder};
}

Result<Uuid> join_without_peer(const Config& config, const NodeSpec& node,
                               storage::StorageShard& shard, const JoinCluster& join) {
  auto membership = read_membership(shard);
  if (!membership) return std::unexpected(membership.error());
  if (*membership) return (*membership)->cluster_id;
  if (config.join.empty()) {
    return fail(ErrorCode::kBadArgument,
                "a node without the role metadata cannot begin a cluster: give --join with the "
                "address of a node of one, or --roles that have metadata");
  }
  auto cluster_id = join(config, node);
  if (!cluster_id) return std::unexpected(cluster_id.error());
  if (auto written = write_membership(shard, {*cluster_id, false}); !written)
    return std::unexpected(written.error());
  return *cluster_id;
}

Status confirm_metadata_log(storage::StorageShard& shard) {
  auto in_raft = shard.get(storage::Table::kMeta, kInRaftKey);
  if (!in_raft) return std::unexpected(in_raft.error());
  if (!*in_raft) {
    if (auto put = put_durably(shard, kInRaftKey, "1"); !put) return put;
  }
  return LocalMetadataStore::remove(shard);
}

}  // namespace andyx::server
