// The invariants of the partitions' records, held against each entry of the metadata log.
#pragma once

#include <cstdint>

#include "server/metadata/image.h"
#include "server/metadata/proposal.h"

namespace andyx::server::sim {

class ImageChecker {
 public:
  void check(const Image& before, const Image& after, const Wish& wish);
  std::uint64_t moves() const { return moves_; }  // that came to their end

 private:
  void check_record(const Image& image, const PartitionRecord& record) const;
  void check_step(const PartitionRecord& was, const PartitionRecord& is, bool forced);

  std::uint64_t moves_ = 0;
};

}  // namespace andyx::server::sim
