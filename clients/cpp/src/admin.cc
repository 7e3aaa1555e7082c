#include "andyx/admin.h"

#include <algorithm>
#include <utility>

#include "clients/cpp/src/ask.h"
#include "protocol/base/names.h"

namespace andyx::client {
namespace {

Result<std::string> path_of(const std::string& topic) {
  auto name = TopicName::parse(topic);
  if (!name) return std::unexpected(name.error());
  return name->path();
}

Result<Page<TopicInfo>> topic_page(const ReplyFrame& reply) {
  const auto* body = reply.frame->body_as_TopicReply();
  if (body == nullptr) return fail(ErrorCode::kInternal, "the answer has another type");
  Page<TopicInfo> out{.entries = {}, .more = body->more()};
  if (body->topics() != nullptr) {
    for (const auto* topic : *body->topics()) out.entries.push_back(topic_info(*topic));
  }
  return out;
}
Result<std::vector<TopicInfo>> topics_of(const ReplyFrame& reply) {
  return entries_of(topic_page(reply));
}

Result<std::vector<SubscriptionInfo>> subscriptions_of(const ReplyFrame& reply) {
  const auto* body = reply.frame->body_as_SubscriptionReply();
  if (body == nullptr) return fail(ErrorCode::kInternal, "the answer has another type");
  std::vector<SubscriptionInfo> out;
  if (body->subscriptions() != nullptr) {
    for (const auto* one : *body->subscriptions()) out.push_back(subscription_info(*one));
  }
  return out;
}

Result<Page<ProducerInfo>> producer_page(const ReplyFrame& reply) {
  const auto* body = reply.frame->body_as_ProducerReply();
  if (body == nullptr) return fail(ErrorCode::kInternal, "the answer has another type");
  Page<ProducerInfo> out{.entries = {}, .more = body->more()};
  if (body->producers() != nullptr) {
    for (const auto* one : *body->producers()) {
      out.entries.push_back(producer_info(*one));
      if (body->note() != nullptr) out.entries.back().note = body->note()->str();
    }
  }
  return out;
}
Result<std::vector<ProducerInfo>> producers_of(const ReplyFrame& reply) {
  return entries_of(producer_page(reply));
}

constexpr MainEpoch kAnyEpoch = 0;  // the request goes on to the main wherever that is

struct Target {
  TopicId topic_id = 0;
  NodeId main = 0;
};

Result<Target> find_partition(ClientImpl& client, const std::string& topic,
                              std::uint32_t partition) {
  const auto path = path_of(topic);
  if (!path) return std::unexpected(path.error());
  auto metadata = client.wait<TopicMetadata>([&client, path = *path](auto done) {
    client.cluster().topic(path, false,
                           [done](Result<TopicMetadata> found) mutable { done(std::move(found)); });
  });
  if (!metadata) return std::unexpected(metadata.error());
  if (partition >= metadata->partitions.size()) {
    return fail(ErrorCode::kUnknownPartition, *path + " has the partitions 0 to " +
                                                  std::to_string(metadata->partitions.size() - 1) +
                                                  ", not " + std::to_string(partition));
  }
  return Target{metadata->topic_id, metadata->partitions[partition].main};
}

Result<ReadResult> read_result(std::uint32_t partition, Offset offset, const ReplyFrame& reply) {
  const auto* body = reply.frame->body_as_ReadReply();
  if (body == nullptr) return fail(ErrorCode::kInternal, "the answer to read is none");
  ReadResult out{.messages = {},
                 .next_offset = offset,
                 .start_offset = body->start_offset(),
                 .committed_offset = body->committed_offset()};
  if (body->batches() == nullptr || body->batches()->size() == 0) return out;
  const auto at = static_cast<std::size_t>(body->batches()->data() - reply.bytes.data());
  auto bytes = reply.bytes.slice(at, body->batches()->size());
  const auto split = batch::split_batches(bytes.span());
  if (!split) return std::unexpected(split.error());
  const auto first = batch::read_header(split->front());
  const auto last = batch::read_header(split->back());
  if (!first) return std::unexpected(first.error());
  if (!last) return std::unexpected(last.error());
  const OffsetRange range{std::max(offset, first->base_offset), last->last_offset()};
  if (range.last < range.first) return out;
  auto messages = MessageBatch::open(partition, std::move(bytes), {range});
  if (!messages) return std::unexpected(messages.error());
  out.messages = std::move(*messages);
  out.next_offset = range.last + 1;
  return out;
}

}  // namespace

// ---- Topics ----

Result<TopicInfo> Admin::create_topic(const std::string& topic, const TopicSpec& spec) {
  const auto path = path_of(topic);
  if (!path) return std::unexpected(path.error());
  auto fill = [path = *path, spec](Builder& builder) {
    const auto name = builder.CreateString(path);
    return body_of(protocol::Body::TopicCreate,
                   protocol::CreateTopicCreate(builder, name, spec.partitions,
                                               spec.replication_factor, spec.async));
  };
  return only(ask<std::vector<TopicInfo>>(*impl_, 0, fill, Repeat::kNo, topics_of));
}

Result<TopicInfo> Admin::alter_topic(const std::string& topic, const TopicChange& change) {
  const auto path = path_of(topic);
  if (!path) return std::unexpected(path.error());
  auto fill = [path = *path, change](Builder& builder) {
    const auto name = builder.CreateString(path);
    return body_of(
        protocol::Body::TopicAlter,
        protocol::CreateTopicAlter(builder, name, change.partitions, change.replication_factor));
  };
  return only(ask<std::vector<TopicInfo>>(*impl_, 0, fill, Repeat::kYes, topics_of));
}

Status Admin::delete_topic(const std::string& topic) {
  const auto path = path_of(topic);
  if (!path) return std::unexpected(path.error());
  auto fill = [path = *path](Builder& builder) {
    const auto name = builder.CreateString(path);
    return body_of(protocol::Body::TopicDelete, protocol::CreateTopicDelete(builder, name));
  };
  return plain(ask<bool>(*impl_, 0, fill, Repeat::kNo, done_of));
}

Result<std::vector<TopicInfo>> Admin::list_topics(const std::string& prefix) {
  const auto fill_after = [prefix](const std::string& after) {
    return [prefix, after](Builder& builder) {
      const auto text = builder.CreateString(prefix);
      const auto after_text = builder.CreateString(after);
      return body_of(protocol::Body::TopicList,
                     protocol::CreateTopicList(builder, text, after_text));
    };
  };
  return ask_pages<TopicInfo>(*impl_, fill_after, topic_page,
                              [](const TopicInfo& topic) { return topic.topic; });
}

Result<TopicInfo> Admin::describe_topic(const std::string& topic) {
  const auto path = path_of(topic);
  if (!path) return std::unexpected(path.error());
  auto fill = [path = *path](Builder& builder) {
    const auto name = builder.CreateString(path);
    return body_of(protocol::Body::TopicDescribe, protocol::CreateTopicDescribe(builder, name));
  };
  return only(ask<std::vector<TopicInfo>>(*impl_, 0, fill, Repeat::kYes, topics_of));
}

// ---- Subscriptions ----

Result<SubscriptionInfo> Admin::create_subscription(const std::string& topic,
                                                    const std::string& name,
                                                    const SubscriptionSpec& spec) {
  const auto path = path_of(topic);
  if (!path) return std::unexpected(path.error());
  auto fill = [path = *path, name, spec](Builder& builder) {
    const auto topic_text = builder.CreateString(path);
    const auto name_text = builder.CreateString(name);
    const auto start = start_of(spec.start);
    return body_of(
        protocol::Body::SubscriptionCreate,
        protocol::CreateSubscriptionCreate(
            builder, topic_text, name_text, static_cast<protocol::SubscriptionType>(spec.type),
            static_cast<protocol::SubscriptionMode>(spec.mode), &start, spec.key_ordered));
  };
  return only(ask<std::vector<SubscriptionInfo>>(*impl_, 0, fill, Repeat::kNo, subscriptions_of));
}

Status Admin::delete_subscription(const std::string& topic, const std::string& name) {
  const auto path = path_of(topic);
  if (!path) return std::unexpected(path.error());
  auto fill = [path = *path, name](Builder& builder) {
    const auto topic_text = builder.CreateString(path);
    const auto name_text = builder.CreateString(name);
    return body_of(protocol::Body::SubscriptionDelete,
                   protocol::CreateSubscriptionDelete(builder, topic_text, name_text));
  };
  return plain(ask<bool>(*impl_, 0, fill, Repeat::kNo, done_of));
}

Result<std::vector<SubscriptionInfo>> Admin::list_subscriptions(const std::string& topic) {
  const auto path = path_of(topic);
  if (!path) return std::unexpected(path.error());
  auto fill = [path = *path](Builder& builder) {
    const auto topic_text = builder.CreateString(path);
    return body_of(protocol::Body::SubscriptionList,
                   protocol::CreateSubscriptionList(builder, topic_text));
  };
  return ask<std::vector<SubscriptionInfo>>(*impl_, 0, fill, Repeat::kYes, subscriptions_of);
}

Result<SubscriptionInfo> Admin::describe_subscription(const std::string& topic,
                                                      const std::string& name) {
  const auto path = path_of(topic);
  if (!path) return std::unexpected(path.error());
  auto fill = [path = *path, name](Builder& builder) {
    const auto topic_text = builder.CreateString(path);
    const auto name_text = builder.CreateString(name);
    return body_of(protocol::Body::SubscriptionDescribe,
                   protocol::CreateSubscriptionDescribe(builder, topic_text, name_text));
  };
  return only(ask<std::vector<SubscriptionInfo>>(*impl_, 0, fill, Repeat::kYes, subscriptions_of));
}

Status Admin::reset_subscription(const std::string& topic, const std::string& name, Start to,
                                 std::int32_t partition) {
  const auto path = path_of(topic);
  if (!path) return std::unexpected(path.error());
  auto fill = [path = *path, name, to, partition](Builder& builder) {
    const auto topic_text = builder.CreateString(path);
    const auto name_text = builder.CreateString(name);
    const auto start = start_of(to);
    return body_of(
        protocol::Body::SubscriptionReset,
        protocol::CreateSubscriptionReset(builder, topic_text, name_text, &start, partition));
  };
  return plain(ask<bool>(*impl_, 0, fill, Repeat::kYes, done_of));
}

// ---- Producers ----

Result<ProducerInfo> Admin::create_producer(const std::string& topic, const std::string& name,
                                            ProducerInstance instance) {
  const auto path = path_of(topic);
  if (!path) return std::unexpected(path.error());
  auto fill = [path = *path, name, instance](Builder& builder) {
    const auto topic_text = builder.CreateString(path);
    const auto name_text = builder.CreateString(name);
    return body_of(
        protocol::Body::ProducerCreate,
        protocol::CreateProducerCreate(builder, topic_text, name_text,
                                       static_cast<protocol::ProducerInstance>(instance)));
  };
  return only(ask<std::vector<ProducerInfo>>(*impl_, 0, fill, Repeat::kYes, producers_of));
}

Status Admin::delete_producer(const std::string& topic, const std::string& name) {
  const auto path = path_of(topic);
  if (!path) return std::unexpected(path.error());
  auto fill = [path = *path, name](Builder& builder) {
    const auto topic_text = builder.CreateString(path);
    const auto name_text = builder.CreateString(name);
    return body_of(protocol::Body::ProducerDelete,
                   protocol::CreateProducerDelete(builder, topic_text, name_text));
  };
  return plain(ask<bool>(*impl_, 0, fill, Repeat::kNo, done_of));
}

Result<std::vector<ProducerInfo>> Admin::list_producers(const std::string& topic) {
  const auto path = path_of(topic);
  if (!path) return std::unexpected(path.error());
  const auto fill_after = [path = *path](const std::string& after) {
    return [path, after](Builder& builder) {
      const auto topic_text = builder.CreateString(path);
      const auto after_text = builder.CreateString(after);
      return body_of(protocol::Body::ProducerList,
                     protocol::CreateProducerList(builder, topic_text, after_text));
    };
  };
  return ask_pages<ProducerInfo>(*impl_, fill_after, producer_page,
                                 [](const ProducerInfo& producer) { return producer.name; });
}

// ---- Data and the node ----

Scopes Admin::scopes() { return Scopes(impl_); }

Result<ReadResult> Admin::read(const std::string& topic, std::uint32_t partition, Offset offset,
                               std::uint32_t max_bytes, std::uint32_t max_wait_ms) {
  const auto target = find_partition(*impl_, topic, partition);
  if (!target) return std::unexpected(target.error());
  auto fill = [=, topic_id = target->topic_id](Builder& builder) {
    return body_of(protocol::Body::Read,
                   protocol::CreateRead(builder, topic_id, partition, kAnyEpoch, offset, max_bytes,
                                        max_wait_ms));
  };
  const auto convert = [partition, offset](const ReplyFrame& reply) {
    return read_result(partition, offset, reply);
  };
  return ask<ReadResult>(*impl_, target->main, fill, Repeat::kYes, convert, max_wait_ms);
}

Result<OffsetInfo> Admin::lookup_offset(const std::string& topic, std::uint32_t partition,
                                        Start at) {
  const auto target = find_partition(*impl_, topic, partition);
  if (!target) return std::unexpected(target.error());
  auto fill = [=, topic_id = target->topic_id](Builder& builder) {
    const auto start = start_of(at);
    return body_of(protocol::Body::LookupOffset,
                   protocol::CreateLookupOffset(builder, topic_id, partition, &start));
  };
  const auto convert = [](const ReplyFrame& reply) -> Result<OffsetInfo> {
    const auto* body = reply.frame->body_as_LookupOffsetReply();
    if (body == nullptr) return fail(ErrorCode::kInternal, "the answer to lookup offset is none");
    return OffsetInfo{body->offset(), body->start_offset(), body->committed_offset()};
  };
  return ask<OffsetInfo>(*impl_, target->main, fill, Repeat::kYes, convert);
}

Result<NodeStatus> Admin::node_status() {
  auto fill = [](Builder& builder) {
    return body_of(protocol::Body::NodeStatus, protocol::CreateNodeStatus(builder));
  };
  const auto convert = [](const ReplyFrame& reply) -> Result<NodeStatus> {
    const auto* body = reply.frame->body_as_NodeStatusReply();
    if (body == nullptr) return fail(ErrorCode::kInternal, "the answer to node status is none");
    return node_status_of(*body);
  };
  return ask<NodeStatus>(*impl_, 0, fill, Repeat::kYes, convert);
}

}  // namespace andyx::client
