// A group of hosts on loopback, each with a disk that outlives it and a state machine that keeps
// what it was given. Waits for conditions, never for time.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "raft/host/raft_host.h"

namespace andyx::raft {

// Far more than any test needs; only a hang reaches it.
inline constexpr auto kPatience = std::chrono::seconds(60);

// Waits until `holds`, looking again every few milliseconds.
void wait_until(const std::string& what, const std::function<bool()>& holds);

inline SharedBytes bytes_of(const std::string& text) {
  return SharedBytes::copy_of({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}
inline std::string text_of(const SharedBytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Keeps every payload, in order. Its snapshot is all of them.
class TextMachine final : public StateMachine {
 public:
  Status apply(const Entry& entry) override;
  SharedBytes take_snapshot() override;
  Status restore(const Snapshot& snapshot) override;

  void clear();  // as a new process would find it
  std::vector<std::string> texts() const;
  std::size_t size() const;
  std::uint64_t digest() const;  // of all payloads in their order
  int restored() const;
  void refuse(const std::string& text);  // fails on it when it is to be applied

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> texts_;
  std::string refused_;
  int restored_ = 0;
};

struct LogLines {
  void add(std::string line);
  bool contain(const std::string& part) const;
  std::size_t count(const std::string& part) const;

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

class MemoryDisk;

class Group {
 public:
  struct Member {
    PeerId id = kNone;
    std::string disk_id;
    std::shared_ptr<MemoryDisk> disk;
    TextMachine machine;
    LogLines log;
    std::uint16_t port = 0;
    std::unique_ptr<RaftHost> host;  // null: stopped

    RaftHost* operator->() { return host.get(); }
  };

  // Members 1..size, not started. `adjust` may change their options before each start.
  explicit Group(std::size_t size, std::function<void(HostOptions&)> adjust = {});
  ~Group();

  Member& operator[](PeerId id) { return *members_.at(id); }
  // A member outside of the first configuration.
  Member& add(PeerId id);
  void start_all();
  void start(PeerId id);
  Status try_start(PeerId id);
  void stop(PeerId id) { (*this)[id].host.reset(); }
  void wipe(PeerId id);  // a new disk under the old id; stopped
  HostOptions options(PeerId id);

  // Waits until exactly one running member leads and all running members know it.
  PeerId wait_for_leader();
  PeerId wait_for_leader_but(PeerId not_this_one);
  NodeStatus status(PeerId id);
  ProposalResult propose(PeerId at, const std::string& text);
  ProposalResult change(PeerId at, ConfChangeType type, PeerId peer);
  // At the leader, again where it is refused or lost, until it is applied. The texts may then
  // stand more than once.
  void propose_until_applied(const std::string& text);
  Result<Index> read_index(PeerId at);
  void wait_for_text(PeerId id, const std::string& text);
  void wait_for_equal(const std::vector<PeerId>& ids);

 private:
  std::size_t bootstrap_size_;
  std::function<void(HostOptions&)> adjust_;
  std::map<PeerId, std::unique_ptr<Member>> members_;
};

}  // namespace andyx::raft
