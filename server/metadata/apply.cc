#include "server/metadata/apply.h"

#include "protocol/base/limits.h"
#include "server/metadata/apply_commands.h"
#include "server/metadata/command.h"
#include "server/metadata/content_hash.h"
#include "server/metadata/wire.h"

namespace andyx::server {
namespace {

Outcome dispatch(Image& image, const wire::Entry& entry) {
  switch (entry.command_type()) {
    case wire::Command::Bootstrap:
      return apply_command(image, *entry.command_as_Bootstrap(), entry.time_us());
    case wire::Command::RegisterNode:
      return apply_command(image, *entry.command_as_RegisterNode(), entry.time_us());
    case wire::Command::CreateTopic:
      return apply_command(image, *entry.command_as_CreateTopic(), entry.time_us());
    case wire::Command::DeleteTopic:
      return apply_command(image, *entry.command_as_DeleteTopic(), entry.time_us());
    case wire::Command::CreateSubscription:
      return apply_command(image, *entry.command_as_CreateSubscription(), entry.time_us());
    case wire::Command::DeleteSubscription:
      return apply_command(image, *entry.command_as_DeleteSubscription(), entry.time_us());
    case wire::Command::ReserveProducerIds:
      return apply_command(image, *entry.command_as_ReserveProducerIds(), entry.time_us());
    case wire::Command::AlterTopic:
      return apply_command(image, *entry.command_as_AlterTopic(), entry.time_us());
    case wire::Command::CreateScope:
      return apply_command(image, *entry.command_as_CreateScope(), entry.time_us());
    case wire::Command::DeleteScope:
      return apply_command(image, *entry.command_as_DeleteScope(), entry.time_us());
    case wire::Command::ActivateTenant:
      return apply_command(image, *entry.command_as_ActivateTenant(), entry.time_us());
    case wire::Command::SetSettings:
      return apply_command(image, *entry.command_as_SetSettings(), entry.time_us());
    case wire::Command::SetRetention:
      return apply_command(image, *entry.command_as_SetRetention(), entry.time_us());
    case wire::Command::CreateProducer:
      return apply_command(image, *entry.command_as_CreateProducer(), entry.time_us());
    case wire::Command::OpenProducer:
      return apply_command(image, *entry.command_as_OpenProducer(), entry.time_us());
    case wire::Command::DeleteProducer:
      return apply_command(image, *entry.command_as_DeleteProducer(), entry.time_us());
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
