#include "clients/cpp/src/batch_stamp.h"

#include <utility>

#include "protocol/batch/byte_order.h"
#include "protocol/batch/checksum.h"

namespace andyx::client {
namespace {

// Of the header, see batch_format.h.
constexpr std::size_t kChecksumAt = 24;
constexpr std::size_t kProducerIdAt = 48;
constexpr std::size_t kSequenceAt = 56;
constexpr std::size_t kProducerEpochAt = 64;

}  // namespace

SharedBytes with_stamp(SharedBytes batch, const batch::ProducerStamp& stamp) {
  if (!batch.unique()) batch = SharedBytes::copy_of(batch.span());
  auto* bytes = batch.mutable_data();
  batch::store(bytes + kProducerIdAt, stamp.producer_id);
  batch::store(bytes + kSequenceAt, stamp.sequence);
  batch::store(bytes + kProducerEpochAt, stamp.producer_epoch);
  batch::store(bytes + kChecksumAt, batch::checksum64(batch.span().subspan(batch::kChecksumFrom)));
  return batch;
}

}  // namespace andyx::client
