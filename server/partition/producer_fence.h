// Which epochs a named producer may still write with: those of the last open that the topic's
// records know. Pure; any thread.
#pragma once

#include "protocol/base/error.h"
#include "protocol/batch/batch_reader.h"
#include "server/metadata/image.h"

namespace andyx::server {

using ProducerFences = SharedIndex<ProducerFence, ByProducerId>;

// kProducerFenced for an epoch below the last open's, or a deleted producer; kBadArgument for one
// that no open has given out: it would fence the opens to come. Ids without a fence are anonymous.
Status check_fence(const ProducerFences& fences, const batch::Header& header);

}  // namespace andyx::server
