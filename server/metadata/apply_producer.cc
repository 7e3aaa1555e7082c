#include <limits>

#include "data_generated.h"
#include "protocol/base/limits.h"
#include "server/metadata/apply_commands.h"
#include "server/metadata/command.h"

namespace andyx::server {
namespace {

constexpr std::uint32_t kLastEpoch =
    std::numeric_limits<std::uint32_t>::max() - 2 * limits::kProducerEpochsPerOpen;

Outcome unknown_topic(TopicId id) {
  return refused(ErrorCode::kUnknownTopic, "there is no topic with id " + std::to_string(id));
}

std::string describe(const Topic& topic, std::string_view name) {
  return "producer " + std::string(name) + " on topic " + topic.name.path();
}

void put_fence(Topic& topic, ProducerId id, std::uint32_t epoch) {
  topic.fences.put(std::make_shared<const ProducerFence>(ProducerFence{id, epoch}));
}

// Fences of what is deleted stay: an old connection may still write. The oldest go over the bound.
void trim_fences(Topic& topic) {
  constexpr std::size_t kMost = 2 * std::size_t{limits::kMaxNamedProducersPerTopic};
  while (topic.fences.size() > kMost) {
    auto oldest = topic.fences.begin();
    while (oldest->epoch != kFencedForGood) ++oldest;  // as many live ones as the bound at most
    topic.fences.erase(ProducerId{oldest->producer_id});
  }
}

Status check_new(const Topic& topic, std::string_view name, std::uint8_t instance) {
  if (auto status = check_name(name, "the producer name"); !status) return status;
  if (instance > static_cast<std::uint8_t>(protocol::ProducerInstance::MAX)) {
    return fail(ErrorCode::kBadArgument,
                "producer instance " + std::to_string(instance) + " is not known");
  }
  if (topic.producers.size() >= limits::kMaxNamedProducersPerTopic) {
    return fail(ErrorCode::kLimitReached, "topic " + topic.name.path() + " has " +
                                              std::to_string(topic.producers.size()) +
                                              " named producers, the most that it may have");
  }
  return {};
}

Status check_instance(const Topic& topic, const ProducerRecord& record, std::uint8_t instance) {
  if (static_cast<std::uint8_t>(record.instance) == instance) return {};
  return fail(
      ErrorCode::kProducerConflict,
      describe(topic, record.name) + " is " + protocol::EnumNameProducerInstance(record.instance));
}

ProducerRecord create(Image& image, Topic& topic, std::string_view name, std::uint8_t instance,
                      TimeUs time_us) {
  ProducerRecord record;
  record.name = std::string(name);
  record.instance = static_cast<protocol::ProducerInstance>(instance);
  record.created_us = time_us;
  if (record.instance == protocol::ProducerInstance::single) {
    record.producer_id = image.next_producer_id++;
    put_fence(topic, record.producer_id, 0);
  }
  return record;
}

void put(Image& image, Topic topic, ProducerRecord record) {
  topic.producers.put(std::make_shared<const ProducerRecord>(std::move(record)));
  put_topic(image, std::move(topic));
}

}  // namespace

Outcome apply_command(Image& image, const wire::CreateProducer& command, TimeUs time_us) {
  const auto topic = image.find_topic(command.topic_id());
  if (!topic) return unknown_topic(command.topic_id());
  const auto name = command.name()->string_view();
  if (const auto there = topic->producers.find(name)) {
    return {.status = check_instance(*topic, *there, command.instance())};
  }
  if (auto status = check_new(*topic, name, command.instance()); !status) {
    return {.status = status};
  }
  Topic changed = *topic;
  auto record = create(image, changed, name, command.instance(), time_us);
  put(image, std::move(changed), std::move(record));
  return {};
}

Outcome apply_command(Image& image, const wire::OpenProducer& command, TimeUs time_us) {
  const auto topic = image.find_topic(command.topic_id());
  if (!topic) return unknown_topic(command.topic_id());
  const auto name = command.name()->string_view();
  const auto there = topic->producers.find(name);
  if (auto status = there ? check_instance(*topic, *there, command.instance())
                          : check_new(*topic, name, command.instance());
      !status) {
    return {.status = status};
  }
  const bool single = static_cast<protocol::ProducerInstance>(command.instance()) ==
                      protocol::ProducerInstance::single;
  if (single && there && there->epoch > kLastEpoch) {
    return refused(ErrorCode::kLimitReached,
                   describe(*topic, name) + " has no epochs left: delete it");
  }
  if (single && there && there->epoch > 0 && there->session == command.session()) {
    return {.status = {}, .result = there->producer_id};
  }
  // It was long under way: a later open has been answered since, and is not fenced by this one. Who
  // still waits for it asks again.
  const std::uint32_t epoch = there ? there->epoch : 0;
  if (single && command.known_epoch() != kAnyProducerEpoch && command.known_epoch() != epoch) {
    return refused(ErrorCode::kProducerBusy,
                   describe(*topic, name) +
                       " was opened by another session meanwhile: it has epoch " +
                       std::to_string(epoch) + ", not " + std::to_string(command.known_epoch()));
  }
  Topic changed = *topic;
  ProducerRecord record =
      there ? *there : create(image, changed, name, command.instance(), time_us);
  if (!single) {
    if (!there) put(image, std::move(changed), std::move(record));
    return {.status = {}, .result = image.next_producer_id++};
  }
  record.epoch += limits::kProducerEpochsPerOpen;
  record.session = command.session();
  const ProducerId id = record.producer_id;
  put_fence(changed, id, record.epoch);
  put(image, std::move(changed), std::move(record));
  return {.status = {}, .result = id};
}

Outcome apply_command(Image& image, const wire::DeleteProducer& command, TimeUs) {
  const auto topic = image.find_topic(command.topic_id());
  if (!topic) return unknown_topic(command.topic_id());
  const auto name = command.name()->string_view();
  const auto there = topic->producers.find(name);
  if (!there) {
    return refused(ErrorCode::kUnknownProducer,
                   "topic " + topic->name.path() + " has no producer " + std::string(name));
  }
  Topic changed = *topic;
  changed.producers.erase(name);
  if (there->producer_id != 0) put_fence(changed, there->producer_id, kFencedForGood);
  if (command.open_ids() != nullptr) {
    for (const ProducerId id : *command.open_ids()) put_fence(changed, id, kFencedForGood);
  }
  trim_fences(changed);
  put_topic(image, std::move(changed));
  return {};
}

}  // namespace andyx::server
