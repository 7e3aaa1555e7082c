// A few cores on in-memory storage, for unit tests: persists and delivers by hand or to the end.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "raft/core/memory_log_storage.h"
#include "raft/core/raw_node.h"

namespace andyx::raft::tests {

class QuietLogger final : public Logger {
 public:
  bool enabled(LogLevel) const override { return false; }
  void log(LogLevel, std::string_view) override {}
  [[noreturn]] void panic(std::string_view line) override { throw std::string(line); }
};

struct Peer {
  Config config;
  std::unique_ptr<MemoryLogStorage> storage;
  std::unique_ptr<RawNode> core;
  std::vector<Entry> applied;
  std::vector<ReadState> reads;
  Ready ready;  // kept: its capacity is used again
};

class Group {
 public:
  explicit Group(std::size_t size, const std::function<void(Config&)>& adjust = {});

  Peer& operator[](PeerId id) { return peers_.at(id - 1); }
  RawNode& core(PeerId id) { return *peers_.at(id - 1).core; }
  std::size_t size() const { return peers_.size(); }

  // Persists, applies, queues the messages, advances. `checked` sees each Ready after what it asks
  // to be persisted is.
  void handle_ready(PeerId id);
  std::function<void(Peer&, const Ready&)> checked;
  // Delivers what is queued for `id`; those for which `lose` is true are dropped.
  void deliver(PeerId id);
  std::function<bool(const Message&)> lose;
  void settle();  // until nothing moves
  void elect(PeerId id);

  std::vector<Message> messages;

 private:
  QuietLogger logger_;
  std::vector<Peer> peers_;
};

SharedBytes bytes_of(std::string_view text);

}  // namespace andyx::raft::tests
