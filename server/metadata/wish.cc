#include "server/metadata/wish.h"

#include <string>
#include <utility>

#include "protocol/base/limits.h"
#include "server/metadata/aligned.h"
#include "wish_generated.h"

namespace andyx::server {
namespace {

constexpr std::size_t kAlternatives = 27;
static_assert(std::variant_size_v<Wish> == kAlternatives,
              "a new alternative of Wish: see wish.h for what it needs");
static_assert(static_cast<std::size_t>(wish::Body::MAX) == kAlternatives);

wish::Id128 to_wire(const Uuid& id) { return {id.hi, id.lo}; }
Uuid from_wire(const wish::Id128& id) { return {id.hi(), id.lo()}; }

// One overload for each alternative. The bindings name every field: one more does not compile.
class Encoder {
 public:
  explicit Encoder(flatbuffers::FlatBufferBuilder& out) : out_(out) {}

  using Written = std::pair<wish::Body, flatbuffers::Offset<void>>;

  Written operator()(const BootstrapCommand& c) {
    const auto& [cluster_id] = c;
    const wish::Id128 id = to_wire(cluster_id);
    return {wish::Body::Bootstrap, wish::CreateBootstrap(out_, &id).Union()};
  }
  Written operator()(const RegisterNodeCommand& c) {
    const auto& [node_id, disk_id, incarnation, host, port, peer_port, roles, intact] = c;
    const wish::Id128 disk = to_wire(disk_id);
    return {wish::Body::RegisterNode,
            wish::CreateRegisterNode(out_, node_id, &disk, incarnation, text(host), port, peer_port,
                                     roles, intact)
                .Union()};
  }
  Written operator()(const TopicProposal& c) {
    const auto& [name, partitions, if_exists, automatic, replication_factor, async] = c;
    return {wish::Body::CreateTopic,
            wish::CreateCreateTopic(out_, path(name), partitions, answers(if_exists), automatic,
                                    replication_factor, async)
                .Union()};
  }
  Written operator()(const TopicDeletion& c) {
    const auto& [name] = c;
    return {wish::Body::DeleteTopic, wish::CreateDeleteTopic(out_, path(name)).Union()};
  }
  Written operator()(const SubscriptionProposal& c) {
    const auto& [topic, command, if_exists] = c;
    const auto& [topic_id, name, type, mode, start_kind, start_value, key_ordered] = command;
    return {wish::Body::CreateSubscription,
            wish::CreateCreateSubscription(out_, path(topic), text(name), number(type),
                                           number(mode), number(start_kind), start_value,
                                           key_ordered, answers(if_exists))
                .Union()};
  }
  Written operator()(const SubscriptionDeletion& c) {
    const auto& [topic, name] = c;
    return {wish::Body::DeleteSubscription,
            wish::CreateDeleteSubscription(out_, path(topic), text(name)).Union()};
  }
  Written operator()(const ReserveProducerIdsCommand& c) {
    const auto& [count] = c;
    return {wish::Body::ReserveProducerIds, wish::CreateReserveProducerIds(out_, count).Union()};
  }
  Written operator()(const TopicAlteration& c) {
    const auto& [name, partitions, replication_factor] = c;
    return {wish::Body::AlterTopic,
            wish::CreateAlterTopic(out_, path(name), partitions, replication_factor).Union()};
  }
  Written operator()(const CreateScopeCommand& c) {
    const auto& [where, description] = c;
    return {wish::Body::CreateScope,
            wish::CreateCreateScope(out_, text(where), text(description)).Union()};
  }
  Written operator()(const DeleteScopeCommand& c) {
    const auto& [where] = c;
    return {wish::Body::DeleteScope, wish::CreateDeleteScope(out_, text(where)).Union()};
  }
  Written operator()(const ActivateTenantCommand& c) {
    const auto& [tenant, active] = c;
    return {wish::Body::ActivateTenant,
            wish::CreateActivateTenant(out_, text(tenant), active).Union()};
  }
  Written operator()(const SetSettingsCommand& c) {
    const auto& [where, settings] = c;
    std::vector<flatbuffers::Offset<wish::Setting>> written;
    for (const auto& [key, value] : settings) {
      written.push_back(wish::CreateSetting(out_, text(key), text(value)));
    }
    return {wish::Body::SetSettings,
            wish::CreateSetSettings(out_, text(where), out_.CreateVector(written)).Union()};
  }
  Written operator()(const SetRetentionCommand& c) {
    const auto& [where, policy] = c;
    if (!policy)
      return {wish::Body::SetRetention, wish::CreateSetRetention(out_, text(where)).Union()};
    const auto& [soft_ms, hard_ms, size_bytes] = *policy;
    const wish::Retention retention(soft_ms, hard_ms, size_bytes);
    return {wish::Body::SetRetention,
            wish::CreateSetRetention(out_, text(where), &retention).Union()};
  }
  Written operator()(const ProducerProposal& c) {
    const auto& [topic, command] = c;
    const auto& [topic_id, name, instance] = command;
    return {wish::Body::CreateProducer,
            wish::CreateCreateProducer(out_, path(topic), text(name), number(instance)).Union()};
  }
  Written operator()(const ProducerOpening& c) {
    const auto& [topic, command] = c;
    const auto& [topic_id, name, instance, session, known_epoch] = command;
    return {wish::Body::OpenProducer,
            wish::CreateOpenProducer(out_, path(topic), text(name), number(instance), session,
                                     known_epoch)
                .Union()};
  }
  Written operator()(const ProducerDeletion& c) {
    const auto& [topic, command] = c;
    const auto& [topic_id, name, open_ids] = command;
    return {wish::Body::DeleteProducer,
            wish::CreateDeleteProducer(out_, path(topic), text(name), out_.CreateVector(open_ids))
                .Union()};
  }
  Written operator()(const NodeLostCommand& c) {
    const auto& [node_id, incarnation] = c;
    return {wish::Body::NodeLost, wish::CreateNodeLost(out_, node_id, incarnation).Union()};
  }
  Written operator()(const NodeFoundCommand& c) {
    const auto& [node_id, incarnation] = c;
    return {wish::Body::NodeFound, wish::CreateNodeFound(out_, node_id, incarnation).Union()};
  }
  Written operator()(const RemoveNodeCommand& c) {
    const auto& [node_id] = c;
    return {wish::Body::RemoveNode, wish::CreateRemoveNode(out_, node_id).Union()};
  }
  Written operator()(const DrainNodeCommand& c) {
    const auto& [node_id, on] = c;
    return {wish::Body::DrainNode, wish::CreateDrainNode(out_, node_id, on).Union()};
  }
  Written operator()(const PauseBalancingCommand& c) {
    const auto& [on] = c;
    return {wish::Body::PauseBalancing, wish::CreatePauseBalancing(out_, on).Union()};
  }
  Written operator()(const ChangeInSyncCommand& c) {
    const auto& [topic_id, partition, proposal] = c;
    const auto& [main, main_epoch, version, in_sync] = proposal;
    std::vector<wish::Member> members;
    for (const auto& [node, incarnation] : in_sync) members.emplace_back(node, incarnation);
    return {wish::Body::ChangeInSync,
            wish::CreateChangeInSync(out_, topic_id, partition, main, main_epoch, version,
                                     out_.CreateVectorOfStructs(members))
                .Union()};
  }
  Written operator()(const ElectMainCommand& c) {
    const auto& [topic_id, partition, node, main_epoch, forced] = c;
    return {wish::Body::ElectMain,
            wish::CreateElectMain(out_, topic_id, partition, node, main_epoch, forced).Union()};
  }
  Written operator()(const ElectMainsCommand& c) {
    const auto& [away_from, avoid] = c;
    return {wish::Body::ElectMains,
            wish::CreateElectMains(out_, away_from, out_.CreateVector(avoid)).Union()};
  }
  Written operator()(const ChangeReplicasCommand& c) {
    const auto& [topic_id, partition, version, add, remove, demote, observer, moving_from] = c;
    return {wish::Body::ChangeReplicas,
            wish::CreateChangeReplicas(out_, topic_id, partition, version, add, remove, demote,
                                       observer, moving_from)
                .Union()};
  }
  Written operator()(const PartitionMove& c) {
    const auto& [topic, partition, from, to] = c;
    return {wish::Body::PartitionMove,
            wish::CreatePartitionMove(out_, path(topic), partition, from, to).Union()};
  }
  Written operator()(const PartitionElect& c) {
    const auto& [topic, partition, to, forced] = c;
    return {wish::Body::PartitionElect,
            wish::CreatePartitionElect(out_, path(topic), partition, to, forced).Union()};
  }

 private:
  flatbuffers::Offset<flatbuffers::String> text(const std::string& value) {
    return out_.CreateString(value);
  }
  flatbuffers::Offset<wish::TopicPath> path(const TopicName& name) {
    const auto& [tenant, product, component, topic] = name;
    return wish::CreateTopicPath(out_, text(tenant), text(product), text(component), text(topic));
  }
  static bool answers(IfExists if_exists) { return if_exists == IfExists::kAnswer; }
  template <typename Enum>
  static std::uint8_t number(Enum value) {
    return static_cast<std::uint8_t>(value);
  }

  flatbuffers::FlatBufferBuilder& out_;
};

TopicName name_of(const wish::TopicPath& path) {
  return {path.tenant()->str(), path.product()->str(), path.component()->str(),
          path.topic()->str()};
}
IfExists if_exists(bool answers) { return answers ? IfExists::kAnswer : IfExists::kRefuse; }

// One overload for each member of the union.
class Decoder {
 public:
  Wish operator()(const wish::Bootstrap& w) const {
    return BootstrapCommand{from_wire(*w.cluster_id())};
  }
  Wish operator()(const wish::RegisterNode& w) const {
    return RegisterNodeCommand{
        w.node_id(), from_wire(*w.disk_id()), w.incarnation(), w.host()->str(),
        w.port(),    w.peer_port(),           w.roles(),       w.intact()};
  }
  Wish operator()(const wish::CreateTopic& w) const {
    return TopicProposal{name_of(*w.name()), w.partitions(),         if_exists(w.answer_existing()),
                         w.automatic(),      w.replication_factor(), w.async()};
  }
  Wish operator()(const wish::DeleteTopic& w) const { return TopicDeletion{name_of(*w.name())}; }
  Wish operator()(const wish::CreateSubscription& w) const {
    return SubscriptionProposal{
        name_of(*w.topic()),
        {0, w.name()->str(), static_cast<protocol::SubscriptionType>(w.type()),
         static_cast<protocol::SubscriptionMode>(w.mode()),
         static_cast<protocol::StartKind>(w.start_kind()), w.start_value(), w.key_ordered()},
        if_exists(w.answer_existing())};
  }
  Wish operator()(const wish::DeleteSubscription& w) const {
    return SubscriptionDeletion{name_of(*w.topic()), w.name()->str()};
  }
  Wish operator()(const wish::ReserveProducerIds& w) const {
    return ReserveProducerIdsCommand{w.count()};
  }
  Wish operator()(const wish::AlterTopic& w) const {
    return TopicAlteration{name_of(*w.name()), w.partitions(), w.replication_factor()};
  }
  Wish operator()(const wish::CreateScope& w) const {
    return CreateScopeCommand{w.path()->str(), w.description()->str()};
  }
  Wish operator()(const wish::DeleteScope& w) const { return DeleteScopeCommand{w.path()->str()}; }
  Wish operator()(const wish::ActivateTenant& w) const {
    return ActivateTenantCommand{w.tenant()->str(), w.active()};
  }
  Wish operator()(const wish::SetSettings& w) const {
    SetSettingsCommand command{w.path()->str(), {}};
    for (const auto* one : *w.settings()) {
      command.settings.emplace_back(one->key()->str(), one->value()->str());
    }
    return command;
  }
  Wish operator()(const wish::SetRetention& w) const {
    SetRetentionCommand command{w.path()->str(), {}};
    if (const auto* policy = w.retention()) {
      command.policy = RetentionPolicy{policy->soft_ms(), policy->hard_ms(), policy->size_bytes()};
    }
    return command;
  }
  Wish operator()(const wish::CreateProducer& w) const {
    return ProducerProposal{
        name_of(*w.topic()),
        {0, w.name()->str(), static_cast<protocol::ProducerInstance>(w.instance())}};
  }
  Wish operator()(const wish::OpenProducer& w) const {
    return ProducerOpening{
        name_of(*w.topic()),
        {0, w.name()->str(), static_cast<protocol::ProducerInstance>(w.instance()), w.session(),
         w.known_epoch()}};
  }
  Wish operator()(const wish::DeleteProducer& w) const {
    return ProducerDeletion{name_of(*w.topic()),
                            {0, w.name()->str(), {w.open_ids()->begin(), w.open_ids()->end()}}};
  }
  Wish operator()(const wish::NodeLost& w) const {
    return NodeLostCommand{w.node_id(), w.incarnation()};
  }
  Wish operator()(const wish::NodeFound& w) const {
    return NodeFoundCommand{w.node_id(), w.incarnation()};
  }
  Wish operator()(const wish::RemoveNode& w) const { return RemoveNodeCommand{w.node_id()}; }
  Wish operator()(const wish::DrainNode& w) const { return DrainNodeCommand{w.node_id(), w.on()}; }
  Wish operator()(const wish::PauseBalancing& w) const { return PauseBalancingCommand{w.on()}; }
  Wish operator()(const wish::ChangeInSync& w) const {
    ChangeInSyncCommand command{
        w.topic_id(), w.partition(), {w.main(), w.main_epoch(), w.version(), {}}};
    for (const auto* member : *w.in_sync())
      command.proposal.in_sync.push_back({member->node(), member->incarnation()});
    return command;
  }
  Wish operator()(const wish::ElectMain& w) const {
    return ElectMainCommand{w.topic_id(), w.partition(), w.node(), w.main_epoch(), w.forced()};
  }
  Wish operator()(const wish::ElectMains& w) const {
    return ElectMainsCommand{w.away_from(), {w.avoid()->begin(), w.avoid()->end()}};
  }
  Wish operator()(const wish::ChangeReplicas& w) const {
    return ChangeReplicasCommand{w.topic_id(), w.partition(), w.version(),  w.add(),
                                 w.remove(),   w.demote(),    w.observer(), w.moving_from()};
  }
  Wish operator()(const wish::PartitionMove& w) const {
    return PartitionMove{name_of(*w.topic()), w.partition(), w.from(), w.to()};
  }
  Wish operator()(const wish::PartitionElect& w) const {
    return PartitionElect{name_of(*w.topic()), w.partition(), w.to(), w.forced()};
  }
};

std::optional<Wish> decode_body(const wish::Wish& from) {
  const Decoder decode;
  switch (from.body_type()) {
    case wish::Body::Bootstrap:
      return decode(*from.body_as_Bootstrap());
    case wish::Body::RegisterNode:
      return decode(*from.body_as_RegisterNode());
    case wish::Body::CreateTopic:
      return decode(*from.body_as_CreateTopic());
    case wish::Body::DeleteTopic:
      return decode(*from.body_as_DeleteTopic());
    case wish::Body::CreateSubscription:
      return decode(*from.body_as_CreateSubscription());
    case wish::Body::DeleteSubscription:
      return decode(*from.body_as_DeleteSubscription());
    case wish::Body::ReserveProducerIds:
      return decode(*from.body_as_ReserveProducerIds());
    case wish::Body::AlterTopic:
      return decode(*from.body_as_AlterTopic());
    case wish::Body::CreateScope:
      return decode(*from.body_as_CreateScope());
    case wish::Body::DeleteScope:
      return decode(*from.body_as_DeleteScope());
    case wish::Body::ActivateTenant:
      return decode(*from.body_as_ActivateTenant());
    case wish::Body::SetSettings:
      return decode(*from.body_as_SetSettings());
    case wish::Body::SetRetention:
      return decode(*from.body_as_SetRetention());
    case wish::Body::CreateProducer:
      return decode(*from.body_as_CreateProducer());
    case wish::Body::OpenProducer:
      return decode(*from.body_as_OpenProducer());
    case wish::Body::DeleteProducer:
      return decode(*from.body_as_DeleteProducer());
    case wish::Body::NodeLost:
      return decode(*from.body_as_NodeLost());
    case wish::Body::NodeFound:
      return decode(*from.body_as_NodeFound());
    case wish::Body::RemoveNode:
      return decode(*from.body_as_RemoveNode());
    case wish::Body::DrainNode:
      return decode(*from.body_as_DrainNode());
    case wish::Body::PauseBalancing:
      return decode(*from.body_as_PauseBalancing());
    case wish::Body::ChangeInSync:
      return decode(*from.body_as_ChangeInSync());
    case wish::Body::ElectMain:
      return decode(*from.body_as_ElectMain());
    case wish::Body::ElectMains:
      return decode(*from.body_as_ElectMains());
    case wish::Body::ChangeReplicas:
      return decode(*from.body_as_ChangeReplicas());
    case wish::Body::PartitionMove:
      return decode(*from.body_as_PartitionMove());
    case wish::Body::PartitionElect:
      return decode(*from.body_as_PartitionElect());
    case wish::Body::NONE:
      break;
  }
  return std::nullopt;  // NONE, or of a newer program
}

}  // namespace

std::vector<std::uint8_t> encode_wish(const Wish& wish) {
  flatbuffers::FlatBufferBuilder out;
  const auto [type, body] = std::visit(Encoder(out), wish);
  out.Finish(wish::CreateWish(out, kWishVersion, type, body));
  return {out.GetBufferPointer(), out.GetBufferPointer() + out.GetSize()};
}

Result<Wish> decode_wish(ByteSpan bytes) {
  const std::vector<std::uint8_t> aligned(bytes.begin(), bytes.end());
  flatbuffers::Verifier verifier(aligned.data(), aligned.size(), limits::kFrameVerifyDepth,
                                 limits::kFrameVerifyTables);
  if (!wish::VerifyWishBuffer(verifier)) {
    return fail(ErrorCode::kBadArgument, "a change of the metadata that was passed on is damaged");
  }
  const wish::Wish& from = *wish::GetWish(aligned.data());
  const auto* producer = from.body_as_DeleteProducer();
  const auto* in_sync = from.body_as_ChangeInSync();
  if ((producer != nullptr && !is_aligned(producer->open_ids())) ||
      (in_sync != nullptr && !is_aligned(in_sync->in_sync()))) {
    return fail(ErrorCode::kBadArgument, "a change of the metadata that was passed on is damaged");
  }
  auto decoded = from.version() <= kWishVersion ? decode_body(from) : std::nullopt;
  if (decoded) return std::move(*decoded);
  return fail(ErrorCode::kUnsupportedVersion,
              "a change of the metadata was passed on by a node of a newer version, " +
                  std::to_string(from.version()) + ": upgrade this node as well");
}

}  // namespace andyx::server
