// Topic create, delete, list, describe.
#include <mutex>

#include "frame_generated.h"
#include "server/handlers/handlers.h"
#include "server/handlers/list_page.h"
#include "server/handlers/routing.h"
#include "server/handlers/topic_info.h"

namespace andyx::server {
namespace {

struct PartitionState {
  Offset start = 0, committed = 0;
  std::uint64_t bytes = 0;
};

// Asks every partition on its loop, then answers.
void answer_description(CoreLoop& here, std::shared_ptr<const Topic> topic, Reply reply) {
  auto states = std::make_shared<std::vector<PartitionState>>(topic->partitions().size());
  auto offsets = std::make_shared<std::vector<std::vector<Offset>>>(topic->partitions().size());
  auto visit = [states, offsets](Partition& partition, std::uint32_t index) {
    (*offsets)[index] = partition.replica_offsets();
    (*states)[index] = {partition.core().start_offset(), partition.core().committed_offset(),
                        partition.stored_bytes()};
  };
  auto done = [topic, states, offsets, reply = std::move(reply)]() mutable {
    reply.body(protocol::Body::TopicReply, [&](flatbuffers::FlatBufferBuilder& builder) {
      auto info = make_topic_info(
          builder, *topic,
          [&](std::uint32_t index, protocol::PartitionInfoBuilder& partition) {
            partition.add_start_offset((*states)[index].start);
            partition.add_committed_offset((*states)[index].committed);
            partition.add_bytes((*states)[index].bytes);
          },
          *offsets);
      return protocol::CreateTopicReply(builder, builder.CreateVector({info}));
    });
  };
  for_each_partition(here, topic, visit, std::move(done));
}

// Waits until the topic's subscriptions have their start on every partition. One that failed (a
// full disk) begins there when it is asked for again: the description is true anyhow.
void answer_when_started(CoreLoop& here, std::shared_ptr<const Topic> topic, Reply reply) {
  auto all_ready =
      std::make_shared<OnLastRelease>(here, [&here, topic, reply = std::move(reply)]() mutable {
        answer_description(here, std::move(topic), std::move(reply));
      });
  auto visit = [all_ready](Partition& partition, std::uint32_t) {
    for (const auto& [id, subscription] : partition.subscriptions()) {
      subscription->when_ready([all_ready](const Status&) {});
    }
  };
  for_each_partition(here, topic, visit, [all_ready] {});
}

}  // namespace

void handle(ClientConnection& client, const protocol::TopicCreate& body, Reply reply) {
  CoreLoop& here = client.loop();
  auto name = TopicName::parse(body.topic()->string_view());
  if (!name) return reply.error(name.error());
  here.node().controller->create_topic(
      *name, body.partitions(),
      [&here, reply = std::move(reply)](Result<std::shared_ptr<const Topic>> topic) mutable {
        if (!topic) return reply.error(topic.error());
        after_all_loops(here.node(), here,
                        [&here, topic = *topic, reply = std::move(reply)]() mutable {
                          answer_description(here, std::move(topic), std::move(reply));
                        });
      });
}

void handle(ClientConnection& client, const protocol::TopicAlter& body, Reply reply) {
  CoreLoop& here = client.loop();
  auto name = TopicName::parse(body.topic()->string_view());
  if (!name) return reply.error(name.error());
  here.node().controller->alter_topic(
      *name, body.partitions(),
      [&here, reply = std::move(reply)](Result<std::shared_ptr<const Topic>> topic) mutable {
        if (!topic) return reply.error(topic.error());
        after_all_loops(here.node(), here,
                        [&here, topic = *topic, reply = std::move(reply)]() mutable {
                          answer_when_started(here, std::move(topic), std::move(reply));
                        });
      });
}

void handle(ClientConnection& client, const protocol::TopicDelete& body, Reply reply) {
  CoreLoop& here = client.loop();
  auto name = TopicName::parse(body.topic()->string_view());
  if (!name) return reply.error(name.error());
  here.node().controller->delete_topic(
      *name, [&here, reply = std::move(reply)](Status deleted) mutable {
        if (!deleted) return reply.error(deleted.error());
        after_all_loops(here.node(), here, [reply = std::move(reply)]() mutable { reply.done(); });
      });
}

void handle(ClientConnection& client, const protocol::TopicList& body, Reply reply) {
  std::string_view prefix =
      body.prefix() == nullptr ? std::string_view{} : body.prefix()->string_view();
  const Image& image = client.loop().image();
  auto first = image.topics.begin();
  if (body.after() != nullptr && body.after()->size() > 0) {
    const auto after = TopicName::parse(body.after()->string_view());
    if (!after) return reply.error(after.error());
    first = first_behind(image.topics, *after);
  }
  reply.body(protocol::Body::TopicReply, [&](flatbuffers::FlatBufferBuilder& builder) {
    ListPage page(builder);
    std::vector<flatbuffers::Offset<protocol::TopicInfo>> topics;
    for (auto it = first; it != image.topics.end(); ++it) {
      if (!it->name.path().starts_with(prefix)) continue;
      if (!page.takes(1 + it->partitions().size())) break;
      topics.push_back(
          make_topic_info(builder, *it, [](std::uint32_t, protocol::PartitionInfoBuilder&) {}));
    }
    return protocol::CreateTopicReply(builder, builder.CreateVector(topics), page.more());
  });
}

void handle(ClientConnection& client, const protocol::TopicDescribe& body, Reply reply) {
  auto topic = find_topic(client.loop(), body.topic()->string_view(), reply);
  if (topic) answer_description(client.loop(), std::move(topic), std::move(reply));
}

}  // namespace andyx::server
