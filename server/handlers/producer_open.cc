// Opening and closing named producers: first the place at its home loop, then the epoch in the
// metadata, then every main of the topic, on whatever node, knows the epoch; only then the answer.
#include "server/handlers/producer_open.h"

#include "data_generated.h"
#include "frame_generated.h"
#include "server/handlers/over_mains.h"

namespace andyx::server {
namespace {

using protocol::ProducerInstance;

struct Opening {
  CoreLoop* here = nullptr;  // the connection's
  CoreLoop* home = nullptr;  // the places'
  TopicName topic;
  ProducerKey key;
  ProducerSpec spec;
  ProducerPlaces::Holder who;
  ProducerId resumed_id = 0;  // reconnect
  std::uint32_t resumed_epoch = 0;

  bool single() const { return spec.instance == ProducerInstance::single; }
};

// A reconnect goes on only where nobody has opened the producer in between.
Status check_resumed(const Topic& topic, const Opening& opening) {
  if (opening.resumed_id == 0) return {};
  const auto fenced = [&](const std::string& why) {
    return fail(ErrorCode::kProducerFenced, "producer " + opening.key.name + ": " + why);
  };
  const auto fence = topic.fences.find(opening.resumed_id);
  if (fence && fence->epoch == kFencedForGood) return fenced("it was deleted");
  if (!opening.single()) return {};
  const auto record = topic.producers.find(std::string_view(opening.key.name));
  if (!record || record->producer_id != opening.resumed_id) return fenced("it was deleted");
  if (record->epoch != opening.resumed_epoch || record->session != opening.who.session) {
    return fenced("it was opened again since, with epoch " + std::to_string(record->epoch));
  }
  return {};
}

void release(const Opening& opening, ProducerId id) {
  opening.home->net_loop().post([home = opening.home, key = opening.key,
                                 connection = opening.who.connection,
                                 id] { home->producer_places().release(key, connection, id); });
}

// On the connection's loop, when everything is done.
void answer(const Opening& opening, ProducerId id, std::uint32_t epoch, Reply reply) {
  auto* client = opening.here->find_connection(opening.who.connection);
  if (client == nullptr) {  // it went meanwhile
    release(opening, id);
    return reply.none();
  }
  client->producers().push_back(
      {opening.home, opening.key.topic, opening.key.name, id, opening.single()});
  reply.body(protocol::Body::ProducerOpenReply, [&](flatbuffers::FlatBufferBuilder& builder) {
    return protocol::CreateProducerOpenReply(builder, id, epoch, limits::kConsumerSessionMs);
  });
}

// On the home loop, when every loop has applied the epoch.
void settle(Opening opening, ProducerId id, std::uint32_t epoch, Reply reply) {
  auto& places = opening.home->producer_places();
  if (!opening.single()) {
    opening.who.producer_id = id;
    places.add(opening.key, opening.who);
  } else if (!places.opened(opening.key, opening.who.connection, id)) {
    return reply.error({ErrorCode::kProducerFenced, "producer " + opening.key.name +
                                                        ": the same session has opened it on "
                                                        "another connection"});
  }
  opening.here->net_loop().post(
      [opening = std::move(opening), id, epoch, reply = std::move(reply)]() mutable {
        answer(opening, id, epoch, std::move(reply));
      });
}

void refuse(const Opening& opening, const Error& error, Reply reply) {
  if (opening.single()) release(opening, 0);
  reply.error(error);
}

// On the home loop, when it knows the epoch. An id that a multiple producer gets is new: there is
// nobody to be fenced.
void when_fenced(Opening opening, ProducerId id, std::uint32_t epoch, Reply reply) {
  if (!opening.single()) return settle(std::move(opening), id, epoch, std::move(reply));
  CoreLoop& home = *opening.home;
  const TopicId topic = opening.key.topic;
  await_mains(home, topic, limits::kMainsAnswerMs,
              [opening = std::move(opening), id, epoch,
               reply = std::move(reply)](const Status& fenced) mutable {
                if (fenced) return settle(std::move(opening), id, epoch, std::move(reply));
                refuse(opening,
                       {fenced.error().code,
                        "producer " + opening.key.name +
                            ": what an earlier one may still write is not fenced everywhere: " +
                            fenced.error().message},
                       std::move(reply));
              });
}

// On the home loop, with the place taken where there is one.
void raise_epoch(Opening opening, Reply reply) {
  auto topic = opening.home->image().find_topic(opening.key.topic);
  if (!topic) {
    return refuse(opening, {ErrorCode::kUnknownTopic, opening.topic.url() + " was deleted"},
                  std::move(reply));
  }
  if (auto here = check_producer_home(opening.home->node(), *topic); !here)
    return refuse(opening, here.error(), std::move(reply));
  if (auto resumed = check_resumed(*topic, opening); !resumed)
    return refuse(opening, resumed.error(), std::move(reply));
  Node& node = opening.home->node();
  TopicName name = opening.topic;
  ProducerSpec spec = opening.spec;
  const auto known = topic->producers.find(std::string_view(spec.name));
  spec.known_epoch = known ? known->epoch : 0;
  node.controller->open_producer(
      std::move(name), std::move(spec),
      [&node, opening = std::move(opening),
       reply = std::move(reply)](Result<OpenedProducer> opened) mutable {
        if (!opened) return refuse(opening, opened.error(), std::move(reply));
        const ProducerId id =
            opening.single() || opening.resumed_id == 0 ? opened->producer_id : opening.resumed_id;
        const std::uint32_t epoch = opened->record->epoch;
        CoreLoop& home = *opening.home;
        after_all_loops(
            node, home,
            [opening = std::move(opening), id, epoch, reply = std::move(reply)]() mutable {
              when_fenced(std::move(opening), id, epoch, std::move(reply));
            });
      });
}

Status check_request(ClientConnection& client, const protocol::ProducerOpen& body) {
  if (auto named = check_name(body.name()->string_view(), "the producer name"); !named)
    return named;
  if (body.topic() == nullptr || body.topic()->size() == 0)
    return fail(ErrorCode::kBadArgument, "a producer with a name states its topic");
  if (body.instance() > ProducerInstance::MAX)
    return fail(ErrorCode::kBadArgument, "a producer is single or multiple");
  if (body.instance() == ProducerInstance::single && body.session() == 0)
    return fail(ErrorCode::kBadArgument, "a single producer states a session other than 0");
  if (client.producers().size() >= limits::kMaxNamedProducersPerConnection) {
    return fail(ErrorCode::kLimitReached,
                "the connection has " + std::to_string(limits::kMaxNamedProducersPerConnection) +
                    " named producers open, the most that it may have");
  }
  return {};
}

}  // namespace

CoreLoop& producer_home(Node& node, const Topic& topic) {
  return node.loop_of(topic.partitions().front().partition_id);
}

Status check_producer_home(const Node& node, const Topic& topic) {
  return check_main(topic.partitions().front(), node.config.node_id,
                    "the home of the topic's producers");
}

void open_named_producer(ClientConnection& client, const protocol::ProducerOpen& body,
                         Reply reply) {
  CoreLoop& here = client.loop();
  if (auto good = check_request(client, body); !good) return reply.error(good.error());
  auto topic = find_topic(here, body.topic()->string_view(), reply);
  if (!topic) return;
  if (auto active = check_active(*topic); !active) return reply.error(active.error());
  if (auto home = check_producer_home(here.node(), *topic); !home) return reply.error(home.error());
  Opening opening;
  opening.here = &here;
  opening.home = &producer_home(here.node(), *topic);
  opening.topic = topic->name;
  opening.key = {topic->id, body.name()->str()};
  opening.spec = {body.name()->str(), body.instance(), body.session()};
  opening.who = {.connection = client.id(),
                 .session = body.session(),
                 .peer = client.peer(),
                 .since_us = net::wall_time_us()};
  opening.resumed_id = body.producer_id();
  opening.resumed_epoch = body.producer_epoch();
  opening.home->net_loop().post([opening = std::move(opening), reply = std::move(reply)]() mutable {
    if (opening.single()) {
      auto taken =
          opening.home->producer_places().take(opening.key, opening.who, opening.who.since_us);
      if (!taken) return reply.error(taken.error());
    }
    raise_epoch(std::move(opening), std::move(reply));
  });
}

void handle(ClientConnection& client, const protocol::ProducerClose& body, Reply reply) {
  auto& producers = client.producers();
  const auto found =
      std::ranges::find(producers, body.producer_id(), &OpenProducerPlace::producer_id);
  if (found == producers.end()) return reply.done();  // idempotent
  const OpenProducerPlace place = *found;
  std::erase_if(producers,
                [&](const OpenProducerPlace& one) { return one.producer_id == place.producer_id; });
  place.home->net_loop().post([place, id = client.id(), reply = std::move(reply)]() mutable {
    place.home->producer_places().release({place.topic, place.name}, id, place.producer_id);
    reply.done();
  });
}

}  // namespace andyx::server
