#include "tests/clients/fake_server.h"

#include <algorithm>

namespace andyx::test {

using protocol::Body;

FakeServer::FakeServer(std::uint32_t count)
    : thread_(std::make_shared<net::LoopThread>()), world_(this) {
  partitions.resize(count);
  listen_again();
}

FakeServer::FakeServer(FakeServer& world) : thread_(world.thread_), world_(&world) {
  listen_again();
}

FakeServer::~FakeServer() {
  thread_->stop();
  sessions_.clear();
  listener_.reset();
}

void FakeServer::listen() {
  auto made = net::listen(thread_->loop(), {"127.0.0.1", port_}, [this](auto connection) {
    auto session = std::make_unique<Session>();
    session->server = this;
    session->connection = std::move(connection);
    session->connection->set_handler(session.get());
    sessions_.push_back(std::move(session));
  });
  REQUIRE(made.has_value());
  listener_ = std::move(*made);
  port_ = listener_->port();
}

void FakeServer::listen_again() {
  on([this] { listen(); });
}

void FakeServer::drop_connections() {
  on([this] { drop_sessions(); });
}

void FakeServer::stop_listening() {
  on([this] {
    listener_.reset();
    drop_sessions();
  });
}

void FakeServer::drop_sessions() {
  std::erase_if(world_->streams,
                [this](const auto& entry) { return entry.second.session->server == this; });
  unread_.clear();
  sessions_.clear();
}

void FakeServer::hang() {
  on([this] { hung_ = true; });
}

void FakeServer::wake() {
  on([this] {
    hung_ = false;
    for (auto& [session, bytes] : std::exchange(unread_, {})) received(*session, std::move(bytes));
  });
}

void FakeServer::lost(Session* session) {
  ++lost_connections;
  std::erase_if(world_->streams,
                [&](const auto& entry) { return entry.second.session == session; });
  std::erase_if(unread_, [&](const auto& entry) { return entry.first == session; });
  std::erase_if(sessions_, [&](const auto& one) { return one.get() == session; });
}

void FakeServer::Session::error(std::uint64_t id, ErrorCode code, std::string message,
                                NodeId node) {
  const auto& info = error_info(code);
  reply(id, Body::ErrorReply, [&](auto& b) {
    const auto stored = info.stored == Storedness::kNotStored ? protocol::Storedness::not_stored
                                                              : protocol::Storedness::maybe_stored;
    return protocol::CreateErrorReplyDirect(b, static_cast<std::uint16_t>(code),
                                            std::string(info.name).c_str(), message.c_str(), "",
                                            stored, info.retriable, 0, nullptr, node);
  });
}

void FakeServer::received(Session& session, SharedBytes bytes) {
  if (hung_) return unread_.emplace_back(&session, std::move(bytes)), void();
  const auto verified = frame::verify_frame(bytes.span());
  REQUIRE(verified.has_value());
  const protocol::Frame& root = **verified;
  if (intercept_ && intercept_(session, root)) return;
  if (node_id != 0 && redirect(session, root)) return;
  handle(session, root);
}

void FakeServer::handle(Session& session, const protocol::Frame& root) {
  const auto id = root.correlation_id();
  switch (root.body_type()) {
    case Body::Hello:
      return hello(session, id);
    case Body::Ping:
      ++pings;
      return session.reply(id, Body::Pong, [](auto& b) { return protocol::CreatePong(b); });
    case Body::MetadataRequest:
      return metadata(session, id, *root.body_as_MetadataRequest());
    case Body::ProducerOpen:
      return world_->open_producer(session, id, *root.body_as_ProducerOpen());
    case Body::ProducerClose:
      ++producer_closes;
      return session.done(id);
    case Body::Produce:
      return world_->produce(session, id, *root.body_as_Produce());
    case Body::TopicDelete:
      return session.done(id);
    case Body::LookupOffset:
      return session.reply(id, Body::LookupOffsetReply, [this](auto& b) {
        return protocol::CreateLookupOffsetReply(b, node_id);  // tells who has answered
      });
    case Body::TopicList:
      return session.reply(id, Body::TopicReply, [](auto& b) {
        return protocol::CreateTopicReplyDirect(
            b, std::make_unique<std::vector<flatbuffers::Offset<protocol::TopicInfo>>>(
                   1, protocol::CreateTopicInfoDirect(b, kTopic, kTopicId))
                   .get());
      });
    case Body::Subscribe:
      return world_->subscribe(session, id, *root.body_as_Subscribe());
    case Body::Unsubscribe:
      ++world_->unsubscribes;
      world_->streams.clear();
      return session.done(id);
    case Body::StreamOpen:
      return world_->open_stream(session, id, *root.body_as_StreamOpen());
    case Body::StreamClose:
      return world_->close_stream(session, id, root.body_as_StreamClose()->stream());
    case Body::Credit:
      return world_->credit(*root.body_as_Credit());
    case Body::Answer:
      return world_->answer(session, id, *root.body_as_Answer());
    default:
      return session.error(id, ErrorCode::kInternal, "not in the fake server");
  }
}

void FakeServer::hello(Session& session, std::uint64_t id) {
  ++hellos;
  session.reply(id, Body::HelloReply, [&](auto& b) {
    return protocol::CreateHelloReplyDirect(b, 1, "fake", cluster_id.c_str(),
                                            node_id != 0 ? node_id : 1, hellos);
  });
}

// One with a name has always the same id and epoch.
void FakeServer::open_producer(Session& session, std::uint64_t id,
                               const protocol::ProducerOpen& body) {
  ++producers_opened;
  const bool named = body.name() != nullptr && body.name()->size() > 0;
  opens.push_back({named ? body.name()->str() : "", named ? body.topic()->str() : "",
                   body.instance(), body.session(), body.producer_id(), body.producer_epoch()});
  session.reply(id, Body::ProducerOpenReply, [&](auto& b) {
    return protocol::CreateProducerOpenReply(b, named ? 900 : producers_opened, named ? 256 : 1,
                                             session_timeout_ms);
  });
}

void FakeServer::metadata(Session& session, std::uint64_t id,
                          const protocol::MetadataRequest& body) {
  ++metadata_requests;
  session.reply(id, Body::MetadataReply, [&](auto& b) {
    std::vector<flatbuffers::Offset<protocol::NodeInfo>> nodes;
    for (const auto& [node, port] : view.nodes)
      nodes.push_back(protocol::CreateNodeInfoDirect(b, node, "127.0.0.1", port));
    if (nodes.empty()) nodes.push_back(protocol::CreateNodeInfoDirect(b, 1, "127.0.0.1", port_));
    std::vector<flatbuffers::Offset<protocol::TopicMetadata>> topics;
    const auto* asked = body.topics();
    for (std::uint32_t at = 0; asked != nullptr && at < asked->size(); ++at) {
      const auto* name = asked->Get(at);
      if (name->str() != kTopic) {
        const auto error = protocol::CreateErrorReplyDirect(
            b, static_cast<std::uint16_t>(ErrorCode::kUnknownTopic), "unknown_topic",
            name->c_str());
        topics.push_back(protocol::CreateTopicMetadataDirect(b, 0, name->c_str(), error));
        continue;
      }
      std::vector<flatbuffers::Offset<protocol::PartitionInfo>> infos;
      for (std::uint32_t i = 0; i < world_->partitions.size(); ++i) {
        const NodeId main = node_id != 0 ? view.mains[i] : 1;
        const MainEpoch epoch = node_id != 0 ? view.epochs[i] : 1;
        infos.push_back(protocol::CreatePartitionInfo(b, i, 100 + i, main, epoch));
      }
      const auto info = protocol::CreateTopicInfoDirect(b, kTopic, kTopicId, &infos);
      topics.push_back(protocol::CreateTopicMetadataDirect(b, info, kTopic));
    }
    return protocol::CreateMetadataReplyDirect(b, view.version, cluster_id.c_str(), &nodes,
                                               &topics);
  });
}

void FakeServer::produce(Session& session, std::uint64_t id, const protocol::Produce& body) {
  ++produces;
  auto bytes = SharedBytes::copy_of({body.batch()->data(), body.batch()->size()});
  const auto header = batch::verify_batch(bytes.span());
  REQUIRE(header.has_value());
  auto& partition = partitions.at(body.partition());
  const MainEpoch epoch = truth.epochs.empty() ? 1 : truth.epochs[body.partition()];
  auto& sequences =
      partition.sequences[header->producer_id + (std::uint64_t{header->producer_epoch} << 32)];
  Offset offset = partition.payloads.size();
  if (header->producer_id != 0) {
    if (const auto known = sequences.find(header->sequence); known != sequences.end()) {
      offset = known->second;
      return session.reply(id, Body::ProduceReply, [&](auto& b) {
        return protocol::CreateProduceReply(b, offset, 5, epoch, true);
      });
    }
    if (header->sequence != sequences.size()) return session.error(id, ErrorCode::kOutOfSequence);
    if (dedup && refuse_repeated(session, id, partition, bytes.span(), *header)) return;
    sequences[header->sequence] = offset;
  }
  batch::patch_server_fields(bytes.mutable_data(), 1, offset, 5);
  const auto reader = batch::BatchReader::open(bytes.span()).value();
  batch::Record record;
  for (std::uint32_t i = 0; i < reader.count(); ++i) {
    REQUIRE(reader.read(i, record).has_value());
    if (record.message_id_hash != 0)
      partition.message_ids[record.message_id_hash] = partition.payloads.size();
    partition.payloads.emplace_back(record.payload);
  }
  partition.batches.push_back(std::move(bytes));
  session.reply(id, Body::ProduceReply,
                [&](auto& b) { return protocol::CreateProduceReply(b, offset, 5, epoch); });
}

bool FakeServer::refuse_repeated(Session& session, std::uint64_t id, Partition& partition,
                                 ByteSpan bytes, const batch::Header& header) {
  std::vector<protocol::DuplicateRecord> duplicates;
  std::vector<std::uint64_t> here;
  for (std::uint32_t i = 0; i < header.count; ++i) {
    const auto hash = batch::message_id_hash(bytes, i);
    if (hash == 0) continue;
    if (const auto known = partition.message_ids.find(hash); known != partition.message_ids.end())
      duplicates.emplace_back(known->second, i);
    else if (std::ranges::find(here, hash) != here.end())
      duplicates.emplace_back(kNoOffset, i);
    here.push_back(hash);
  }
  if (duplicates.empty()) return false;
  session.reply(id, Body::ErrorReply, [&](auto& b) {
    return protocol::CreateErrorReplyDirect(
        b, static_cast<std::uint16_t>(ErrorCode::kDuplicateMessage), "duplicate_message", "", "",
        protocol::Storedness::not_stored, false, 0, &duplicates);
  });
  return true;
}

void FakeServer::subscribe(Session& session, std::uint64_t id, const protocol::Subscribe& body) {
  sessions.push_back(body.session());
  attached = &session;
  priority = body.priority();
  take_over = body.take_over();
  key_ordered = body.key_ordered();
  ++attach_epoch;
  epochs = first_assignment;
  for (std::uint32_t i = 0; first_assignment.empty() && i < partitions.size(); ++i)
    epochs[i] = attach_epoch;
  session.reply(id, Body::SubscribeReply, [&](auto& b) {
    std::vector<std::uint32_t> indexes;
    std::vector<std::uint64_t> of_each;
    for (const auto& [partition, epoch] : epochs) {
      indexes.push_back(partition);
      of_each.push_back(epoch);
    }
    return protocol::CreateSubscribeReplyDirect(b, kTopicId, 9, attach_epoch, &indexes, &of_each,
                                                session_timeout_ms);
  });
}

void FakeServer::assign(std::map<std::uint32_t, std::uint64_t> now) {
  on([&] {
    epochs = std::move(now);
    attached->reply(0, Body::Assigned, [&](auto& b) {
      std::vector<std::uint32_t> indexes;
      std::vector<std::uint64_t> of_each;
      for (const auto& [partition, epoch] : epochs) {
        indexes.push_back(partition);
        of_each.push_back(epoch);
      }
      return protocol::CreateAssignedDirect(b, 9, attach_epoch, &indexes, &of_each);
    });
  });
}

void FakeServer::detach(ErrorCode code, NodeId node) {
  on([&] {
    attached->reply(0, Body::Detached, [&](auto& b) {
      const auto error = protocol::CreateErrorReplyDirect(
          b, static_cast<std::uint16_t>(code), "detached", "by the test", "",
          protocol::Storedness::not_stored, false, 0, nullptr, node);
      return protocol::CreateDetached(b, 9, attach_epoch, error);
    });
  });
}

void FakeServer::end_stream(std::uint32_t partition, ErrorCode code, NodeId node) {
  on([&] {
    const Stream stream = streams.at(partition);
    streams.erase(partition);
    stream.session->reply(0, Body::StreamClosed, [&](auto& b) {
      const auto error = protocol::CreateErrorReplyDirect(
          b, static_cast<std::uint16_t>(code), "ended", "by the test", "",
          protocol::Storedness::not_stored, false, 0, nullptr, node);
      return protocol::CreateStreamClosed(b, stream.id, error);
    });
  });
}

void FakeServer::open_stream(Session& session, std::uint64_t id, const protocol::StreamOpen& body) {
  if (!epochs.contains(body.partition()) || epochs[body.partition()] != body.attach_epoch())
    return session.error(id, ErrorCode::kStaleAttach);
  streams[body.partition()] = {&session,
                               body.stream(),
                               body.credit_bytes(),
                               body.credit_messages(),
                               body.attach_epoch(),
                               body.ack_timeout_ms(),
                               body.max_deliveries()};
  session.reply(id, Body::StreamOpenReply,
                [](auto& b) { return protocol::CreateStreamOpenReply(b); });
}

void FakeServer::close_stream(Session& session, std::uint64_t id, std::uint32_t stream) {
  std::erase_if(streams, [&](const auto& entry) {
    if (entry.second.session != &session || entry.second.id != stream) return false;
    closed_streams.push_back(entry.first);
    return true;
  });
  session.done(id);
}

void FakeServer::credit(const protocol::Credit& body) {
  credits_bytes += body.bytes();
  credits_messages += body.messages();
}

void FakeServer::answer(Session& session, std::uint64_t id, const protocol::Answer& body) {
  for (const auto& [partition, stream] : streams) {
    if (stream.session != &session || stream.id != body.stream()) continue;
    Answer given{partition, body.kind(), {}, body.delay_ms()};
    for (const auto* range : *body.ranges())
      given.ranges.emplace_back(range->first(), range->last());
    answers.push_back(std::move(given));
    return session.done(id);
  }
  session.error(id, ErrorCode::kUnknownStream);
}

void FakeServer::deliver(std::uint32_t index, Offset first, Offset last) {
  on([&] {
    const auto found = streams.find(index);
    REQUIRE(found != streams.end());
    std::vector<SharedBytes> batches;
    std::uint64_t charged_bytes = 0;
    for (const auto& bytes : partitions.at(index).batches) {
      const auto header = batch::read_header(bytes.span()).value();
      if (header.end_offset() <= first || header.base_offset > last) continue;
      batches.push_back(bytes);
      charged_bytes += bytes.size();
    }
    auto& session = *found->second.session;
    session.connection->send(session.writer.write_with_payload(
        0, std::move(batches), [&](flatbuffers::FlatBufferBuilder& b, auto vector) {
          const protocol::OffsetRange range(first, last);
          const auto ranges = b.CreateVectorOfStructs(&range, 1);
          const auto body =
              protocol::CreateDeliver(b, found->second.id, ranges, 0, vector, charged_bytes);
          return frame::Body{static_cast<std::uint8_t>(Body::Deliver), body.Union()};
        }));
  });
}

}  // namespace andyx::test
