#include "server/app/metadata_start.h"

#include <cstring>
#include <filesystem>
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

constexpr std::size_t kIdBytes = sizeof(Uuid);

namespace fs = std::filesystem;

std::string replaced_path(const std::string& data_dir) {
  return store_path(data_dir) + ".replaced";
}

}  // namespace

Result<std::optional<Membership>> read_membership(storage::StorageShard& shard) {
  auto stored = shard.get(storage::Table::kMeta, kClusterIdKey);
  if (!stored) return std::unexpected(stored.error());
  if (!*stored) return std::nullopt;
  Membership membership;
  const std::string& bytes = **stored;
  const bool grouped = bytes.size() == kIdBytes + 1 + sizeof membership.group;
  if (bytes.size() != kIdBytes + 1 && !grouped)
    return fail(ErrorCode::kCorrupt, "the cluster id in the data directory is damaged");
  std::memcpy(&membership.cluster_id, bytes.data(), kIdBytes);
  membership.founder = bytes[kIdBytes] != 0;
  if (grouped) std::memcpy(&membership.group, bytes.data() + kIdBytes + 1, sizeof membership.group);
  return membership;
}

Status write_membership(storage::StorageShard& shard, const Membership& membership) {
  std::string bytes(kIdBytes, '\0');
  std::memcpy(bytes.data(), &membership.cluster_id, kIdBytes);
  bytes.push_back(membership.founder ? 1 : 0);
  if (membership.group != 0) {
    bytes.resize(kIdBytes + 1 + sizeof membership.group);
    std::memcpy(bytes.data() + kIdBytes + 1, &membership.group, sizeof membership.group);
  }
  return put_durably(shard, kClusterIdKey, std::move(bytes));
}

raft::StoreIdentity store_identity(const Membership& membership, NodeId node, const Uuid& disk_id) {
  std::string group = membership.cluster_id.text();
  if (membership.group != 0) group += '/' + std::to_string(membership.group);
  return {std::move(group), node, disk_id.text()};
}

std::string store_path(const std::string& data_dir) { return data_dir + "/raft"; }
std::string store_path(const std::string& data_dir, std::uint64_t group) {
  return store_path(data_dir) + '.' + std::to_string(group);
}

Status put_store_in_place(const std::string& data_dir, const Membership& membership) {
  const std::string fresh = store_path(data_dir, membership.group);
  const std::string replaced = replaced_path(data_dir);
  std::error_code error;
  if (membership.group == 0 || !fs::exists(fresh, error)) return {};
  if (fs::exists(store_path(data_dir), error)) {
    fs::remove_all(replaced, error);
    if (!error) fs::rename(store_path(data_dir), replaced, error);
  }
  if (!error) fs::rename(fresh, store_path(data_dir), error);
  if (error) return fail(ErrorCode::kIo, "rename " + fresh + ": " + error.message());
  return {};
}

bool has_store(const std::string& data_dir) {
  std::error_code error;
  return fs::exists(store_path(data_dir), error) || fs::exists(replaced_path(data_dir), error);
}

Status remove_unfinished_stores(const std::string& data_dir) {
  const std::string prefix = fs::path(store_path(data_dir) + '.').filename();
  std::error_code error;
  std::vector<fs::path> unfinished;
  for (const auto& entry : fs::directory_iterator(data_dir, error)) {
    const std::string name = entry.path().filename();
    const bool numbered = name.size() > prefix.size() && name.starts_with(prefix) &&
                          name.find_first_not_of("0123456789", prefix.size()) == std::string::npos;
    if (numbered) unfinished.push_back(entry.path());
  }
  for (const fs::path& path : unfinished) {
    if (!error) fs::remove_all(path, error);
  }
  if (error) return fail(ErrorCode::kIo, "clearing up " + data_dir + ": " + error.message());
  return {};
}

namespace {

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
  auto joined = join(config, node);
  if (!joined) return std::unexpected(joined.error());
  return Membership{joined->cluster_id, false, joined->metadata_group};
}

// This node was away while the metadata were recovered by force. It joins the group of now with an
// empty store, as a new peer: what it voted for is of a group that is over. Its data stays.
Result<Membership> join_again(Config config, const NodeSpec& node, const Uuid& cluster_id,
                              storage::StorageShard& shard, const JoinCluster& join,
                              std::vector<net::Address> newer) {
  log::warn("the metadata were recovered by force while this node was away; it joins again",
            {{"cluster", cluster_id.text()}});
  config.join = std::move(newer);
  auto joined = join(config, node);
  if (!joined) return std::unexpected(joined.error());
  const Membership membership{cluster_id, false, joined->metadata_group};
  const std::string fresh = store_path(config.data_dir, membership.group);
  {
    auto made =
        raft::RaftStore::open({.path = fresh,
                               .identity = store_identity(membership, node.node_id, node.disk_id),
                               .fsync = config.fsync});
    if (!made) return std::unexpected(made.error());
  }
  // It is empty until the leader has sent what there is; no loss, should the node stop before.
  if (auto removed = remove_durably(shard, kInRaftKey); !removed)
    return std::unexpected(removed.error());
  if (auto written = write_membership(shard, membership); !written)
    return std::unexpected(written.error());
  return membership;
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
  options.store.path = store_path(config.data_dir);
  options.store.identity = store_identity(membership, node.node_id, node.disk_id);
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
                                           const JoinCluster& join,
                                           const std::vector<net::Address>& known) {
  auto in_raft = shard.get(storage::Table::kMeta, kInRaftKey);
  if (!in_raft) return std::unexpected(in_raft.error());
  auto membership = read_membership(shard);
  if (!membership) return std::unexpected(membership.error());
  bool must_exist = in_raft->has_value();
  Former former;
  if (!must_exist) {
    auto read = read_former(shard);
    if (!read) return std::unexpected(read.error());
    former = std::move(*read);
  }
  const bool met = membership->has_value();
  if (!met) {
    if (must_exist)
      return fail(ErrorCode::kCorrupt, "the cluster id in the data directory is missing");
    auto first = first_membership(config, node, former.cluster_id, join);
    if (!first) return std::unexpected(first.error());
    if (auto written = write_membership(shard, *first); !written)
      return std::unexpected(written.error());
    *membership = *first;
  }
  std::vector<net::Address> newer;
  if (met && join)
    newer = nodes_of_newer_group(node, (*membership)->cluster_id, (*membership)->group, known);
  if (!newer.empty()) {
    auto again = join_again(config, node, (*membership)->cluster_id, shard, join, std::move(newer));
    if (!again) return std::unexpected(again.error());
    *membership = *again;
    must_exist = false;
  }
  if (auto placed = put_store_in_place(config.data_dir, **membership); !placed)
    return std::unexpected(placed.error());
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
  return StartedMetadata{std::move(*opened), (*membership)->cluster_id, (*membership)->founder,
                         (*membership)->group};
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
  auto joined = join(config, node);
  if (!joined) return std::unexpected(joined.error());
  if (auto written = write_membership(shard, {joined->cluster_id, false}); !written)
    return std::unexpected(written.error());
  return joined->cluster_id;
}

Status confirm_in_raft(storage::StorageShard& shard) { return put_durably(shard, kInRaftKey, "1"); }

Status confirm_metadata_log(storage::StorageShard& shard) {
  auto in_raft = shard.get(storage::Table::kMeta, kInRaftKey);
  if (!in_raft) return std::unexpected(in_raft.error());
  if (!*in_raft) {
    if (auto put = confirm_in_raft(shard); !put) return put;
  }
  return LocalMetadataStore::remove(shard);
}

}  // namespace andyx::server
