#include "server/metadata/snapshot.h"

#include <algorithm>

#include "common_generated.h"
#include "protocol/base/limits.h"
#include "server/metadata/aligned.h"
#include "server/metadata/effective.h"
#include "server/metadata/wire.h"

namespace andyx::server {
namespace {

constexpr std::uint32_t kSnapshotVersion = 4;
constexpr std::uint32_t kFirstWithThisHash = 4;      // those before are of another hash
constexpr std::uint32_t kOldestSnapshotVersion = 2;  // of before there were clusters

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

Offset<wire::SubscriptionSnapshot> write(FlatBufferBuilder& out, const SubscriptionRecord& s) {
  const auto name = out.CreateString(s.name);
  return wire::CreateSubscriptionSnapshot(
      out, s.id, name, static_cast<std::uint8_t>(s.type), static_cast<std::uint8_t>(s.mode),
      static_cast<std::uint8_t>(s.start_kind), s.start_value, s.created_us, s.key_ordered,
      s.coordinator, s.initial_partitions);
}

Offset<wire::ProducerSnapshot> write(FlatBufferBuilder& out, const ProducerRecord& p) {
  const auto name = out.CreateString(p.name);
  return wire::CreateProducerSnapshot(out, name, static_cast<std::uint8_t>(p.instance),
                                      p.producer_id, p.epoch, p.session, p.created_us);
}

struct PartitionVectors {
  Offset<flatbuffers::Vector<const wire::PartitionSnapshot*>> partitions;
  Offset<flatbuffers::Vector<NodeId>> nodes;
  Offset<flatbuffers::Vector<const wire::ReplicationSnapshot*>> replication;
  Offset<flatbuffers::Vector<NodeId>> replication_nodes;
};

std::uint32_t append(std::vector<NodeId>& to, const std::vector<NodeId>& nodes) {
  to.insert(to.end(), nodes.begin(), nodes.end());
  return static_cast<std::uint32_t>(nodes.size());
}

PartitionVectors write(FlatBufferBuilder& out, const PartitionList& records) {
  std::vector<wire::PartitionSnapshot> partitions;
  std::vector<wire::ReplicationSnapshot> replication;
  std::vector<NodeId> nodes, replication_nodes;
  partitions.reserve(records.size());
  for (const PartitionRecord& p : records) {
    const std::uint32_t replicas = append(nodes, p.replicas);
    const std::uint32_t in_sync = append(nodes, p.in_sync);
    partitions.emplace_back(p.partition_id, p.main, p.main_epoch, p.version, replicas, in_sync);
    if (!p.says_more_than_set()) continue;
    const std::uint32_t eligible = append(replication_nodes, p.eligible);
    const std::uint32_t observers = append(replication_nodes, p.observers);
    replication.emplace_back(p.index, p.min_in_sync, p.joining, p.moving_from, eligible, observers);
  }
  return {out.CreateVectorOfStructs(partitions), out.CreateVector(nodes),
          out.CreateVectorOfStructs(replication), out.CreateVector(replication_nodes)};
}

Offset<wire::TopicSnapshot> write(FlatBufferBuilder& out, const Topic& topic) {
  std::vector<Offset<wire::SubscriptionSnapshot>> subscriptions;
  for (const SubscriptionRecord& s : topic.subscriptions) subscriptions.push_back(write(out, s));
  std::vector<Offset<wire::ProducerSnapshot>> producers;
  for (const ProducerRecord& p : topic.producers) producers.push_back(write(out, p));
  std::vector<wire::FenceSnapshot> fences;
  for (const ProducerFence& f : topic.fences) fences.emplace_back(f.producer_id, f.epoch);

  const auto tenant = out.CreateString(topic.name.tenant);
  const auto product = out.CreateString(topic.name.product);
  const auto component = out.CreateString(topic.name.component);
  const auto name = out.CreateString(topic.name.topic);
  const PartitionVectors of = write(out, topic.partitions());
  const auto subscription_vector = out.CreateVector(subscriptions);
  const auto producer_vector = out.CreateVector(producers);
  const auto fence_vector = out.CreateVectorOfStructs(fences);
  const auto settings = write_settings(out, topic.own.values);
  const auto policy = to_wire(topic.own.retention.value_or(RetentionPolicy{}));
  return wire::CreateTopicSnapshot(
      out, topic.id, tenant, product, component, name, topic.created_us, of.partitions, of.nodes,
      subscription_vector, settings, topic.own.retention ? &policy : nullptr, producer_vector,
      fence_vector, topic.replication_factor, topic.async, of.replication, of.replication_nodes);
}

Offset<wire::ScopeSnapshot> write(FlatBufferBuilder& out, const Scope& scope) {
  const auto path = out.CreateString(scope.where.path);
  const auto description = out.CreateString(scope.description);
  const auto settings = write_settings(out, scope.own.values);
  const auto policy = to_wire(scope.own.retention.value_or(RetentionPolicy{}));
  return wire::CreateScopeSnapshot(out, path, description, scope.active, scope.created_us, settings,
                                   scope.own.retention ? &policy : nullptr);
}

// Of a topic or a scope.
template <typename From>
OwnSettings read_own(const From& from) {
  OwnSettings own;
  for (const wire::SettingValue* setting : *from.settings()) {
    own.values.emplace(setting->key()->str(), setting->value()->str());
  }
  if (from.retention() != nullptr) own.retention = from_wire(*from.retention());
  return own;
}

Offset<wire::NodeSnapshot> write(FlatBufferBuilder& out, const NodeRecord& node) {
  const wire::Id128 disk_id = to_wire(node.disk_id);
  const auto host = out.CreateString(node.host);
  return wire::CreateNodeSnapshot(out, node.id, &disk_id, node.incarnation, host, node.port,
                                  node.registered_us, node.peer_port, node.roles, node.alive,
                                  node.draining);
}

std::shared_ptr<const SubscriptionRecord> read(const wire::SubscriptionSnapshot& from) {
  SubscriptionRecord s;
  s.id = from.id();
  s.name = from.name()->str();
  s.type = static_cast<protocol::SubscriptionType>(from.type());
  s.mode = static_cast<protocol::SubscriptionMode>(from.mode());
  s.start_kind = static_cast<protocol::StartKind>(from.start_kind());
  s.start_value = from.start_value();
  s.created_us = from.created_us();
  s.key_ordered = from.key_ordered();
  s.coordinator = from.coordinator();
  s.initial_partitions = from.initial_partitions();
  return std::make_shared<const SubscriptionRecord>(std::move(s));
}

std::shared_ptr<const ProducerRecord> read(const wire::ProducerSnapshot& from) {
  ProducerRecord p;
  p.name = from.name()->str();
  p.instance = static_cast<protocol::ProducerInstance>(from.instance());
  p.producer_id = from.producer_id();
  p.epoch = from.epoch();
  p.session = from.session();
  p.created_us = from.created_us();
  return std::make_shared<const ProducerRecord>(std::move(p));
}

std::shared_ptr<const NodeRecord> read(const wire::NodeSnapshot& from) {
  NodeRecord node;
  node.id = from.id();
  node.disk_id = from_wire(*from.disk_id());
  node.incarnation = from.incarnation();
  node.host = from.host()->str();
  node.port = from.port();
  node.registered_us = from.registered_us();
  node.peer_port = from.peer_port();
  node.roles = from.roles();
  node.alive = from.alive();
  node.draining = from.draining();
  return std::make_shared<const NodeRecord>(std::move(node));
}

// Node ids that stand one after the other for many lists.
class IdReader {
 public:
  explicit IdReader(const flatbuffers::Vector<NodeId>* ids) : ids_(ids) {}

  // False when there are not so many left.
  bool take(std::uint32_t count, std::vector<NodeId>& nodes) {
    if (count > size() - at_) return false;
    for (; count > 0; --count) nodes.push_back((*ids_)[at_++]);
    return true;
  }
  bool at_end() const { return at_ == size(); }

 private:
  std::uint32_t size() const { return ids_ == nullptr ? 0 : ids_->size(); }

  const flatbuffers::Vector<NodeId>* ids_;
  std::uint32_t at_ = 0;
};

// Snapshots of before there were clusters have none.
bool read_replication(const wire::TopicSnapshot& from, std::vector<PartitionRecord>& partitions) {
  IdReader ids(from.replication_nodes());
  if (from.replication() == nullptr) return ids.at_end();
  for (const wire::ReplicationSnapshot* r : *from.replication()) {
    if (r->partition() >= partitions.size()) return false;
    PartitionRecord& record = partitions[r->partition()];
    record.min_in_sync = r->min_in_sync();
    record.joining = r->joining();
    record.moving_from = r->moving_from();
    record.eligible.clear();
    record.observers.clear();
    if (!ids.take(r->eligible(), record.eligible) || !ids.take(r->observers(), record.observers)) {
      return false;
    }
  }
  return ids.at_end();
}

// False when the counts of copies do not add up to the ids that are there.
bool read_partitions(const wire::TopicSnapshot& from, Topic& topic) {
  IdReader ids(from.nodes());
  std::vector<PartitionRecord> partitions;
  partitions.reserve(from.partitions()->size());
  for (const wire::PartitionSnapshot* p : *from.partitions()) {
    PartitionRecord record;
    record.partition_id = p->partition_id();
    record.index = static_cast<std::uint32_t>(partitions.size());
    record.main = p->main();
    record.main_epoch = p->main_epoch();
    record.version = p->version();
    if (!ids.take(p->replicas(), record.replicas) || !ids.take(p->in_sync(), record.in_sync)) {
      return false;
    }
    partitions.push_back(std::move(record));
  }
  if (!ids.at_end() || !read_replication(from, partitions)) return false;
  topic.replication_factor = from.replication_factor();
  topic.async = from.async();
  topic.set_partitions(std::move(partitions));
  return true;
}

// Items that came in any order become an index; false when two share a key.
template <typename T, typename KeyOf>
bool fill(SharedIndex<T, KeyOf>& index, std::vector<std::shared_ptr<const T>> items) {
  const auto below = [](const auto& a, const auto& b) { return KeyOf::key(*a) < KeyOf::key(*b); };
  std::ranges::sort(items, below);
  const auto not_below = [&](const auto& a, const auto& b) { return !below(a, b); };
  if (std::ranges::adjacent_find(items, not_below) != items.end()) return false;
  index = SharedIndex<T, KeyOf>::from_sorted(std::move(items));
  return true;
}

// Before the topics, whose effective settings come from them.
bool read_scopes(const wire::ImageSnapshot& from, Image& image) {
  std::vector<std::shared_ptr<const Scope>> scopes;
  for (const wire::ScopeSnapshot* s : *from.scopes()) {
    auto where = LevelPath::parse(s->path()->string_view(), Level::kComponent);
    if (!where) return false;
    scopes.push_back(std::make_shared<const Scope>(Scope{
        std::move(*where), s->description()->str(), s->active(), s->created_us(), read_own(*s)}));
  }
  return fill(image.scopes, std::move(scopes));
}

// Snapshots of before there were named producers have neither.
bool read_producers(const wire::TopicSnapshot& from, Topic& topic) {
  std::vector<std::shared_ptr<const ProducerRecord>> producers;
  if (from.producers() != nullptr) {
    for (const auto* p : *from.producers()) producers.push_back(read(*p));
  }
  std::vector<std::shared_ptr<const ProducerFence>> fences;
  if (!is_aligned(from.fences())) return false;
  if (from.fences() != nullptr) {
    for (const auto* f : *from.fences()) {
      fences.push_back(
          std::make_shared<const ProducerFence>(ProducerFence{f->producer_id(), f->epoch()}));
    }
  }
  return fill(topic.producers, std::move(producers)) && fill(topic.fences, std::move(fences));
}

bool read_topics(const wire::ImageSnapshot& from, Image& image) {
  std::vector<std::shared_ptr<const Topic>> topics;
  for (const wire::TopicSnapshot* t : *from.topics()) {
    auto topic = std::make_shared<Topic>();
    topic->id = t->id();
    topic->name = {t->tenant()->str(), t->product()->str(), t->component()->str(),
                   t->topic()->str()};
    topic->created_us = t->created_us();
    topic->own = read_own(*t);
    topic->effective = effective_settings(image, *topic);
    if (!read_partitions(*t, *topic)) return false;
    std::vector<std::shared_ptr<const SubscriptionRecord>> subscriptions;
    for (const auto* s : *t->subscriptions()) subscriptions.push_back(read(*s));
    if (!fill(topic->subscriptions, std::move(subscriptions))) return false;
    if (!read_producers(*t, *topic)) return false;
    image.partition_count += topic->partitions().size();
    image.subscription_count += topic->subscriptions.size();
    image.loads.changed({}, topic->partitions());
    topics.push_back(std::move(topic));
  }
  return fill(image.topics, topics) && fill(image.topics_by_id, topics);
}

bool read_image(const wire::ImageSnapshot& from, Image& image) {
  image.cluster_id = from_wire(*from.cluster_id());
  image.position = from.position();
  image.chain_hash = from.chain_hash();
  image.next_topic_id = from.next_topic_id();
  image.next_partition_id = from.next_partition_id();
  image.next_subscription_id = from.next_subscription_id();
  image.next_producer_id = from.next_producer_id();
  image.balancing_paused = from.balancing_paused();
  image.group = from.group();
  std::vector<std::shared_ptr<const NodeRecord>> nodes;
  for (const wire::NodeSnapshot* n : *from.nodes()) nodes.push_back(read(*n));
  std::vector<std::shared_ptr<const AppliedCommand>> commands;
  if (!is_aligned(from.commands())) return false;
  for (const wire::CommandSnapshot* c : *from.commands()) {
    commands.push_back(std::make_shared<const AppliedCommand>(
        AppliedCommand{from_wire(c->id()), c->position(), c->result()}));
  }
  return fill(image.nodes, std::move(nodes)) && read_scopes(from, image) &&
         read_topics(from, image) && fill(image.commands, commands) &&
         fill(image.commands_by_position, commands) &&
         (from.version() < kFirstWithThisHash || image.hash() == from.state_hash());
}

}  // namespace

EntryBytes encode_snapshot(const Image& image) {
  FlatBufferBuilder out;
  std::vector<Offset<wire::NodeSnapshot>> nodes;
  for (const NodeRecord& node : image.nodes) nodes.push_back(write(out, node));
  std::vector<Offset<wire::TopicSnapshot>> topics;
  for (const Topic& topic : image.topics) topics.push_back(write(out, topic));
  std::vector<Offset<wire::ScopeSnapshot>> scopes;
  for (const Scope& scope : image.scopes) scopes.push_back(write(out, scope));
  std::vector<wire::CommandSnapshot> commands;
  for (const AppliedCommand& c : image.commands_by_position) {
    commands.emplace_back(to_wire(c.id), c.position, c.result);
  }
  const auto node_vector = out.CreateVector(nodes);
  const auto topic_vector = out.CreateVector(topics);
  const auto command_vector = out.CreateVectorOfStructs(commands);
  const auto scope_vector = out.CreateVector(scopes);
  const wire::Id128 cluster_id = to_wire(image.cluster_id);
  out.Finish(wire::CreateImageSnapshot(
      out, kSnapshotVersion, &cluster_id, image.position, image.chain_hash, image.next_topic_id,
      image.next_partition_id, image.next_subscription_id, image.next_producer_id, node_vector,
      topic_vector, command_vector, image.hash(), scope_vector, image.balancing_paused,
      image.group));
  return {out.GetBufferPointer(), out.GetBufferPointer() + out.GetSize()};
}

Result<std::shared_ptr<const Image>> decode_snapshot(ByteSpan bytes) {
  const auto damaged = [] {
    return fail(ErrorCode::kCorrupt, "the snapshot of the metadata is damaged");
  };
  // A table takes at least 8 bytes: no bound of its own is needed beside the size.
  flatbuffers::Verifier verifier(bytes.data(), bytes.size(), limits::kFrameVerifyDepth,
                                 static_cast<flatbuffers::uoffset_t>(bytes.size() / 8 + 1));
  if (!verifier.VerifyBuffer<wire::ImageSnapshot>()) return damaged();
  const auto& snapshot = *flatbuffers::GetRoot<wire::ImageSnapshot>(bytes.data());
  if (snapshot.version() < kOldestSnapshotVersion || snapshot.version() > kSnapshotVersion) {
    return fail(ErrorCode::kUnsupportedVersion,
                "the snapshot of the metadata has version " + std::to_string(snapshot.version()) +
                    ", this program knows " + std::to_string(kOldestSnapshotVersion) + " to " +
                    std::to_string(kSnapshotVersion));
  }
  auto image = std::make_shared<Image>();
  if (!read_image(snapshot, *image)) return damaged();
  return image;
}

}  // namespace andyx::server
