#include "tests/raft/host/group.h"

#include <algorithm>
#include <future>
#include <sstream>
#include <thread>

#include "protocol/batch/checksum.h"
#include "tests/raft/host/memory_raft_store.h"

namespace andyx::raft {
namespace {

constexpr auto kLookAgain = std::chrono::milliseconds(2);

template <typename Value, typename Ask>
Value ask(Ask ask) {
  auto promise = std::make_shared<std::promise<Value>>();
  auto answer = promise->get_future();
  ask([promise](Value value) { promise->set_value(std::move(value)); });
  REQUIRE(answer.wait_for(kPatience) == std::future_status::ready);
  return answer.get();
}

}  // namespace

void wait_until(const std::string& what, const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) FAIL("waited in vain until " << what);
    std::this_thread::sleep_for(kLookAgain);
  }
}

// ---- State machine ----

Status TextMachine::apply(const Entry& entry) {
  std::lock_guard lock(mutex_);
  if (!refused_.empty() && text_of(entry.data) == refused_) {
    return fail(ErrorCode::kUnsupportedVersion, "an entry of a newer version");
  }
  texts_.push_back(text_of(entry.data));
  return {};
}

SharedBytes TextMachine::take_snapshot() {
  std::lock_guard lock(mutex_);
  std::ostringstream out;
  for (const auto& text : texts_) out << text.size() << ' ' << text;
  return bytes_of(out.str());
}

Status TextMachine::restore(const Snapshot& snapshot) {
  std::lock_guard lock(mutex_);
  texts_.clear();
  ++restored_;
  std::istringstream in(text_of(snapshot.data));
  for (std::size_t size = 0; in >> size;) {
    std::string text(size, '\0');
    in.get();
    in.read(text.data(), static_cast<std::streamsize>(size));
    texts_.push_back(std::move(text));
  }
  return {};
}

void TextMachine::clear() {
  std::lock_guard lock(mutex_);
  texts_.clear();
}

std::vector<std::string> TextMachine::texts() const {
  std::lock_guard lock(mutex_);
  return texts_;
}
std::size_t TextMachine::size() const {
  std::lock_guard lock(mutex_);
  return texts_.size();
}
std::uint64_t TextMachine::digest() const {
  std::lock_guard lock(mutex_);
  std::string all;
  for (const auto& text : texts_) all += text + '\n';
  return batch::checksum64(bytes_of(all).span());
}
void TextMachine::refuse(const std::string& text) {
  std::lock_guard lock(mutex_);
  refused_ = text;
}
int TextMachine::restored() const {
  std::lock_guard lock(mutex_);
  return restored_;
}

void LogLines::add(std::string line) {
  std::lock_guard lock(mutex_);
  lines_.push_back(std::move(line));
}
std::size_t LogLines::count(const std::string& part) const {
  std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::ranges::count_if(
      lines_, [&](const auto& line) { return line.find(part) != std::string::npos; }));
}
bool LogLines::contain(const std::string& part) const { return count(part) > 0; }

// ---- Group ----

Group::Group(std::size_t size, std::function<void(HostOptions&)> adjust)
    : bootstrap_size_(size), adjust_(std::move(adjust)) {
  for (PeerId id = 1; id <= size; ++id) add(id);
}

Group::~Group() {
  for (auto& [id, member] : members_) {
    member->disk->hang(false);
  }
}

Group::Member& Group::add(PeerId id) {
  auto member = std::make_unique<Member>();
  member->id = id;
  member->disk_id = "disk-" + std::to_string(id);
  member->disk = std::make_shared<MemoryDisk>();
  auto claimed = net::claim_address({.host = "127.0.0.1", .port = 0});
  REQUIRE(claimed.has_value());
  member->port = claimed->address().port;
  return *(members_[id] = std::move(member));
}

HostOptions Group::options(PeerId id) {
  Member& member = (*this)[id];
  HostOptions options;
  options.store.identity = {.cluster_id = "test", .peer = id, .disk_id = member.disk_id};
  options.listen = {.host = "127.0.0.1", .port = member.port};
  options.election_ticks = 25;  // patient: a busy machine should change no leader
  if (id <= bootstrap_size_) {
    for (PeerId voter = 1; voter <= bootstrap_size_; ++voter) {
      options.bootstrap_voters.push_back(voter);
    }
  }
  for (const auto& [peer, other] : members_) {
    options.peers.push_back({.id = peer, .address = {.host = "127.0.0.1", .port = other->port}});
  }
  options.log = [&member](LogLevel, std::string_view line) { member.log.add(std::string(line)); };
  options.open_store = [disk = member.disk](const StoreOptions&) {
    return Result<std::unique_ptr<RaftStore>>(std::make_unique<MemoryRaftStore>(disk));
  };
  if (adjust_) adjust_(options);
  return options;
}

Status Group::try_start(PeerId id) {
  Member& member = (*this)[id];
  member.machine.clear();
  auto started = RaftHost::start(options(id), member.machine);
  if (!started) return std::unexpected(started.error());
  member.host = std::move(*started);
  return {};
}

void Group::start(PeerId id) {
  Status started;
  // A connection of somebody else may have its port by chance, for a moment.
  wait_until("its port is free", [&] {
    started = try_start(id);
    return started || started.error().code != ErrorCode::kAddressInUse;
  });
  if (!started) FAIL("peer " << id << " does not start: " << started.error().message);
}

void Group::start_all() {
  for (const auto& [id, member] : members_) start(id);
}

void Group::wipe(PeerId id) {
  Member& member = (*this)[id];
  REQUIRE(member.host == nullptr);
  member.disk_id += "-new";
  member.disk = std::make_shared<MemoryDisk>();
}

PeerId Group::wait_for_leader() { return wait_for_leader_but(kNone); }

PeerId Group::wait_for_leader_but(PeerId not_this_one) {
  PeerId leader = kNone;
  wait_until("one leads and all know it", [&] {
    leader = kNone;
    Term term = 0;
    for (auto& [id, member] : members_) {
      if (member->host == nullptr || id == not_this_one) continue;
      const NodeStatus now = status(id);
      if (now.soft.leader == kNone || now.soft.leader == not_this_one) return false;
      if (leader != kNone && (now.soft.leader != leader || now.hard.term != term)) return false;
      leader = now.soft.leader;
      term = now.hard.term;
    }
    return leader != kNone && (*this)[leader].host != nullptr &&
           status(leader).soft.role == Role::kLeader;
  });
  return leader;
}

NodeStatus Group::status(PeerId id) {
  return ask<NodeStatus>([&](auto done) { (*this)[id]->status(std::move(done)); });
}

ProposalResult Group::propose(PeerId at, const std::string& text) {
  return ask<ProposalResult>(
      [&](auto done) { (*this)[at]->propose(bytes_of(text), std::move(done)); });
}

ProposalResult Group::change(PeerId at, ConfChangeType type, PeerId peer) {
  ConfChange change;
  change.changes = {{.type = type, .peer = peer}};
  return ask<ProposalResult>(
      [&](auto done) { (*this)[at]->propose_conf_change(change, std::move(done)); });
}

void Group::propose_until_applied(const std::string& text) {
  wait_until("a proposal is applied", [&] {
    const PeerId leader = wait_for_leader();
    return propose(leader, text).outcome == ProposalOutcome::kApplied;
  });
}

Result<Index> Group::read_index(PeerId at) {
  return ask<Result<Index>>([&](auto done) { (*this)[at]->read_index(std::move(done)); });
}

void Group::wait_for_text(PeerId id, const std::string& text) {
  wait_until("peer " + std::to_string(id) + " has '" + text.substr(0, 20) + "'",
             [&] { return std::ranges::count((*this)[id].machine.texts(), text) > 0; });
}

void Group::wait_for_equal(const std::vector<PeerId>& ids) {
  wait_until("the state machines are equal", [&] {
    return std::ranges::all_of(ids, [&](PeerId id) {
      return (*this)[id].machine.digest() == (*this)[ids.front()].machine.digest();
    });
  });
}

}  // namespace andyx::raft
