#include "server/app/metadata_recovery.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "protocol/base/limits.h"
#include "protocol/net/loop.h"
#include "raft/host/bootstrap.h"
#include "raft/store/raft_store.h"
#include "server/app/data_directory.h"
#include "server/app/metadata_start.h"
#include "server/metadata/apply.h"
#include "server/metadata/image_backup.h"
#include "server/metadata/raft_metadata_log_content.h"
#include "server/metadata/recovered_image.h"
#include "server/metadata/snapshot.h"
#include "storage/rocksdb_shard.h"

namespace andyx::server {
namespace {

// Above every epoch that the group before may have given.
constexpr ControllerEpoch kLostControllerEpochs = ControllerEpoch{1} << 32;

// The data directory of the stopped node, and its Raft store where it has one.
struct Directory {
  std::unique_ptr<storage::StorageShard> shard;
  Uuid disk_id;
  std::optional<Membership> membership;
};

Result<Directory> open_directory(const RecoveryTarget& target) {
  Directory directory;
  auto shard = storage::open_rocksdb_shard({.directory = target.data_dir});
  if (!shard) return std::unexpected(shard.error());
  directory.shard = std::move(*shard);
  auto disk_id = disk_id_of(*directory.shard);
  if (!disk_id) return std::unexpected(disk_id.error());
  directory.disk_id = *disk_id;
  auto membership = read_membership(*directory.shard);
  if (!membership) return std::unexpected(membership.error());
  directory.membership = *membership;
  if (!directory.membership) return directory;
  if (auto placed = put_store_in_place(target.data_dir, *directory.membership); !placed)
    return std::unexpected(placed.error());
  return directory;
}

// What the Raft store of a node holds, to its last entry, whether that was committed or not: a
// majority that is lost may have committed it, and answered.
struct Held {
  MetadataLogContent content;
  std::shared_ptr<const Image> image;
  raft::Index last = 0;
};

Status apply_entries(const raft::RaftStore& store, raft::Index from, Held& held) {
  while (from <= held.last) {
    const auto entries = store.entries(from, held.last + 1, limits::kMaxRaftEntryBytes);
    if (!entries || entries->empty())
      return fail(ErrorCode::kCorrupt, "the metadata have no entry " + std::to_string(from));
    for (const raft::Entry& entry : *entries) {
      from = entry.index + 1;
      if (entry.type != raft::EntryType::kNormal || entry.data.size() == 0) continue;
      const auto proposal = decode_log_proposal(entry.data.span());
      if (!proposal) return std::unexpected(proposal.error());
      std::visit([&held](const auto& one) { held.content.apply(one); }, *proposal);
    }
  }
  return {};
}

Result<std::shared_ptr<const Image>> image_of(const MetadataLogContent& content) {
  auto image = std::make_shared<const Image>();
  Position at = 0;
  if (content.snapshot) {
    auto decoded = decode_snapshot(content.snapshot->bytes);
    if (!decoded) return std::unexpected(decoded.error());
    image = std::move(*decoded);
    at = image->position;
  }
  auto entries = content.read(at, limits::kMaxMetadataAppendBytes);
  for (; entries && !entries->empty();
       entries = content.read(image->position, limits::kMaxMetadataAppendBytes)) {
    for (const LogEntry& entry : *entries) {
      auto applied = apply_entry(*image, entry.bytes);
      if (!applied) return std::unexpected(applied.error());
      image = std::move(applied->image);
    }
  }
  if (!entries) return std::unexpected(entries.error());
  return image;
}

// Nothing: the node has no metadata yet.
Result<std::optional<Held>> read_held(const RecoveryTarget& target, const Directory& directory) {
  std::error_code error;
  const std::string path = store_path(target.data_dir);
  if (!directory.membership || !std::filesystem::exists(path, error)) return std::nullopt;
  auto store = raft::RaftStore::open(
      {.path = path,
       .identity = store_identity(*directory.membership, target.node_id, directory.disk_id)});
  if (!store) return std::unexpected(store.error());
  const auto snapshot = (*store)->snapshot();
  Held held;
  held.last = (*store)->last_index();
  if (!snapshot || (*snapshot)->meta.index == 0) {
    if (held.last == 0) return std::nullopt;
    return fail(ErrorCode::kCorrupt, path + " has no snapshot to begin with");
  }
  auto content = decode_log_content((*snapshot)->data.span());
  if (!content) return std::unexpected(content.error());
  held.content = std::move(*content);
  if (auto applied = apply_entries(**store, (*snapshot)->meta.index + 1, held); !applied)
    return std::unexpected(applied.error());
  auto image = image_of(held.content);
  if (!image) return std::unexpected(image.error());
  held.image = std::move(*image);
  return held;
}

std::uint64_t next_group(std::uint64_t last) {
  return std::max(static_cast<std::uint64_t>(net::wall_time_us()), last + 1);
}

// What is left to do once the store is in its place.
Status finish_group(Directory& directory) {
  if (auto confirmed = confirm_in_raft(*directory.shard); !confirmed) return confirmed;
  return directory.shard->close();
}

// Makes the store of the new group, then says in the shard that it is the one, then puts it in its
// place.
Status begin_group(const RecoveryTarget& target, Directory& directory,
                   const std::shared_ptr<const Image>& image, ControllerEpoch epoch) {
  const Membership membership{image->cluster_id, false, image->group};
  if (auto cleared = remove_unfinished_stores(target.data_dir); !cleared) return cleared;
  {
    const std::string path = store_path(target.data_dir, image->group);
    auto store = raft::RaftStore::open(
        {.path = path, .identity = store_identity(membership, target.node_id, directory.disk_id)});
    if (!store) return std::unexpected(store.error());
    MetadataLogContent content{
        .epoch = epoch,
        .controller = 0,
        .snapshot = ImageSnapshotBytes{image->position, encode_snapshot(*image)},
        .start = image->position,
        .entries = {}};
    auto begun = raft::bootstrap(**store, target.node_id, {target.node_id},
                                 [&content] { return encode_log_content(content); });
    if (!begun) return begun;
  }
  if (auto written = write_membership(*directory.shard, membership); !written) return written;
  if (auto placed = put_store_in_place(target.data_dir, membership); !placed) return placed;
  return finish_group(directory);
}

std::string counts_of(const Image& image) {
  return std::to_string(image.topics.size()) + " topics, " +
         std::to_string(image.subscription_count) + " subscriptions and " +
         std::to_string(image.scopes.size()) + " levels above them";
}

std::string others_of(const Image& image, NodeId self) {
  std::string text;
  for (const NodeRecord& node : image.nodes) {
    if (node.id == self || (node.roles & kMetadataRole) == 0) continue;
    text += (text.empty() ? "" : ", ") + std::to_string(node.id);
  }
  return text.empty() ? "none" : text;
}

// Partitions whose in-sync set this node is not in: it cannot say how far they are committed.
std::size_t not_in_sync(const Image& image, NodeId node) {
  std::size_t count = 0;
  for (const Topic& topic : image.topics) {
    count += static_cast<std::size_t>(
        std::ranges::count_if(topic.partitions(), [node](const PartitionRecord& partition) {
          return std::ranges::find(partition.in_sync, node) == partition.in_sync.end();
        }));
  }
  return count;
}

// The epoch that the metadata which are there have come to, where the backup may take their place.
Result<ControllerEpoch> epoch_of_replaced(const Result<std::optional<Held>>& held, Position version,
                                          bool force) {
  if (!held && held.error().code == ErrorCode::kBadArgument) return std::unexpected(held.error());
  if (!held && !force) {
    return fail(ErrorCode::kNotEmpty,
                "the metadata that are there cannot be read: " + held.error().message +
                    "; with --force the backup replaces them");
  }
  if (!held || !*held) return 0;
  const Position there = (*held)->image->position;
  if (there <= version || force) return (*held)->content.epoch;
  return fail(ErrorCode::kNotEmpty, "the metadata that are there are of version " +
                                        std::to_string(there) + ", the backup of version " +
                                        std::to_string(version) +
                                        ": what was decided in between would be lost; with --force "
                                        "it is");
}

Status check_member(const RecoveryTarget& target, const Directory& directory, const Image& image) {
  const Uuid& cluster = directory.membership->cluster_id;
  if (cluster != image.cluster_id) {
    return fail(ErrorCode::kWrongCluster, target.data_dir + " belongs to cluster " +
                                              cluster.text() + ", the backup is of cluster " +
                                              image.cluster_id.text());
  }
  const auto node = image.find_node(target.node_id);
  if (node != nullptr && node->disk_id == directory.disk_id) return {};
  return fail(ErrorCode::kNodeConflict,
              "the backup does not know node " + std::to_string(target.node_id) +
                  " with the disk id of " + target.data_dir + ", " + directory.disk_id.text());
}

}  // namespace

Result<std::string> restore_metadata(const RecoveryTarget& target, ByteSpan bytes, bool force) {
  const auto backup = read_backup(bytes);
  if (!backup) return fail(backup.error().code, "the backup: " + backup.error().message);
  const Image& image = *backup->image;
  auto directory = open_directory(target);
  if (!directory) return std::unexpected(directory.error());
  RecoveredGroup as{.group = next_group(image.group), .alone = {}, .survivor = 0};
  ControllerEpoch epoch = 0;
  std::string where = "the metadata of cluster " + image.cluster_id.text();
  const auto held = read_held(target, *directory);
  // This very restore was given before, and interrupted when it was all but done.
  if (held && *held && is_recovered_from(*(*held)->image, image)) {
    if (auto finished = finish_group(*directory); !finished)
      return std::unexpected(finished.error());
    return "restored " + where + " of version " + std::to_string(image.position) + ": " +
           counts_of(image);
  }
  if (directory->membership) {
    if (auto member = check_member(target, *directory, image); !member)
      return std::unexpected(member.error());
    const auto replaced = epoch_of_replaced(held, image.position, force);
    if (!replaced) return std::unexpected(replaced.error());
    epoch = *replaced;
    as.group = next_group(std::max(image.group, directory->membership->group));
  } else {
    as.alone = {Uuid::random(), target.node_id, directory->disk_id};
    where += " as those of a new one, " + as.alone->cluster_id.text() + ",";
  }
  const auto recovered = recovered_image(image, as);
  if (auto begun = begin_group(target, *directory, recovered, epoch + kLostControllerEpochs);
      !begun)
    return std::unexpected(begun.error());
  return "restored " + where + " of version " + std::to_string(image.position) + ": " +
         counts_of(image) + (as.alone ? "; its partitions are empty" : "");
}

Result<std::string> force_recover_metadata(const RecoveryTarget& target, bool accept_data_loss) {
  if (!has_store(target.data_dir)) {
    return fail(ErrorCode::kBadArgument,
                target.data_dir + " has no metadata: it is no data directory of a voter");
  }
  auto directory = open_directory(target);
  if (!directory) return std::unexpected(directory.error());
  const auto held = read_held(target, *directory);
  if (!held) return std::unexpected(held.error());
  if (!*held) {
    return fail(ErrorCode::kBadArgument,
                target.data_dir + " holds no metadata yet: there is nothing to go on with");
  }
  const Image& image = *(*held)->image;
  const std::string node = "node " + std::to_string(target.node_id);
  const std::string loss =
      node + " has the metadata up to version " + std::to_string(image.position) + " (" +
      counts_of(image) + "); what other voters decided after that is lost, and of " +
      std::to_string(not_in_sync(image, target.node_id)) + " of " +
      std::to_string(image.partition_count) +
      " partitions it has no copy in sync. Where it has one, it serves alone, until other copies are in "
      "sync again. Every other node with metadata (" +
      others_of(image, target.node_id) +
      ") has to be gone for good, or stopped: started again while this one runs, it joins anew";
  if (!accept_data_loss)
    return fail(ErrorCode::kDataLoss, loss + ". Nothing was changed: --accept-data-loss does it");
  const auto recovered = recovered_image(
      image,
      {.group = next_group(directory->membership->group), .alone = {}, .survivor = target.node_id});
  const ControllerEpoch epoch = (*held)->content.epoch + kLostControllerEpochs;
  if (auto begun = begin_group(target, *directory, recovered, epoch); !begun)
    return std::unexpected(begun.error());
  return node + " is the only voter now. " + loss;
}

}  // namespace andyx::server
