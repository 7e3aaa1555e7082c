// Another producer's stamp for a finished batch. Pure.
#pragma once

#include "protocol/base/shared_bytes.h"
#include "protocol/batch/batch_builder.h"

namespace andyx::client {

// The same batch under another producer id, epoch and sequence, with its checksum; copied where
// somebody else holds the bytes.
SharedBytes with_stamp(SharedBytes batch, const batch::ProducerStamp& stamp);

}  // namespace andyx::client
