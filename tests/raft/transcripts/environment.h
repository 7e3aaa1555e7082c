// A group of nodes for interaction transcripts: cores on in-memory storage with an 'appender' state
// machine, and one pool of messages in flight.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "raft/core/memory_log_storage.h"
#include "raft/core/raw_node.h"

namespace andyx::raft::transcripts {

// Collects what a directive prints. Level kNone silences everything.
class Output final : public Logger {
 public:
  static constexpr int kNone = 5;

  bool enabled(LogLevel level) const override { return static_cast<int>(level) >= level_; }
  void log(LogLevel level, std::string_view line) override;
  [[noreturn]] void panic(std::string_view line) override;  // throws Panic

  void print(std::string_view text) {
    if (!quiet()) {
      text_ += text;
    }
  }
  bool quiet() const { return level_ == kNone; }
  int level() const { return level_; }
  void set_level(int level) { level_ = level; }
  std::string take() { return std::exchange(text_, {}); }
  // What `body` prints, each line indented by two.
  template <typename Body>
  void indented(const Body& body) {
    std::string outer = take();
    body();
    const std::string inner = take();
    text_ = std::move(outer);
    add_indented(inner);
  }

 private:
  void add_indented(const std::string& inner);

  std::string text_;
  int level_ = 0;
};

struct Panic {
  std::string text;
};

// The newest snapshot is the newest state of the state machine.
class HistoryStorage final : public LogStorage {
 public:
  InitialState initial_state() const override { return log.initial_state(); }
  Index first_index() const override { return log.first_index(); }
  Index last_index() const override { return log.last_index(); }
  std::expected<Term, LogFault> term(Index index) const override { return log.term(index); }
  std::expected<std::vector<Entry>, LogFault> entries(Index low, Index high,
                                                      std::uint64_t max_bytes) const override {
    return log.entries(low, high, max_bytes);
  }
  std::expected<SnapshotPtr, LogFault> snapshot() const override { return history.back(); }

  MemoryLogStorage log;
  std::vector<SnapshotPtr> history;  // of the state machine, one for each applied entry
};

struct Node {
  Config config;
  std::unique_ptr<HistoryStorage> storage;
  std::unique_ptr<RawNode> core;
  std::deque<Message> append_work;
  std::deque<Message> apply_work;
};

class Environment {
 public:
  Output& output() { return output_; }
  Node& node(PeerId id);  // throws BadDirective when there is none
  std::size_t size() const { return nodes_.size(); }

  // Errors are texts that stand in the transcript.
  using Outcome = std::expected<void, std::string>;

  Outcome add_nodes(std::uint64_t count, const Config& config, const Snapshot& snapshot);
  void deliver(PeerId to, bool drop, std::optional<MessageType> type);
  bool has_messages(PeerId to) const;
  std::size_t handled() const { return handled_; }  // messages delivered or dropped so far
  void send(Message message) { messages_.push_back(std::move(message)); }
  Outcome process_ready(PeerId id);
  Outcome process_append(PeerId id);
  Outcome process_apply(PeerId id);
  Outcome stabilize(const std::vector<PeerId>& ids);
  // A crash: what was not written is gone, and so are messages in flight to its threads.
  void restart(PeerId id);

 private:
  Outcome persist(Node& node, const HardState& hard, const std::vector<Entry>& entries,
                  const SnapshotPtr& snapshot);
  Outcome apply(Node& node, const std::vector<Entry>& entries);
  void respond(std::vector<Message> responses);  // of storage work that is done
  bool stabilize_readies(const std::vector<PeerId>& ids, Outcome& outcome);
  bool stabilize_threads(const std::vector<PeerId>& ids, Outcome& outcome);

  Output output_;
  std::vector<Node> nodes_;
  std::deque<Message> messages_;
  std::size_t handled_ = 0;
};

}  // namespace andyx::raft::transcripts
