// Named producers: create, delete, list.
#include "data_generated.h"
#include "frame_generated.h"
#include "server/handlers/handlers.h"
#include "server/handlers/list_page.h"
#include "server/handlers/producer_open.h"
#include "server/handlers/routing.h"

namespace andyx::server {
namespace {

void send_producers(const std::vector<std::shared_ptr<const ProducerRecord>>& records,
                    const std::vector<std::uint32_t>& connected, Reply reply) {
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
    return protocol::CreateProducerReply(builder, builder.CreateVector(infos), page.more());
  });
}

// Answers with these records, and how many have each open.
void describe(CoreLoop& here, const Topic& topic,
              std::vector<std::shared_ptr<const ProducerRecord>> records, Reply reply) {
  CoreLoop& home = producer_home(here.node(), topic);
  home.net_loop().post(
      [&home, id = topic.id, records = std::move(records), reply = std::move(reply)]() mutable {
        std::vector<std::uint32_t> connected;
        for (const auto& record : records)
          connected.push_back(home.producer_places().connected({id, record->name}));
        send_producers(records, connected, std::move(reply));
      });
}

}  // namespace

void handle(ClientConnection& client, const protocol::ProducerCreate& body, Reply reply) {
  CoreLoop& here = client.loop();
  auto topic = find_topic(here, body.topic()->string_view(), reply);
  if (!topic) return;
  const std::string name = body.name()->str();
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
  CoreLoop& here = client.loop();
  auto topic = find_topic(here, body.topic()->string_view(), reply);
  if (!topic) return;
  CoreLoop& home = producer_home(here.node(), *topic);
  home.net_loop().post([&home, name = topic->name, key = ProducerKey{topic->id, body.name()->str()},
                        reply = std::move(reply)]() mutable {
    auto ids = home.producer_places().open_ids(key);
    home.node().controller->delete_producer(
        std::move(name), key.name, ids,
        [&home, key, ids, reply = std::move(reply)](Status deleted) mutable {
          if (!deleted) return reply.error(deleted.error());
          // Fenced on every loop before the answer.
          after_all_loops(home.node(), home, [&home, key, ids, reply = std::move(reply)]() mutable {
            home.producer_places().forget(key, ids);
            reply.done();
          });
        });
  });
}

void handle(ClientConnection& client, const protocol::ProducerList& body, Reply reply) {
  CoreLoop& here = client.loop();
  auto topic = find_topic(here, body.topic()->string_view(), reply);
  if (!topic) return;
  std::vector<std::shared_ptr<const ProducerRecord>> records;
  const std::string_view after =
      body.after() == nullptr ? std::string_view{} : body.after()->string_view();
  // One more than a page has, so that it says that there is more.
  for (auto it = first_behind(topic->producers, after);
       it != topic->producers.end() && records.size() <= limits::kMaxTablesOfList; ++it)
    records.push_back(it.item());
  describe(here, *topic, std::move(records), std::move(reply));
}

}  // namespace andyx::server
