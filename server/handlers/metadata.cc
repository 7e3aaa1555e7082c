// Where the mains of topics are; for producers it creates what is missing.
#include "frame_generated.h"
#include "server/handlers/handlers.h"
#include "server/handlers/list_page.h"
#include "server/handlers/over_mains.h"
#include "server/handlers/topic_info.h"

namespace andyx::server {
namespace {

constexpr std::size_t kMaxTopicsPerRequest = 10'000;

struct Wanted {
  std::string requested;
  Result<std::shared_ptr<const Topic>> topic;
};

// As many of them as fit into one answer.
void answer_metadata(CoreLoop& here, const std::vector<Wanted>& wanted, Reply reply) {
  const Image& image = here.image();
  reply.body(protocol::Body::MetadataReply, [&](flatbuffers::FlatBufferBuilder& builder) {
    ListPage page(builder);
    std::vector<flatbuffers::Offset<protocol::TopicMetadata>> topics;
    for (const Wanted& one : wanted) {
      if (!page.takes(one.topic ? 2 + (*one.topic)->partitions().size() : 2)) break;
      auto requested = builder.CreateString(one.requested);
      flatbuffers::Offset<protocol::TopicInfo> info;
      flatbuffers::Offset<protocol::ErrorReply> error;
      if (one.topic)
        info = make_topic_info(builder, **one.topic,
                               [](std::uint32_t, protocol::PartitionInfoBuilder&) {});
      else
        error = make_error(builder, one.topic.error());
      topics.push_back(protocol::CreateTopicMetadata(builder, info, requested, error));
    }
    std::vector<flatbuffers::Offset<protocol::NodeInfo>> nodes;
    // Those first that can serve a client now.
    const auto serves = [](const NodeRecord& node) {
      return node.alive && (node.roles & kBrokerRole) != 0;
    };
    for (const bool first : {true, false}) {
      for (const NodeRecord& node : image.nodes) {
        if (serves(node) != first) continue;
        nodes.push_back(
            protocol::CreateNodeInfo(builder, node.id, builder.CreateString(node.host), node.port));
      }
    }
    auto cluster = builder.CreateString(image.cluster_id.text());
    auto node_vector = builder.CreateVector(nodes);
    auto topic_vector = builder.CreateVector(topics);
    return protocol::CreateMetadataReply(builder, image.position, cluster, node_vector,
                                         topic_vector);
  });
}

Result<std::shared_ptr<const Topic>> look_up(const Image& image, const std::string& text) {
  auto name = TopicName::parse(text);
  if (!name) return std::unexpected(name.error());
  if (auto topic = image.find_topic(*name)) return topic;
  return fail(ErrorCode::kUnknownTopic, "there is no topic " + name->url());
}

// Creates the missing topics one after the other, then answers.
void create_missing(CoreLoop& here, std::shared_ptr<std::vector<Wanted>> wanted, std::size_t next,
                    Reply reply) {
  while (next < wanted->size() && ((*wanted)[next].topic || (*wanted)[next].topic.error().code !=
                                                                ErrorCode::kUnknownTopic)) {
    ++next;
  }
  if (next == wanted->size()) return answer_metadata(here, *wanted, std::move(reply));
  auto name = *TopicName::parse((*wanted)[next].requested);
  auto created = [&here, wanted, next,
                  reply = std::move(reply)](Result<std::shared_ptr<const Topic>> topic) mutable {
    const TopicId id = topic ? (*topic)->id : 0;
    auto known = [&here, wanted, next, topic = std::move(topic),
                  reply = std::move(reply)]() mutable {
      (*wanted)[next].topic = std::move(topic);
      create_missing(here, wanted, next + 1, std::move(reply));
    };
    when_mains_know(here, id, std::move(known));
  };
  here.node().controller->auto_create_topic(name, here.node().config.default_partitions,
                                            std::move(created));
}

}  // namespace

void handle(ClientConnection& client, const protocol::MetadataRequest& body, Reply reply) {
  CoreLoop& here = client.loop();
  auto wanted = std::make_shared<std::vector<Wanted>>();
  if (body.topics() != nullptr) {
    if (body.topics()->size() > kMaxTopicsPerRequest) {
      return reply.error(
          {ErrorCode::kLimitReached,
           "more than " + std::to_string(kMaxTopicsPerRequest) + " topics in one request"});
    }
    for (const auto* name : *body.topics())
      wanted->push_back({name->str(), look_up(here.image(), name->str())});
  }
  if (body.for_produce() && here.node().config.auto_create_topics) {
    return create_missing(here, std::move(wanted), 0, std::move(reply));
  }
  if (body.for_produce()) {
    for (Wanted& one : *wanted) {
      if (!one.topic && one.topic.error().code == ErrorCode::kUnknownTopic) {
        one.topic = fail(ErrorCode::kCreationNotAllowed,
                         one.topic.error().message + ", and producing does not create it here");
      }
    }
  }
  answer_metadata(here, *wanted, std::move(reply));
}

}  // namespace andyx::server
