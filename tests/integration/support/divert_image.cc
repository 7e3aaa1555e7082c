#include "tests/integration/support/divert_image.h"

#include <future>
#include <memory>
#include <utility>
#include <variant>

#include "protocol/base/limits.h"
#include "raft/core/membership.h"
#include "raft/store/raft_store.h"
#include "server/app/data_directory.h"
#include "server/app/metadata_start.h"
#include "server/metadata/apply.h"
#include "server/metadata/raft_metadata_log_content.h"
#include "server/metadata/snapshot.h"
#include "storage/rocksdb_shard.h"

namespace andyx::test {
namespace {

using server::Image;
using server::MetadataLogContent;

Result<std::unique_ptr<raft::RaftStore>> open_store(const std::string& data_dir, NodeId node) {
  auto shard = storage::open_rocksdb_shard({.directory = data_dir});
  if (!shard) return std::unexpected(shard.error());
  const auto disk_id = server::disk_id_of(**shard);
  if (!disk_id) return std::unexpected(disk_id.error());
  const auto membership = server::read_membership(**shard);
  if (!membership) return std::unexpected(membership.error());
  if (!*membership) return fail(ErrorCode::kBadArgument, data_dir + " is of no cluster");
  if (auto closed = (*shard)->close(); !closed) return std::unexpected(closed.error());
  return raft::RaftStore::open({.path = server::store_path(data_dir),
                                .identity = server::store_identity(**membership, node, *disk_id)});
}

// What the node had applied when all that is committed was.
struct Applied {
  MetadataLogContent content;
  raft::SnapshotMeta meta;
};

Status apply(Applied& applied, const raft::Entry& entry) {
  applied.meta.index = entry.index;
  applied.meta.term = entry.term;
  if (entry.type != raft::EntryType::kNormal) {
    raft::ConfChange change;
    const bool read = raft::decode(entry.type, entry.data.span(), change);
    const auto before = raft::restore_membership(applied.meta.conf, entry.index, 1, 1);
    if (!read || !before) return fail(ErrorCode::kCorrupt, "a change of the voters is damaged");
    const auto after = raft::Changer(*before, entry.index, 1, 1).apply(change);
    if (!after) return fail(ErrorCode::kCorrupt, after.error());
    applied.meta.conf = after->config.state();
    return {};
  }
  if (entry.data.size() == 0) return {};
  const auto proposal = server::decode_log_proposal(entry.data.span());
  if (!proposal) return std::unexpected(proposal.error());
  std::visit([&](const auto& one) { applied.content.apply(one); }, *proposal);
  return {};
}

Result<Applied> replay(const raft::RaftStore& store) {
  const auto snapshot = store.snapshot();
  if (!snapshot) return fail(ErrorCode::kCorrupt, "there is no snapshot to begin with");
  auto content = server::decode_log_content((*snapshot)->data.span());
  if (!content) return std::unexpected(content.error());
  Applied applied{std::move(*content), (*snapshot)->meta};
  const raft::Index committed = store.initial_state().hard.commit;
  while (applied.meta.index < committed) {
    const auto entries =
        store.entries(applied.meta.index + 1, committed + 1, limits::kMaxRaftEntryBytes);
    if (!entries || entries->empty()) return fail(ErrorCode::kCorrupt, "entries are missing");
    for (const raft::Entry& entry : *entries) {
      if (auto done = apply(applied, entry); !done) return std::unexpected(done.error());
    }
  }
  return applied;
}

Result<std::shared_ptr<const Image>> image_of(const MetadataLogContent& content) {
  auto image = std::make_shared<const Image>();
  if (content.snapshot) {
    auto decoded = server::decode_snapshot(content.snapshot->bytes);
    if (!decoded) return std::unexpected(decoded.error());
    image = std::move(*decoded);
  }
  while (image->position < content.tail()) {
    const auto entries = content.read(image->position, limits::kMaxMetadataAppendBytes);
    if (!entries) return std::unexpected(entries.error());
    for (const auto& entry : *entries) {
      auto applied = server::apply_entry(*image, entry.bytes);
      if (!applied) return std::unexpected(applied.error());
      image = std::move(applied->image);
    }
  }
  return image;
}

}  // namespace

Status divert_image(const std::string& data_dir, NodeId node) {
  auto store = open_store(data_dir, node);
  if (!store) return std::unexpected(store.error());
  auto applied = replay(**store);
  if (!applied) return std::unexpected(applied.error());
  const auto image = image_of(applied->content);
  if (!image) return std::unexpected(image.error());
  Image other = **image;
  other.next_producer_id += 1'000;  // nothing breaks at once
  auto& content = applied->content;
  if (auto put = content.put_snapshot({other.position, server::encode_snapshot(other)}); !put)
    return put;
  if (auto trimmed = content.trim(other.position); !trimmed) return trimmed;
  auto snapshot = std::make_shared<raft::Snapshot>();
  snapshot->meta = applied->meta;
  snapshot->data = server::encode_log_content(content);
  std::promise<void> saved;
  (*store)->save_snapshot(std::move(snapshot), [&saved] { saved.set_value(); });
  saved.get_future().wait();
  return {};
}

}  // namespace andyx::test
