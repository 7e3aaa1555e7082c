#include "server/partition/producer_fence.h"

#include <string>

#include "protocol/base/limits.h"

namespace andyx::server {

Status check_fence(const ProducerFences& fences, const batch::Header& header) {
  if (header.producer_id == 0 || fences.empty()) return {};
  const auto fence = fences.find(header.producer_id);
  if (!fence) return {};
  const std::string who = "producer " + std::to_string(header.producer_id);
  if (fence->epoch == kFencedForGood) return fail(ErrorCode::kProducerFenced, who + " was deleted");
  if (header.producer_epoch < fence->epoch) {
    return fail(ErrorCode::kProducerFenced,
                who + " epoch " + std::to_string(header.producer_epoch) +
                    ": it was opened again since, with epoch " + std::to_string(fence->epoch));
  }
  if (header.producer_epoch - fence->epoch >= limits::kProducerEpochsPerOpen) {
    return fail(ErrorCode::kBadArgument, who + " epoch " + std::to_string(header.producer_epoch) +
                                             " was never given out; the last open gave " +
                                             std::to_string(fence->epoch));
  }
  return {};
}

}  // namespace andyx::server
