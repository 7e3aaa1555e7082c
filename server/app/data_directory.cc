#include "server/app/data_directory.h"

#include <cstring>
#include <future>
#include <unordered_set>

#include "server/app/log.h"
#include "server/log_ids.h"

namespace andyx::server {
namespace {

constexpr const char* kDiskIdKey = "disk-id";

class WriteOnce final : public storage::WriteObserver {
 public:
  void on_written(std::vector<storage::WriteResult> results) override {
    outcome_.set_value(results.front().error);
  }
  ErrorCode wait() { return outcome_.get_future().get(); }

 private:
  std::promise<ErrorCode> outcome_;
};

}  // namespace

Result<Uuid> disk_id_of(storage::StorageShard& shard) {
  auto stored = shard.get(storage::Table::kMeta, kDiskIdKey);
  if (!stored) return std::unexpected(stored.error());
  Uuid id;
  if (*stored) {
    if ((*stored)->size() != sizeof id)
      return fail(ErrorCode::kCorrupt, "the disk id of the data directory is damaged");
    std::memcpy(&id, (*stored)->data(), sizeof id);
    return id;
  }
  id = Uuid::random();
  std::string bytes(sizeof id, '\0');
  std::memcpy(bytes.data(), &id, sizeof id);
  WriteOnce write;
  storage::WriteGroup group;
  group.puts.push_back({storage::Table::kMeta, kDiskIdKey, std::move(bytes)});
  if (auto submitted = shard.submit(std::move(group), write); !submitted)
    return std::unexpected(submitted.error());
  if (auto error = write.wait(); error != ErrorCode::kOk)
    return fail(error, "the disk id could not be written");
  return id;
}

void drop_orphan_logs(storage::StorageShard& shard, const Image& image) {
  std::unordered_set<storage::LogId> known{kMetadataLog};
  for (const Topic& topic : image.topics) {
    for (const PartitionRecord& record : topic.partitions()) {
      known.insert(data_log(record.partition_id));
      known.insert(internal_log(record.partition_id));
    }
  }
  for (storage::LogId log : shard.logs()) {
    if (known.contains(log)) continue;
    auto dropped = shard.drop_log(log);
    log::info("log of a deleted topic dropped",
              {{"log", log}, {"outcome", dropped ? "ok" : dropped.error().message}});
  }
}

}  // namespace andyx::server
