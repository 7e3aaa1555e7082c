// Topic create, delete, list, describe.
#include "frame_generated.h"
#include "server/handlers/handlers.h"
#include "server/handlers/list_page.h"
#include "server/handlers/subscription_start.h"
#include "server/handlers/topic_info.h"

namespace andyx::server {
namespace {

struct PartitionState {
  Offset start = 0, committed = 0;
  std::uint64_t bytes = 0;
  std::string note = "it is not open at its main";  // until something else is known
  std::vector<Offset> replica_offsets;
};
using PartitionStates = std::vector<PartitionState>;

void send_description(const Topic& topic, const PartitionStates& states,
                      const std::vector<std::uint32_t>* only, Reply reply) {
  reply.body(protocol::Body::TopicReply, [&](flatbuffers::FlatBufferBuilder& builder) {
    std::vector<flatbuffers::Offset<flatbuffers::String>> notes;
    for (const PartitionState& state : states)
      notes.push_back(state.note.empty() ? 0 : builder.CreateSharedString(state.note));
    std::vector<std::vector<Offset>> offsets;
    for (const PartitionState& state : states) offsets.push_back(state.replica_offsets);
    auto info = make_topic_info(
        builder, topic,
        [&](std::uint32_t index, protocol::PartitionInfoBuilder& partition) {
          partition.add_start_offset(states[index].start);
          partition.add_committed_offset(states[index].committed);
          partition.add_bytes(states[index].bytes);
          if (!notes[index].IsNull()) partition.add_note(notes[index]);
        },
        only, offsets);
    return protocol::CreateTopicReply(builder, builder.CreateVector({info}));
  });
}

PartitionState state_of(const Partition& partition) {
  return {partition.core().start_offset(),
          partition.core().committed_offset(),
          partition.stored_bytes(),
          {},
          partition.replica_offsets()};
}

// What another node says of its partitions.
void take_states(const MainShare& share, const Result<NodeFrame>& answer, PartitionStates& states) {
  if (!answer) {
    for (const std::uint32_t index : share.partitions)
      states[index].note = main_is_silent(share.node, answer.error());
    return;
  }
  const auto* reply = answer->frame->body_as_TopicReply();
  if (reply == nullptr || reply->topics() == nullptr || reply->topics()->size() != 1) return;
  const auto* partitions = reply->topics()->Get(0)->partitions();
  if (partitions == nullptr) return;
  for (const auto* one : *partitions) {
    if (one->partition() >= states.size()) continue;
    states[one->partition()] = {one->start_offset(),
                                one->committed_offset(),
                                one->bytes(),
                                one->note() ? one->note()->str() : std::string(),
                                {}};
    if (const auto* offsets = one->replica_offsets())
      states[one->partition()].replica_offsets.assign(offsets->begin(), offsets->end());
  }
}

// Asks every partition at its main, then answers.
void answer_description(CoreLoop& here, std::shared_ptr<const Topic> topic, Reply reply) {
  auto states = std::make_shared<PartitionStates>(topic->partitions().size());
  MainsGathering gathering;
  gathering.visit = [states](Partition& partition, std::uint32_t index, const auto&) {
    (*states)[index] = state_of(partition);
  };
  gathering.remote = [name = topic->name.path()](flatbuffers::FlatBufferBuilder& builder,
                                                 const MainShare& share, Position version) {
    return node_body(
        protocol::Body::TopicDescribe,
        protocol::CreateTopicDescribeDirect(builder, name.c_str(), &share.partitions, version));
  };
  gathering.answered = [states](const MainShare& share, const Result<NodeFrame>& answer) {
    take_states(share, answer, *states);
  };
  gather(here, topic, std::move(gathering), [topic, states, reply = std::move(reply)]() mutable {
    send_description(*topic, *states, nullptr, std::move(reply));
  });
}

// For another node: of these partitions, as far as this one is their main.
void describe_local(CoreLoop& here, const protocol::TopicDescribe& body, Reply reply) {
  std::vector<std::uint32_t> only(body.local_partitions()->begin(), body.local_partitions()->end());
  after_image(here, body.version(),
              [&here, name = body.topic()->str(), only = std::move(only),
               reply = std::move(reply)](Status known) mutable {
                if (!known) return reply.error(known.error());
                auto topic = find_topic(here, name, reply);
                if (!topic) return;
                auto states = std::make_shared<PartitionStates>(topic->partitions().size());
                const auto visit = [states](Partition& partition, std::uint32_t index) {
                  (*states)[index] = state_of(partition);
                };
                for_each_partition(
                    here, topic, visit,
                    [topic, states, only = std::move(only), reply = std::move(reply)]() mutable {
                      send_description(*topic, *states, &only, std::move(reply));
                    });
              });
}

// Waits until the topic's subscriptions have their start on every partition. One that failed (a
// full disk, a main that is away) begins there when it is asked for again: the description is true
// anyhow.
void answer_when_started(CoreLoop& here, std::shared_ptr<const Topic> topic, Reply reply) {
  const auto partitions = static_cast<std::uint32_t>(topic->partitions().size());
  const TopicId id = topic->id;
  when_ready_on_mains(
      here, id, 0, 0, partitions,
      [&here, topic = std::move(topic), reply = std::move(reply)](const Status&) mutable {
        answer_description(here, std::move(topic), std::move(reply));
      });
}

}  // namespace

void handle(ClientConnection& client, const protocol::TopicCreate& body, Reply reply) {
  CoreLoop& here = client.loop();
  auto name = TopicName::parse(body.topic()->string_view());
  if (!name) return reply.error(name.error());
  here.node().controller->create_topic(
      TopicProposal{.name = std::move(*name),
                    .partitions = body.partitions(),
                    .replication_factor = body.replication_factor(),
                    .async = body.async()},
      [&here, reply = std::move(reply)](Result<std::shared_ptr<const Topic>> topic) mutable {
        if (!topic) return reply.error(topic.error());
        const TopicId id = (*topic)->id;
        when_mains_know(here, id, [&here, topic = *topic, reply = std::move(reply)]() mutable {
          answer_description(here, std::move(topic), std::move(reply));
        });
      });
}

void handle(ClientConnection& client, const protocol::TopicAlter& body, Reply reply) {
  CoreLoop& here = client.loop();
  auto name = TopicName::parse(body.topic()->string_view());
  if (!name) return reply.error(name.error());
  here.node().controller->alter_topic(
      TopicAlteration{.name = std::move(*name),
                      .partitions = body.partitions(),
                      .replication_factor = body.replication_factor()},
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
  if (body.local_partitions() != nullptr) {
    if (require_node(client, reply)) describe_local(client.loop(), body, std::move(reply));
    return;
  }
  auto topic = find_topic(client.loop(), body.topic()->string_view(), reply);
  if (topic) answer_description(client.loop(), std::move(topic), std::move(reply));
}

}  // namespace andyx::server
