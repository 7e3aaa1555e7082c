// The image with which a new Raft group of the metadata begins: from a backup, or from what the one
// voter that is left still has. What was decided after that image is lost, and may be known
// elsewhere: to clients, to other nodes, in the logs of partitions. So nothing that was given out
// there is given out again: positions, ids and epochs go on far above. Pure.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "server/metadata/image.h"

namespace andyx::server {

// How much may have been decided since, and is lost.
inline constexpr Position kLostPositions = Position{1} << 20;
inline constexpr std::uint32_t kLostIds = 1u << 20;  // of topics, partitions, subscriptions
inline constexpr ProducerId kLostProducerIds = ProducerId{1} << 30;
inline constexpr std::uint32_t kLostEpochs = 1u << 16;  // of each partition, of each producer

struct RecoveredGroup {
  std::uint64_t group = 0;  // Image::group
  // A new cluster of this node alone: no other node, and each partition begins empty here, because
  // its data is nowhere. Else cluster and nodes are as they were.
  struct Alone {
    Uuid cluster_id;
    NodeId node = 0;
    Uuid disk_id;
  };
  std::optional<Alone> alone;
  // The voter that goes on while every other node with metadata is gone; 0: nobody is. Where it is
  // in sync, and too few copies would be left, min-in-sync is what is left, until the set has grown
  // again: else nothing of the partition could be read before.
  NodeId survivor = 0;
};

std::shared_ptr<const Image> recovered_image(const Image& from, const RecoveredGroup& as);

// Whether `now` is what recovered_image() made of `from`, and nothing was decided since.
bool is_recovered_from(const Image& now, const Image& from);

}  // namespace andyx::server
