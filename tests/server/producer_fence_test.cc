#include "server/partition/producer_fence.h"

#include <doctest/doctest.h>

#include "protocol/base/limits.h"

namespace andyx::server {
namespace {

ErrorCode verdict(const ProducerFences& fences, ProducerId id, std::uint32_t epoch) {
  const batch::Header header{.count = 1, .producer_id = id, .producer_epoch = epoch};
  const Status status = check_fence(fences, header);
  return status ? ErrorCode::kOk : status.error().code;
}

}  // namespace

TEST_CASE("only the epochs of the last open may write; anonymous producers always") {
  constexpr std::uint32_t kStep = limits::kProducerEpochsPerOpen;
  ProducerFences fences;
  CHECK(verdict(fences, 5, 0) == ErrorCode::kOk);
  fences.put(std::make_shared<const ProducerFence>(ProducerFence{5, 2 * kStep}));
  fences.put(std::make_shared<const ProducerFence>(ProducerFence{6, kFencedForGood}));
  CHECK(verdict(fences, 0, 0) == ErrorCode::kOk);
  CHECK(verdict(fences, 4, 0) == ErrorCode::kOk);
  CHECK(verdict(fences, 5, kStep) == ErrorCode::kProducerFenced);
  CHECK(verdict(fences, 5, 2 * kStep - 1) == ErrorCode::kProducerFenced);
  CHECK(verdict(fences, 5, 2 * kStep) == ErrorCode::kOk);
  CHECK(verdict(fences, 5, 3 * kStep - 1) == ErrorCode::kOk);
  CHECK(verdict(fences, 5, 3 * kStep) == ErrorCode::kBadArgument);
  CHECK(verdict(fences, 6, kFencedForGood) == ErrorCode::kProducerFenced);
}

}  // namespace andyx::server
