#include "server/metadata/apply.h"

#include "protocol/base/limits.h"
#include "server/metadata/apply_commands.h"
#include "server/metadata/command.h"
#include "server/metadata/content_hash.h"
#include "server/metadata/wire.h"

namespace andyx::server {
namespace {

template <typename Table>
Outcome run(Image& image, const wire::Entry& entry) {
  return apply_command(image, *entry.command_as<Table>(), entry.time_us());
}

Outcome dispatch(Image& image, const wire::Entry& entry) {
  switch (entry.command_type()) {
    case wire::Command::Bootstrap:
      return run<wire::Bootstrap>(image, entry);
    case wire::Command::RegisterNode:
      return run<wire::RegisterNode>(image, entry);
    case wire::Command::CreateTopic:
      return run<wire::CreateTopic>(image, entry);
    case wire::Command::DeleteTopic:
      return run<wire::DeleteTopic>(image, entry);
    case wire::Command::CreateSubscription:
      return run<wire::CreateSubscription>(image, entry);
    case wire::Command::DeleteSubscription:
      return run<wire::DeleteSubscription>(image, entry);
    case wire::Command::ReserveProducerIds:
      return run<wire::ReserveProducerIds>(image, entry);
    case wire::Command::AlterTopic:
      return run<wire::AlterTopic>(image, entry);
    case wire::Command::CreateScope:
      return run<wire::CreateScope>(image, entry);
    case wire::Command::DeleteScope:
      return run<wire::DeleteScope>(image, entry);
    case wire::Command::ActivateTenant:
      return run<wire::ActivateTenant>(image, entry);
    case wire::Command::SetSettings:
      return run<wire::SetSettings>(image, entry);
    case wire::Command::SetRetention:
      return run<wire::SetRetention>(image, entry);
    case wire::Command::CreateProducer:
      return run<wire::CreateProducer>(image, entry);
    case wire::Command::OpenProducer:
      return run<wire::OpenProducer>(image, entry);
    case wire::Command::DeleteProducer:
      return run<wire::DeleteProducer>(image, entry);
    case wire::Command::NodeLost:
      return run<wire::NodeLost>(image, entry);
    case wire::Command::NodeFound:
      return run<wire::NodeFound>(image, entry);
    case wire::Command::RemoveNode:
      return run<wire::RemoveNode>(image, entry);
    case wire::Command::DrainNode:
      return run<wire::DrainNode>(image, entry);
    case wire::Command::PauseBalancing:
      return run<wire::PauseBalancing>(image, entry);
    case wire::Command::ChangeInSync:
      return run<wire::ChangeInSync>(image, entry);
    case wire::Command::ElectMain:
      return run<wire::ElectMain>(image, entry);
    case wire::Command::ElectMains:
      return run<wire::ElectMains>(image, entry);
    case wire::Command::ChangeReplicas:
      return run<wire::ChangeReplicas>(image, entry);
    case wire::Command::NONE:
      break;
  }
  return refused(ErrorCode::kInternal, "a metadata command that passed its checks is unknown");
}

void remember(Image& image, const Uuid& id, Position position, std::uint64_t result) {
  const auto command = std::make_shared<const AppliedCommand>(AppliedCommand{id, position, result});
  image.commands.put(command);
  image.commands_by_position.put(command);
  if (image.commands.size() <= limits::kCommandsRemembered) return;
  const AppliedCommand oldest = *image.commands_by_position.begin();
  image.commands.erase(oldest.id);
  image.commands_by_position.erase(oldest.position);
}

std::string at(const Image& image) {
  return "the metadata log at position " + std::to_string(image.position) + " ";
}

Status check_entry(const Image& image, const wire::Entry& entry) {
  if (entry.version() == 0 || entry.version() > kEntryVersion) {
    return fail(ErrorCode::kUnsupportedVersion,
                at(image) + "holds an entry of version " + std::to_string(entry.version()) +
                    ", this program knows up to " + std::to_string(kEntryVersion));
  }
  const auto kind = entry.command_type();
  if (kind < wire::Command::MIN || kind > wire::Command::MAX || kind == wire::Command::NONE) {
    return fail(ErrorCode::kUnsupportedVersion,
                at(image) + "holds a command that this program does not know, number " +
                    std::to_string(static_cast<unsigned>(kind)));
  }
  if (entry.previous_hash() != image.chain_hash) {
    return fail(ErrorCode::kCorrupt, at(image) + "does not continue what came before: hash " +
                                         std::to_string(entry.previous_hash()) + " instead of " +
                                         std::to_string(image.chain_hash));
  }
  Uuid expected = image.cluster_id;
  if (expected.is_zero()) {
    if (kind != wire::Command::Bootstrap) {
      return fail(ErrorCode::kCorrupt, at(image) + "has no bootstrap before its first command");
    }
    expected = from_wire(*entry.command_as_Bootstrap()->cluster_id());
  }
  const Uuid cluster = from_wire(*entry.cluster_id());
  if (cluster == expected) return {};
  return fail(ErrorCode::kWrongCluster,
              at(image) + "belongs to cluster " + cluster.text() + ", not to " + expected.text());
}

}  // namespace

std::uint64_t hash_of_entry(ByteSpan entry) { return xxh3_64(entry); }

Applied apply_verified(const Image& image, const wire::Entry& entry, std::uint64_t entry_hash) {
  auto next = std::make_shared<Image>(image);
  const Uuid id = from_wire(*entry.command_id());
  Outcome outcome;
  if (const auto repeated = image.commands.find(id)) {
    outcome.result = repeated->result;
  } else {
    outcome = dispatch(*next, entry);
    if (outcome.status) remember(*next, id, image.position, outcome.result);
  }
  next->position = image.position + 1;
  next->chain_hash = entry_hash;
  return {std::move(next), std::move(outcome)};
}

Result<Applied> apply_entry(const Image& image, ByteSpan bytes) {
  flatbuffers::Verifier verifier(bytes.data(), bytes.size(), limits::kFrameVerifyDepth,
                                 limits::kFrameVerifyTables);
  if (!verifier.VerifyBuffer<wire::Entry>()) {
    return fail(ErrorCode::kCorrupt, at(image) + "holds bytes that are no entry");
  }
  const wire::Entry& entry = *flatbuffers::GetRoot<wire::Entry>(bytes.data());
  if (auto status = check_entry(image, entry); !status) return std::unexpected(status.error());
  return apply_verified(image, entry, hash_of_entry(bytes));
}

}  // namespace andyx::server
