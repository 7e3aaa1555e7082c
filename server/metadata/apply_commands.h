// One function for each command: validates against `image` first, then changes it; after a refusal
// the image is as it was. Pure. For apply.cc only.
#pragma once

#include "server/metadata/apply.h"
#include "server/metadata/wire.h"

namespace andyx::server {

Outcome apply_command(Image& image, const wire::Bootstrap& command, TimeUs time_us);
Outcome apply_command(Image& image, const wire::RegisterNode& command, TimeUs time_us);
Outcome apply_command(Image& image, const wire::CreateTopic& command, TimeUs time_us);
Outcome apply_command(Image& image, const wire::DeleteTopic& command, TimeUs time_us);
Outcome apply_command(Image& image, const wire::CreateSubscription& command, TimeUs time_us);
Outcome apply_command(Image& image, const wire::DeleteSubscription& command, TimeUs time_us);
Outcome apply_command(Image& image, const wire::ReserveProducerIds& command, TimeUs time_us);
Outcome apply_command(Image& image, const wire::CreateProducer& command, TimeUs time_us);
Outcome apply_command(Image& image, const wire::OpenProducer& command, TimeUs time_us);
Outcome apply_command(Image& image, const wire::DeleteProducer& command, TimeUs time_us);

inline Outcome refused(ErrorCode code, std::string message) {
  return {.status = fail(code, std::move(message))};
}

// Puts the topic into both indexes, in place of its earlier state.
void put_topic(Image& image, Topic topic);

}  // namespace andyx::server
