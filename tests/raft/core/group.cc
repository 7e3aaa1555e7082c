#include "tests/raft/core/group.h"

namespace andyx::raft::tests {

Group::Group(std::size_t size, const std::function<void(Config&)>& adjust) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->meta = {.index = 1, .term = 1, .conf = {}};
  for (PeerId id = 1; id <= size; id++) {
    snapshot->meta.conf.voters.push_back(id);
  }
  for (PeerId id = 1; id <= size; id++) {
    Peer peer{.storage = std::make_unique<MemoryLogStorage>()};
    peer.storage->apply_snapshot(snapshot);
    peer.config.id = id;
    peer.config.storage = peer.storage.get();
    peer.config.logger = &logger_;
    peer.config.draw = [](std::uint32_t bound) { return bound - 1; };
    if (adjust) {
      adjust(peer.config);
    }
    REQUIRE(invalid(peer.config) == nullptr);
    peer.core = std::make_unique<RawNode>(peer.config);
    peers_.push_back(std::move(peer));
  }
}

void Group::handle_ready(PeerId id) {
  Peer& peer = (*this)[id];
  peer.core->ready(peer.ready);
  const Ready& ready = peer.ready;
  if (ready.hard_state) {
    peer.storage->set_hard_state(*ready.hard_state);
  }
  if (ready.snapshot) {
    REQUIRE(peer.storage->apply_snapshot(ready.snapshot));
  }
  peer.storage->append(ready.entries);
  if (checked) {
    checked(peer, ready);
  }
  for (const Entry& entry : ready.committed) {
    peer.applied.push_back(entry);
    if (ConfChange change; entry.type != EntryType::kNormal) {
      REQUIRE(decode(entry.type, entry.data.span(), change));
      peer.core->apply_conf_change(change);
    }
  }
  peer.reads.insert(peer.reads.end(), ready.read_states.begin(), ready.read_states.end());
  for (Message& message : peer.ready.messages) {
    messages.push_back(std::move(message));
  }
  peer.core->advance();
}

void Group::deliver(PeerId id) {
  std::vector<Message> rest;
  std::vector<Message> taken;
  for (Message& message : messages) {
    (message.to == id ? taken : rest).push_back(std::move(message));
  }
  messages = std::move(rest);
  for (Message& message : taken) {
    if (!lose || !lose(message)) {
      static_cast<void>(core(id).step(std::move(message)));
    }
  }
}

void Group::settle() {
  for (bool moved = true; moved;) {
    moved = false;
    for (PeerId id = 1; id <= size(); id++) {
      if (core(id).has_ready()) {
        handle_ready(id);
        moved = true;
      }
    }
    moved = moved || !messages.empty();
    for (PeerId id = 1; id <= size(); id++) {
      deliver(id);
    }
    std::erase_if(messages, [&](const Message& message) { return message.to > size(); });
  }
}

void Group::elect(PeerId id) {
  REQUIRE(core(id).campaign());
  settle();
  REQUIRE(core(id).soft_state().role == Role::kLeader);
}

SharedBytes bytes_of(std::string_view text) {
  return SharedBytes::copy_of({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

}  // namespace andyx::raft::tests
