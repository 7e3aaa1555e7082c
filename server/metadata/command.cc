#include "server/metadata/command.h"

#include "server/metadata/wire.h"

namespace andyx::server {
namespace {

// One overload for each command: writes its table and answers with its place in the union.
class Encoder {
 public:
  explicit Encoder(flatbuffers::FlatBufferBuilder& out) : out_(out) {}

  using Written = std::pair<wire::Command, flatbuffers::Offset<void>>;

  Written operator()(const BootstrapCommand& c) {
    const wire::Id128 cluster_id = to_wire(c.cluster_id);
    return {wire::Command::Bootstrap, wire::CreateBootstrap(out_, &cluster_id).Union()};
  }
  Written operator()(const RegisterNodeCommand& c) {
    const wire::Id128 disk_id = to_wire(c.disk_id);
    const auto host = out_.CreateString(c.host);
    return {wire::Command::RegisterNode,
            wire::CreateRegisterNode(out_, c.node_id, &disk_id, c.incarnation, host, c.port,
                                     c.peer_port, c.roles, c.intact)
                .Union()};
  }
  Written operator()(const CreateTopicCommand& c) {
    const auto tenant = out_.CreateString(c.name.tenant);
    const auto product = out_.CreateString(c.name.product);
    const auto component = out_.CreateString(c.name.component);
    const auto topic = out_.CreateString(c.name.topic);
    const auto placement = out_.CreateVector(c.placement);
    return {wire::Command::CreateTopic,
            wire::CreateCreateTopic(out_, tenant, product, component, topic, c.partitions,
                                    c.replication_factor, placement, c.automatic, c.wanted_factor,
                                    c.async)
                .Union()};
  }
  Written operator()(const DeleteTopicCommand& c) {
    return {wire::Command::DeleteTopic, wire::CreateDeleteTopic(out_, c.topic_id).Union()};
  }
  Written operator()(const CreateSubscriptionCommand& c) {
    const auto name = out_.CreateString(c.name);
    return {wire::Command::CreateSubscription,
            wire::CreateCreateSubscription(
                out_, c.topic_id, name, static_cast<std::uint8_t>(c.type),
                static_cast<std::uint8_t>(c.mode), static_cast<std::uint8_t>(c.start_kind),
                c.start_value, c.key_ordered)
                .Union()};
  }
  Written operator()(const DeleteSubscriptionCommand& c) {
    return {wire::Command::DeleteSubscription,
            wire::CreateDeleteSubscription(out_, c.topic_id, c.subscription_id).Union()};
  }
  Written operator()(const ReserveProducerIdsCommand& c) {
    return {wire::Command::ReserveProducerIds,
            wire::CreateReserveProducerIds(out_, c.count).Union()};
  }
  Written operator()(const AlterTopicCommand& c) {
    const auto placement = out_.CreateVector(c.placement);
    return {
        wire::Command::AlterTopic,
        wire::CreateAlterTopic(out_, c.topic_id, c.replication_factor, placement, c.wanted_factor)
            .Union()};
  }
  Written operator()(const CreateScopeCommand& c) {
    const auto path = out_.CreateString(c.path);
    const auto description = out_.CreateString(c.description);
    return {wire::Command::CreateScope, wire::CreateCreateScope(out_, path, description).Union()};
  }
  Written operator()(const DeleteScopeCommand& c) {
    const auto path = out_.CreateString(c.path);
    return {wire::Command::DeleteScope, wire::CreateDeleteScope(out_, path).Union()};
  }
  Written operator()(const ActivateTenantCommand& c) {
    const auto tenant = out_.CreateString(c.tenant);
    return {wire::Command::ActivateTenant,
            wire::CreateActivateTenant(out_, tenant, c.active).Union()};
  }
  Written operator()(const SetSettingsCommand& c) {
    const auto path = out_.CreateString(c.path);
    const auto settings = write_settings(out_, c.settings);
    return {wire::Command::SetSettings, wire::CreateSetSettings(out_, path, settings).Union()};
  }
  Written operator()(const SetRetentionCommand& c) {
    const auto path = out_.CreateString(c.path);
    const auto policy = to_wire(c.policy.value_or(RetentionPolicy{}));
    return {wire::Command::SetRetention,
            wire::CreateSetRetention(out_, path, c.policy ? &policy : nullptr).Union()};
  }
  Written operator()(const CreateProducerCommand& c) {
    const auto name = out_.CreateString(c.name);
    return {
        wire::Command::CreateProducer,
        wire::CreateCreateProducer(out_, c.topic_id, name, static_cast<std::uint8_t>(c.instance))
            .Union()};
  }
  Written operator()(const OpenProducerCommand& c) {
    const auto name = out_.CreateString(c.name);
    return {wire::Command::OpenProducer,
            wire::CreateOpenProducer(out_, c.topic_id, name, static_cast<std::uint8_t>(c.instance),
                                     c.session, c.known_epoch)
                .Union()};
  }
  Written operator()(const DeleteProducerCommand& c) {
    const auto name = out_.CreateString(c.name);
    const auto open_ids = out_.CreateVector(c.open_ids);
    return {wire::Command::DeleteProducer,
            wire::CreateDeleteProducer(out_, c.topic_id, name, open_ids).Union()};
  }
  Written operator()(const NodeLostCommand& c) {
    return {wire::Command::NodeLost, wire::CreateNodeLost(out_, c.node_id, c.incarnation).Union()};
  }
  Written operator()(const NodeFoundCommand& c) {
    return {wire::Command::NodeFound,
            wire::CreateNodeFound(out_, c.node_id, c.incarnation).Union()};
  }
  Written operator()(const RemoveNodeCommand& c) {
    return {wire::Command::RemoveNode, wire::CreateRemoveNode(out_, c.node_id).Union()};
  }
  Written operator()(const DrainNodeCommand& c) {
    return {wire::Command::DrainNode, wire::CreateDrainNode(out_, c.node_id, c.on).Union()};
  }
  Written operator()(const PauseBalancingCommand& c) {
    return {wire::Command::PauseBalancing, wire::CreatePauseBalancing(out_, c.on).Union()};
  }
  Written operator()(const ChangeInSyncCommand& c) {
    std::vector<wire::ProposedMember> members;
    for (const SetProposal::Member& m : c.proposal.in_sync) {
      members.emplace_back(m.node, m.incarnation);
    }
    const auto in_sync = out_.CreateVectorOfStructs(members);
    return {wire::Command::ChangeInSync,
            wire::CreateChangeInSync(out_, c.topic_id, c.partition, c.proposal.main,
                                     c.proposal.main_epoch, c.proposal.version, in_sync)
                .Union()};
  }
  Written operator()(const ElectMainCommand& c) {
    return {wire::Command::ElectMain,
            wire::CreateElectMain(out_, c.topic_id, c.partition, c.node, c.main_epoch, c.forced)
                .Union()};
  }
  Written operator()(const ElectMainsCommand& c) {
    const auto avoid = out_.CreateVector(c.avoid);
    return {wire::Command::ElectMains, wire::CreateElectMains(out_, c.away_from, avoid).Union()};
  }
  Written operator()(const ChangeReplicasCommand& c) {
    return {wire::Command::ChangeReplicas,
            wire::CreateChangeReplicas(out_, c.topic_id, c.partition, c.version, c.add, c.remove,
                                       c.demote, c.observer, c.moving_from)
                .Union()};
  }

 private:
  flatbuffers::FlatBufferBuilder& out_;
};

}  // namespace

EntryBytes encode_entry(const EntryHead& head, const Command& command) {
  flatbuffers::FlatBufferBuilder out;
  const auto [kind, table] = std::visit(Encoder(out), command);
  const wire::Id128 command_id = to_wire(head.command_id);
  const wire::Id128 cluster_id = to_wire(head.cluster_id);
  out.Finish(wire::CreateEntry(out, kEntryVersion, &command_id, &cluster_id, head.time_us,
                               head.previous_hash, kind, table));
  return {out.GetBufferPointer(), out.GetBufferPointer() + out.GetSize()};
}

}  // namespace andyx::server
