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
Outcome apply_command(Image& image, const wire::AlterTopic& command, TimeUs time_us);
Outcome apply_command(Image& image, const wire::CreateScope& command, TimeUs time_us);
Outcome apply_command(Image& image, const wire::DeleteScope& command, TimeUs time_us);
Outcome apply_command(Image& image, const wire::ActivateTenant& command, TimeUs time_us);
Outcome apply_command(Image& image, const wire::SetSettings& command, TimeUs time_us);
Outcome apply_command(Image& image, const wire::SetRetention& command, TimeUs time_us);
Outcome apply_command(Image& image, const wire::CreateProducer& command, TimeUs time_us);
Outcome apply_command(Image& image, const wire::OpenProducer& command, TimeUs time_us);
Outcome apply_command(Image& image, const wire::DeleteProducer& command, TimeUs time_us);
Outcome apply_command(Image& image, const wire::NodeLost& command, TimeUs time_us);
Outcome apply_command(Image& image, const wire::NodeFound& command, TimeUs time_us);
Outcome apply_command(Image& image, const wire::RemoveNode& command, TimeUs time_us);
Outcome apply_command(Image& image, const wire::DrainNode& command, TimeUs time_us);
Outcome apply_command(Image& image, const wire::PauseBalancing& command, TimeUs time_us);
Outcome apply_command(Image& image, const wire::ChangeInSync& command, TimeUs time_us);
Outcome apply_command(Image& image, const wire::ElectMain& command, TimeUs time_us);
Outcome apply_command(Image& image, const wire::ElectMains& command, TimeUs time_us);
Outcome apply_command(Image& image, const wire::ChangeReplicas& command, TimeUs time_us);

inline Outcome refused(ErrorCode code, std::string message) {
  return {.status = fail(code, std::move(message))};
}

// Puts the topic into both indexes, in place of its earlier state, and counts its copies.
void put_topic(Image& image, Topic topic);
// The same for any number of topics that are there already.
void put_topics(Image& image, std::vector<std::shared_ptr<const Topic>> topics);

// Whether the levels of a new topic are there or may be made (kCreationNotAllowed names what
// refuses, kTenantInactive); and makes them.
Status check_levels(const Image& image, const TopicName& topic, bool automatic);
void make_levels(Image& image, const TopicName& topic, TimeUs time_us);

}  // namespace andyx::server
