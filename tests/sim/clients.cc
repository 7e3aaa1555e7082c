#include "tests/sim/clients.h"

#include <algorithm>
#include <string>

#include "tests/sim/violation.h"

namespace andyx::raft::sim {

namespace {

constexpr std::uint64_t kClientStream = 3;
constexpr std::uint32_t kMaxAttempts = 4;
constexpr std::size_t kAudits = 16;  // whose answers are waited for

}  // namespace

Clients::Clients(const Options& options, const Checker& checker)
    : options_(options),
      checker_(checker),
      rng_(options.seed, kClientStream),
      clients_(options.clients),
      audits_(kAudits) {}

void Clients::invent(std::uint32_t id, Client& client) {
  const std::uint32_t sequence = client.request.command.sequence;
  client.request = {};
  client.request.command.sequence = sequence;
  client.request.read = rng_.permille(350);
  if (client.request.read) {
    return;
  }
  Command& command = client.request.command;
  command.client = id;
  command.sequence = sequence + 1;
  command.key = static_cast<std::uint32_t>(rng_.below(kKeys));
  command.op = rng_.permille(500) ? Op::kPut : Op::kCompareAndSet;
  command.expected = checker_.value_at(command.key, checker_.applied_anywhere());
  command.value = ++values_;
  client.request.padding_bytes = rng_.permille(100) ? rng_.below(300) : 0;
}

Clients::Request Clients::next(std::uint32_t id, const std::vector<PeerId>& peers) {
  Client& client = clients_[id];
  if (!client.waiting || client.request.read || ++client.attempts >= kMaxAttempts) {
    // A write that is given up may still take effect: nothing is known of it.
    invent(id, client);
    client.waiting = true;
    client.attempts = 0;
    client.after = finished_;
  }
  client.committed = checker_.committed();
  client.request.context = ++contexts_;
  const bool known = std::find(peers.begin(), peers.end(), leader_) != peers.end();
  client.request.peer = known && rng_.permille(700) ? leader_ : rng_.pick(peers);
  return client.request;
}

Time Clients::pause(std::uint32_t id) {
  if (clients_[id].waiting) {
    return rng_.between(300 * kMillisecond, 2 * kSecond);
  }
  return rng_.below(options_.think_max) + 1;
}

void Clients::finish(Client& client, Index position) {
  finished_ = std::max(finished_, position);
  client.waiting = false;
  answered_++;
  done_.push_back(static_cast<std::uint32_t>(&client - clients_.data()));
}

void Clients::applied(PeerId peer, const Command& command, const Machine& machine) {
  if (command.client >= clients_.size()) {
    return;
  }
  Client& client = clients_[command.client];
  if (!client.waiting || client.request.read || client.request.peer != peer ||
      client.request.command.sequence != command.sequence) {
    return;
  }
  const Outcome& outcome = machine.outcome(command.client);
  if (outcome.sequence != command.sequence) {
    return;
  }
  if (outcome.index <= client.after) {
    violated("linearizability", "a write at index " + std::to_string(outcome.index) +
                                    " began after one at index " + std::to_string(client.after) +
                                    " was answered");
  }
  const std::uint64_t before = checker_.value_at(command.key, outcome.index - 1);
  const bool fits = command.op == Op::kPut || before == command.expected;
  if (outcome.seen != before || outcome.ok != fits) {
    violated("linearizability", "the write at index " + std::to_string(outcome.index) +
                                    " did not see what stood before it");
  }
  finish(client, outcome.index);
}

void Clients::check_index(PeerId peer, Index index, Index committed) const {
  if (index < committed) {
    violated("no stale read", "peer " + std::to_string(peer) + " reads at index " +
                                  std::to_string(index) + ", committed when asked was index " +
                                  std::to_string(committed));
  }
}

void Clients::read_indexed(PeerId peer, std::uint64_t context, Index index) {
  for (const Client& client : clients_) {
    if (client.waiting && client.request.read && client.request.context == context &&
        client.request.peer == peer) {
      check_index(peer, index, client.committed);
    }
  }
  for (const Audit& audit : audits_) {
    if (audit.context == context && audit.peer == peer) {
      check_index(peer, index, audit.committed);
    }
  }
}

std::uint64_t Clients::audit(PeerId peer) {
  audits_[next_audit_++ % audits_.size()] = {
      .peer = peer, .context = ++contexts_, .committed = checker_.committed()};
  return contexts_;
}

void Clients::read_done(PeerId peer, std::uint64_t context, const Machine& machine) {
  for (Client& client : clients_) {
    if (!client.waiting || !client.request.read || client.request.context != context ||
        client.request.peer != peer) {
      continue;
    }
    if (machine.applied() < client.after) {
      violated("linearizability", "a read at index " + std::to_string(machine.applied()) +
                                      " began after an operation at index " +
                                      std::to_string(client.after) + " was answered");
    }
    for (std::size_t key = 0; key < kKeys; key++) {
      if (machine.value(key) != checker_.value_at(key, machine.applied())) {
        violated("linearizability", "a read at index " + std::to_string(machine.applied()) +
                                        " saw what was never there");
      }
    }
    finish(client, machine.applied());
  }
}

}  // namespace andyx::raft::sim
