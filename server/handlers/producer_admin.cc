// Named producers: create, delete, list.
#include "data_generated.h"
#include "frame_generated.h"
#include "server/handlers/handlers.h"
#include "server/handlers/list_page.h"
#include "server/handlers/over_mains.h"
#include "server/handlers/producer_open.h"

namespace andyx::server {
namespace {

void send_producers(const std::vector<std::shared_ptr<const ProducerRecord>>& records,
                    const std::vector<std::uint32_t>& connected, const std::string& note,
                    Reply reply) {
  reply.body(protocol::Body::ProducerReply, [&](flatbuffers::FlatBufferBuilder& builder) {
    ListPage page(builder);
    std::vector<flatbuffers::Offset<protocol::ProducerInfo>> infos;
    for (std::size_t i = 0; i < records.size() && page.takes(1); ++i) {
      const ProducerRecord& record = *records[i];
      auto name = builder.CreateString(record.name);
      infos.push_back(protocol::CreateProducerInfo(builder, name, record.instance,
                                                   record.producer_id, record.epoch,
                                                   record.created_us, connected[i]));
    }
    auto why = note.empty() ? 0 : builder.CreateString(note);
    return protocol::CreateProducerReply(builder, builder.CreateVector(infos), page.more(), why);
  });
}

// Answers with these records, and how many have each open. At the producers' home.
void describe(CoreLoop& here, const Topic& topic,
              std::vector<std::shared_ptr<const ProducerRecord>> records, Reply reply) {
  CoreLoop& home = producer_home(here.node(), topic);
  home.net_loop().post(
      [&home, id = topic.id, records = std::move(records), reply = std::move(reply)]() mutable {
        std::vector<std::uint32_t> connected;
        for (const auto& record : records)
          connected.push_back(home.producer_places().connected({id, record->name}));
        send_producers(records, connected, {}, std::move(reply));
      });
}

// The topic of a request that is answered at its producers' home: null when it was answered, or
// passed on there. What a node has passed on goes no further.
std::shared_ptr<const Topic> at_home(ClientConnection& client, const std::string& name,
                                     Reply& reply, const NodeLinks::Fill& fill) {
  CoreLoop& here = client.loop();
  auto topic = find_topic(here, name, reply);
  if (!topic) return nullptr;
  const auto home = check_producer_home(here.node(), *topic);
  if (home) return topic;
  if (home.error().node == 0 || client.node_id() != 0)
    reply.error(home.error());
  else
    pass_on(here, home.error().node, fill, std::move(reply));
  return nullptr;
}

std::vector<std::shared_ptr<const ProducerRecord>> records_behind(const Topic& topic,
                                                                  std::string_view after) {
  std::vector<std::shared_ptr<const ProducerRecord>> records;
  // One more than a page has, so that it says that there is more.
  for (auto it = first_behind(topic.producers, after);
       it != topic.producers.end() && records.size() <= limits::kMaxTablesOfList; ++it)
    records.push_back(it.item());
  return records;
}

}  // namespace

void handle(ClientConnection& client, const protocol::ProducerCreate& body, Reply reply) {
  CoreLoop& here = client.loop();
  const std::string name = body.name()->str();
  const auto fill = [path = body.topic()->str(), name,
                     instance = body.instance()](flatbuffers::FlatBufferBuilder& builder) {
    return node_body(
        protocol::Body::ProducerCreate,
        protocol::CreateProducerCreateDirect(builder, path.c_str(), name.c_str(), instance));
  };
  auto topic = at_home(client, body.topic()->str(), reply, fill);
  if (!topic) return;
  here.node().controller->create_producer(
      topic->name, {name, body.instance()},
      [&here, id = topic->id, name, reply = std::move(reply)](Status created) mutable {
        if (!created) return reply.error(created.error());
        after_all_loops(here.node(), here, [&here, id, name, reply = std::move(reply)]() mutable {
          auto now = here.image().find_topic(id);
          auto record = now ? now->producers.find(std::string_view(name)) : nullptr;
          if (!record)
            return reply.error({ErrorCode::kUnknownProducer, "producer " + name + " was deleted"});
          describe(here, *now, {std::move(record)}, std::move(reply));
        });
      });
}

void handle(ClientConnection& client, const protocol::ProducerDelete& body, Reply reply) {
  const auto fill = [path = body.topic()->str(),
                     name = body.name()->str()](flatbuffers::FlatBufferBuilder& builder) {
    return node_body(protocol::Body::ProducerDelete,
                     protocol::CreateProducerDeleteDirect(builder, path.c_str(), name.c_str()));
  };
  auto topic = at_home(client, body.topic()->str(), reply, fill);
  if (!topic) return;
  CoreLoop& home = producer_home(client.loop().node(), *topic);
  home.net_loop().post([&home, name = topic->name, key = ProducerKey{topic->id, body.name()->str()},
                        reply = std::move(reply)]() mutable {
    auto ids = home.producer_places().open_ids(key);
    home.node().controller->delete_producer(
        std::move(name), key.name, ids,
        [&home, key, ids, reply = std::move(reply)](Status deleted) mutable {
          if (!deleted) return reply.error(deleted.error());
          // Fenced at every main before the answer.
          after_all_loops(home.node(), home, [&home, key, ids, reply = std::move(reply)]() mutable {
            home.producer_places().forget(key, ids);
            await_mains(home, key.topic, limits::kMainsAnswerMs,
                        [reply = std::move(reply)](const Status& fenced) mutable {
                          if (!fenced) return reply.error(fenced.error());
                          reply.done();
                        });
          });
        });
  });
}

// The records are known everywhere; who has one open, at home only.
void handle(ClientConnection& client, const protocol::ProducerList& body, Reply reply) {
  CoreLoop& here = client.loop();
  auto topic = find_topic(here, body.topic()->string_view(), reply);
  if (!topic) return;
  const std::string after = body.after() == nullptr ? std::string() : body.after()->str();
  const auto home = check_producer_home(here.node(), *topic);
  if (home) return describe(here, *topic, records_behind(*topic, after), std::move(reply));
  if (client.node_id() != 0) return reply.error(home.error());
  auto without = [topic, after, node = home.error().node](const Error& error, Reply owed) {
    const auto records = records_behind(*topic, after);
    send_producers(records, std::vector<std::uint32_t>(records.size()),
                   "who has them open is not known: " + main_is_silent(node, error),
                   std::move(owed));
  };
  if (home.error().node == 0) return without(home.error(), std::move(reply));
  const auto fill = [path = body.topic()->str(), after](flatbuffers::FlatBufferBuilder& builder) {
    return node_body(protocol::Body::ProducerList,
                     protocol::CreateProducerListDirect(builder, path.c_str(), after.c_str()));
  };
  pass_on(here, home.error().node, fill, std::move(reply), std::move(without));
}

}  // namespace andyx::server
