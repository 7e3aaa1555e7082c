#include "tests/raft/transcripts/environment.h"

#include <array>

#include "raft/core/describe.h"
#include "raft/core/log_line.h"
#include "tests/raft/transcripts/script.h"

namespace andyx::raft::transcripts {

namespace {

constexpr std::array<const char*, 5> kLevels = {"DEBUG", "INFO", "WARN", "ERROR", "FATAL"};

// To itself, or from or to a storage thread.
bool stays_local(const Message& message) {
  return message.from == message.to || is_storage_thread(message.from) ||
         is_storage_thread(message.to);
}

SharedBytes joined(const SharedBytes& left, ByteSpan right) {
  std::vector<std::uint8_t> bytes(left.data(), left.data() + left.size());
  bytes.insert(bytes.end(), right.begin(), right.end());
  return SharedBytes::copy_of(bytes);
}

}  // namespace

void Output::log(LogLevel level, std::string_view line) {
  print(kLevels.at(static_cast<std::size_t>(level)));
  print(" ");
  print(line);
  print("\n");
}

void Output::panic(std::string_view line) {
  if (!quiet()) {
    log(LogLevel::kFatal, line);
  }
  throw Panic{std::string(line)};
}

void Output::add_indented(const std::string& inner) {
  std::size_t at = 0;
  while (at < inner.size()) {
    const auto end = std::min(inner.find('\n', at), inner.size());
    text_ += "  " + inner.substr(at, end - at) + "\n";
    at = end + 1;
  }
}

Node& Environment::node(PeerId id) {
  if (id == 0 || id > nodes_.size()) {
    throw BadDirective{"there is no node " + std::to_string(id)};
  }
  return nodes_[id - 1];
}

Environment::Outcome Environment::add_nodes(std::uint64_t count, const Config& config,
                                            const Snapshot& snapshot) {
  const SnapshotMeta& meta = snapshot.meta;
  const bool boots = meta.index != 0 || !meta.conf.voters.empty() || !meta.conf.learners.empty() ||
                     !snapshot.data.empty();
  auto initial = std::make_shared<Snapshot>(snapshot);
  for (std::uint64_t at = 0; at < count; at++) {
    Node node{.config = config, .storage = std::make_unique<HistoryStorage>()};
    if (boots) {
      if (meta.index <= 1) {
        return std::unexpected("index must be specified as > 1 due to bootstrap");
      }
      initial->meta.term = 1;
      node.storage->log.apply_snapshot(initial);
    }
    node.storage->history.push_back(initial);
    node.config.id = nodes_.size() + 1;
    node.config.storage = node.storage.get();
    node.config.logger = &output_;
    node.config.draw = [](std::uint32_t bound) { return bound - 1; };
    if (const char* const wrong = invalid(node.config)) {
      return std::unexpected(wrong);
    }
    node.core = std::make_unique<RawNode>(node.config);
    nodes_.push_back(std::move(node));
  }
  return {};
}

bool Environment::has_messages(PeerId to) const {
  return std::ranges::any_of(messages_, [&](const Message& message) { return message.to == to; });
}

void Environment::deliver(PeerId to, bool drop, std::optional<MessageType> type) {
  std::vector<Message> taken;
  std::deque<Message> rest;
  for (Message& message : messages_) {
    const bool wanted =
        message.to == to && !(drop && stays_local(message)) && (!type || message.type == *type);
    if (wanted) {
      taken.push_back(std::move(message));
    } else {
      rest.push_back(std::move(message));
    }
  }
  messages_ = std::move(rest);
  handled_ += taken.size();
  for (Message& message : taken) {
    output_.print((drop ? "dropped: " : "") + describe(message) + "\n");
    if (drop) {
      continue;
    }
    if (const StepResult stepped = node(to).core->step(std::move(message)); !stepped) {
      output_.print(std::string(text(stepped.error())) + "\n");
    }
  }
}

Environment::Outcome Environment::process_ready(PeerId id) {
  Node& handling = node(id);
  Ready ready;
  handling.core->ready(ready);
  output_.print(describe(ready));
  const bool async = handling.config.async_storage_writes;
  if (!async) {
    if (auto done = persist(handling, ready.hard_state.value_or(HardState{}), ready.entries,
                            ready.snapshot);
        !done) {
      return done;
    }
    if (auto done = apply(handling, ready.committed); !done) {
      return done;
    }
  }
  for (Message& message : ready.messages) {
    if (message.to == kAppendThread) {
      handling.append_work.push_back(std::move(message));
    } else if (message.to == kApplyThread) {
      handling.apply_work.push_back(std::move(message));
    } else {
      messages_.push_back(std::move(message));
    }
  }
  if (!async) {
    handling.core->advance();
  }
  return {};
}

Environment::Outcome Environment::process_append(PeerId id) {
  Node& handling = node(id);
  if (handling.append_work.empty()) {
    output_.print("no append work to perform");
    return {};
  }
  Message work = std::move(handling.append_work.front());
  handling.append_work.pop_front();
  std::vector<Message> responses = std::exchange(work.responses, {});
  output_.print("Processing:\n" + describe(work) + "\n");
  if (auto done = persist(handling, {.term = work.term, .vote = work.vote, .commit = work.commit},
                          work.entries, work.snapshot);
      !done) {
    return done;
  }
  respond(std::move(responses));
  return {};
}

void Environment::respond(std::vector<Message> responses) {
  output_.print("Responses:\n");
  for (Message& response : responses) {
    output_.print(describe(response) + "\n");
    messages_.push_back(std::move(response));
  }
}

Environment::Outcome Environment::process_apply(PeerId id) {
  Node& handling = node(id);
  if (handling.apply_work.empty()) {
    output_.print("no apply work to perform");
    return {};
  }
  Message work = std::move(handling.apply_work.front());
  handling.apply_work.pop_front();
  std::vector<Message> responses = std::exchange(work.responses, {});
  output_.print("Processing:\n" + describe(work) + "\n");
  if (auto done = apply(handling, work.entries); !done) {
    return done;
  }
  respond(std::move(responses));
  return {};
}

Environment::Outcome Environment::persist(Node& node, const HardState& hard,
                                          const std::vector<Entry>& entries,
                                          const SnapshotPtr& snapshot) {
  if (!hard.empty()) {
    node.storage->log.set_hard_state(hard);
  }
  if (!snapshot || snapshot->meta.index == 0) {
    node.storage->log.append(entries);
    return {};
  }
  if (!entries.empty()) {
    return std::unexpected("can't apply snapshot and entries at the same time");
  }
  if (!node.storage->log.apply_snapshot(snapshot)) {
    return std::unexpected("requested index is older than the existing snapshot");
  }
  return {};
}

Environment::Outcome Environment::apply(Node& node, const std::vector<Entry>& entries) {
  std::vector<SnapshotPtr>& history = node.storage->history;
  for (const Entry& entry : entries) {
    const Snapshot& before = *history.back();
    auto after = std::make_shared<Snapshot>();
    after->meta = {.index = entry.index, .term = entry.term, .conf = before.meta.conf};
    if (entry.type == EntryType::kNormal) {
      after->data = joined(before.data, entry.data.span());
    } else {
      ConfChange change;
      if (!decode(entry.type, entry.data.span(), change)) {
        return std::unexpected("an applied conf change cannot be read");
      }
      after->meta.conf = node.core->apply_conf_change(change);
      after->data = joined(
          before.data,
          {reinterpret_cast<const std::uint8_t*>(change.context.data()), change.context.size()});
    }
    history.push_back(std::move(after));
  }
  return {};
}

Environment::Outcome Environment::stabilize(const std::vector<PeerId>& ids) {
  Outcome outcome;
  for (bool moved = true; moved && outcome;) {
    moved = stabilize_readies(ids, outcome);
    if (!outcome) {
      break;
    }
    for (const PeerId id : ids) {
      if (has_messages(id)) {
        output_.print(concat("> ", id, " receiving messages\n"));
        output_.indented([&] { deliver(id, false, std::nullopt); });
        moved = true;
      }
    }
    moved = stabilize_threads(ids, outcome) || moved;
  }
  return outcome;
}

bool Environment::stabilize_readies(const std::vector<PeerId>& ids, Outcome& outcome) {
  bool moved = false;
  for (const PeerId id : ids) {
    if (outcome && node(id).core->has_ready()) {
      output_.print(concat("> ", id, " handling Ready\n"));
      output_.indented([&] { outcome = process_ready(id); });
      moved = true;
    }
  }
  return moved;
}

bool Environment::stabilize_threads(const std::vector<PeerId>& ids, Outcome& outcome) {
  bool moved = false;
  const auto work_off = [&](const char* name, auto queue, auto process) {
    for (const PeerId id : ids) {
      if (!(node(id).*queue).empty()) {
        output_.print(concat("> ", id, " processing ", name, " thread\n"));
        moved = true;
      }
      while (outcome && !(node(id).*queue).empty()) {
        output_.indented([&] { outcome = (this->*process)(id); });
      }
    }
  };
  work_off("append", &Node::append_work, &Environment::process_append);
  work_off("apply", &Node::apply_work, &Environment::process_apply);
  return moved;
}

void Environment::restart(PeerId id) {
  Node& crashed = node(id);
  crashed.append_work.clear();
  crashed.apply_work.clear();
  std::erase_if(messages_,
                [&](const Message& message) { return message.to == id && stays_local(message); });
  crashed.config.applied = crashed.storage->history.back()->meta.index;
  crashed.core = std::make_unique<RawNode>(crashed.config);
}

}  // namespace andyx::raft::transcripts
