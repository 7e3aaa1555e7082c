// Directives on a group of nodes. The README of the conformance folder describes them; `read-index`
// and `restart` are ours.
#include <algorithm>
#include <array>
#include <cctype>

#include "raft/core/describe.h"
#include "raft/core/log_line.h"
#include "raft/core/progress.h"
#include "tests/raft/transcripts/cases.h"
#include "tests/raft/transcripts/conf_change_text.h"
#include "tests/raft/transcripts/environment.h"

namespace andyx::raft::transcripts {

namespace {

using Outcome = Environment::Outcome;

constexpr std::uint32_t kElectionTicks = 3;
constexpr std::uint32_t kHeartbeatTicks = 1;

std::uint64_t first_id(const Directive& directive) {
  if (directive.arguments.empty()) {
    throw BadDirective{"the id of a node is missing"};
  }
  return number(directive.arguments[0].key);
}

Outcome outcome_of(const StepResult& result) {
  return result ? Outcome{} : std::unexpected(std::string(text(result.error())));
}

MessageType message_type(const std::string& name) {
  for (int type = 0; type <= static_cast<int>(MessageType::kForgetLeader); type++) {
    if (name == text(static_cast<MessageType>(type))) {
      return static_cast<MessageType>(type);
    }
  }
  throw BadDirective{"unknown message type " + name};
}

SharedBytes bytes_of(const std::string& text) {
  return SharedBytes::copy_of({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

class InteractionCase final : public Case {
 public:
  std::string run(const Directive& directive) override {
    const auto handler = std::ranges::find(kHandlers, directive.command, &Handler::command);
    Outcome outcome = std::unexpected(std::string("unknown command"));
    std::string panic;
    if (handler != kHandlers.end()) {
      try {
        outcome = (this->*handler->handle)(directive);
      } catch (const Panic& caught) {
        panic = "panic: " + caught.text + "\n";
      }
    }
    std::string out = output().take() + panic;
    if (!outcome) {
      out += outcome.error();  // errors are printed at every level
    }
    return out.empty() ? "ok\n" : out.ends_with('\n') ? out : out + "\n";
  }

 private:
  Output& output() { return environment_.output(); }

  Outcome add_nodes(const Directive& directive) {
    Config config{.election_ticks = kElectionTicks, .heartbeat_ticks = kHeartbeatTicks};
    config.max_inflight_appends = INT32_MAX;
    config.as_etcd = true;
    Snapshot snapshot;
    for (const Argument& argument : directive.arguments) {
      for (const std::string& value : argument.values) {
        if (const auto wrong = configure(argument.key, value, config, snapshot); !wrong) {
          return wrong;
        }
      }
    }
    return environment_.add_nodes(first_id(directive), config, snapshot);
  }

  static Outcome configure(const std::string& key, const std::string& value, Config& config,
                           Snapshot& snapshot) {
    if (key == "voters") {
      snapshot.meta.conf.voters.push_back(number(value));
    } else if (key == "learners") {
      snapshot.meta.conf.learners.push_back(number(value));
    } else if (key == "index") {
      config.applied = snapshot.meta.index = number(value);
    } else if (key == "content") {
      snapshot.data = bytes_of(value);
    } else if (key == "inflight") {
      config.max_inflight_appends = static_cast<std::uint32_t>(number(value));
    } else if (key == "async-storage-writes") {
      config.async_storage_writes = truth(value);
    } else if (key == "prevote") {
      config.pre_vote = truth(value);
    } else if (key == "checkquorum") {
      config.check_quorum = truth(value);
    } else if (key == "max-committed-size-per-ready") {
      config.max_applying_bytes = number(value);
    } else if (key == "disable-conf-change-validation") {
      config.validate_conf_changes = !truth(value);
    } else if (key == "step-down-on-removal") {
      config.step_down_on_removal = truth(value);
    } else if (key == "read-only" && (value == "safe" || value == "lease-based")) {
      config.read_only = value == "safe" ? ReadOnly::kSafe : ReadOnly::kLease;
    } else if (key == "read-only") {
      return std::unexpected("invalid read-only option \"" + value + "\"");
    } else {
      throw BadDirective{"unknown argument " + key};
    }
    return {};
  }

  Outcome campaign(const Directive& directive) {
    return outcome_of(environment_.node(first_id(directive)).core->campaign());
  }

  Outcome forget_leader(const Directive& directive) {
    return outcome_of(environment_.node(first_id(directive)).core->forget_leader());
  }

  Outcome propose(const Directive& directive) {
    if (directive.arguments.size() != 2) {
      throw BadDirective{"propose takes a node and the data"};
    }
    Node& node = environment_.node(number(directive.arguments[0].key));
    return outcome_of(node.core->propose(bytes_of(directive.arguments[1].key)));
  }

  Outcome propose_conf_change(const Directive& directive) {
    ConfChange change;
    for (const Argument& argument : directive.arguments) {
      for (const std::string& value : argument.values) {
        if (argument.key == "v1") {
          change.v1 = truth(value);
        } else if (argument.key != "transition") {
          return std::unexpected("unknown command " + argument.key);
        } else if (value == "implicit" || value == "explicit") {
          change.transition =
              value == "implicit" ? ConfTransition::kJointImplicit : ConfTransition::kJointExplicit;
        } else if (value != "auto") {
          return std::unexpected("unknown transition " + value);
        }
      }
    }
    auto changes = parse_changes(directive.input);
    if (!changes) {
      return std::unexpected(changes.error());
    }
    change.changes = *std::move(changes);
    if (change.v1 && (change.changes.size() != 1 || change.transition != ConfTransition::kAuto)) {
      return std::unexpected("v1 conf change can only have one operation and no transition");
    }
    Node& node = environment_.node(number(directive.arguments.at(0).key));
    return outcome_of(node.core->propose_conf_change(change));
  }

  Outcome tick(const Directive& directive) {
    Node& node = environment_.node(first_id(directive));
    const std::uint32_t ticks = directive.command == "tick-election" ? node.config.election_ticks
                                                                     : node.config.heartbeat_ticks;
    for (std::uint32_t at = 0; at < ticks; at++) {
      node.core->tick();
    }
    return {};
  }

  Outcome set_timeout(const Directive& directive) {
    const auto timeout = directive.value("timeout");
    if (!timeout) {
      throw BadDirective{"timeout= is missing"};
    }
    environment_.node(first_id(directive))
        .core->set_randomized_election_timeout(static_cast<std::uint32_t>(number(*timeout)));
    return {};
  }

  Outcome transfer(const Directive& directive) {
    const auto from = directive.value("from");
    const auto to = directive.value("to");
    if (!from || !to) {
      throw BadDirective{"transfer-leadership takes from= and to="};
    }
    environment_.node(number(*from)).core->transfer_leader(number(*to));
    return {};
  }

  Outcome report_unreachable(const Directive& directive) {
    const auto ids = directive.ids();
    if (ids.size() != 2) {
      return std::unexpected(
          "must specify exactly two node indexes: node on which to report, and reported node");
    }
    environment_.node(ids[0]).core->report_unreachable(ids[1]);
    return {};
  }

  Outcome send_snapshot(const Directive& directive) {
    const auto ids = directive.ids();
    if (ids.size() != 2) {
      throw BadDirective{"send-snapshot takes two nodes"};
    }
    Node& from = environment_.node(ids[0]);
    Message message{.type = MessageType::kSnapshot,
                    .from = ids[0],
                    .to = ids[1],
                    .term = from.core->hard_state().term,
                    .snapshot = from.storage->history.back()};
    output().print(describe(message));
    environment_.send(std::move(message));
    return {};
  }

  Outcome deliver(const Directive& directive) {
    std::optional<MessageType> type;
    std::vector<std::pair<PeerId, bool>> recipients;
    for (const Argument& argument : directive.arguments) {
      if (argument.values.empty()) {
        recipients.emplace_back(number(argument.key), false);
      }
      for (const std::string& value : argument.values) {
        if (argument.key == "type") {
          type = message_type(value);
        } else if (argument.key == "drop") {
          recipients.emplace_back(number(value), true);
        }
      }
    }
    const std::size_t before = environment_.handled();
    for (const auto& [to, drop] : recipients) {
      environment_.deliver(to, drop, type);
    }
    if (environment_.handled() == before) {
      output().print("no messages\n");
    }
    return {};
  }

  // One node, or several, each under a header.
  Outcome process(const Directive& directive) {
    const bool ready = directive.command == "process-ready";
    const bool append = directive.command == "process-append-thread";
    const auto work = ready    ? &Environment::process_ready
                      : append ? &Environment::process_append
                               : &Environment::process_apply;
    const char* const title = ready    ? " handling Ready\n"
                              : append ? " processing append thread\n"
                                       : " processing apply thread\n";
    const auto ids = directive.ids();
    Outcome outcome;
    for (const PeerId id : ids) {
      if (ids.size() == 1) {
        outcome = (environment_.*work)(id);
      } else {
        output().print("> " + std::to_string(id) + title);
        output().indented([&] { outcome = (environment_.*work)(id); });
      }
      if (!outcome) {
        break;
      }
    }
    return outcome;
  }

  Outcome stabilize(const Directive& directive) {
    const int level = output().level();
    if (const auto wanted = directive.value("log-level")) {
      if (auto set = set_level(*wanted); !set) {
        return set;
      }
    }
    std::vector<PeerId> ids = directive.ids();
    for (PeerId id = 1; directive.ids().empty() && id <= environment_.size(); id++) {
      ids.push_back(id);
    }
    const Outcome outcome = environment_.stabilize(ids);
    output().set_level(level);
    return outcome;
  }

  Outcome compact(const Directive& directive) {
    const auto ids = directive.ids();
    if (ids.size() != 2) {
      throw BadDirective{"compact takes a node and an index"};
    }
    if (!environment_.node(ids[0]).storage->log.compact(ids[1])) {
      return std::unexpected("requested index is unavailable due to compaction");
    }
    return print_log(ids[0]);
  }

  Outcome raft_log(const Directive& directive) { return print_log(first_id(directive)); }

  Outcome print_log(PeerId id) {
    const LogStorage& log = *environment_.node(id).storage;
    if (log.last_index() < log.first_index()) {
      output().print(concat("log is empty: first index=", log.first_index(),
                            ", last index=", log.last_index()));
      return {};
    }
    const auto entries = log.entries(log.first_index(), log.last_index() + 1, kNoLimit);
    for (const Entry& entry : entries.value()) {
      output().print(describe(entry) + "\n");
    }
    return {};
  }

  Outcome raft_state(const Directive&) {
    for (PeerId id = 1; id <= environment_.size(); id++) {
      const NodeStatus status = environment_.node(id).core->status();
      const auto in = [id](const std::vector<PeerId>& peers) {
        return std::ranges::find(peers, id) != peers.end();
      };
      const bool voter = in(status.conf.voters) || in(status.conf.voters_outgoing);
      output().print(concat(id, ": ", text(status.soft.role), voter ? " (Voter)" : " (Non-Voter)",
                            " Term:", status.hard.term, " Lead:", status.soft.leader, "\n"));
    }
    return {};
  }

  Outcome print_status(const Directive& directive) {
    const NodeStatus status = environment_.node(first_id(directive)).core->status();
    for (const auto& [peer, view] : status.progress) {
      output().print(concat(peer, ": ", describe(view), "\n"));
    }
    return {};
  }

  Outcome log_level(const Directive& directive) {
    if (directive.arguments.size() != 1) {
      throw BadDirective{"log-level takes a level"};
    }
    return set_level(directive.arguments[0].key);
  }

  Outcome set_level(std::string name) {
    constexpr std::array<std::string_view, 6> kNames = {"debug", "info",  "warn",
                                                        "error", "fatal", "none"};
    std::ranges::transform(name, name.begin(), [](unsigned char letter) {
      return static_cast<char>(std::tolower(letter));
    });
    const auto at = std::ranges::find(kNames, name);
    if (at == kNames.end()) {
      return std::unexpected("log levels must be either of [DEBUG INFO WARN ERROR FATAL NONE]");
    }
    output().set_level(static_cast<int>(at - kNames.begin()));
    return {};
  }

  Outcome read_index(const Directive& directive) {
    const auto ids = directive.ids();
    if (ids.size() != 2) {
      throw BadDirective{"read-index takes a node and a number"};
    }
    environment_.node(ids[0]).core->read_index(ids[1]);
    return {};
  }

  Outcome restart(const Directive& directive) {
    environment_.restart(first_id(directive));
    return {};
  }

  Outcome nothing(const Directive&) { return {}; }

  struct Handler {
    std::string_view command;
    Outcome (InteractionCase::*handle)(const Directive&);
  };
  static constexpr std::array<Handler, 24> kHandlers{{
      {"_breakpoint", &InteractionCase::nothing},
      {"add-nodes", &InteractionCase::add_nodes},
      {"campaign", &InteractionCase::campaign},
      {"compact", &InteractionCase::compact},
      {"deliver-msgs", &InteractionCase::deliver},
      {"forget-leader", &InteractionCase::forget_leader},
      {"log-level", &InteractionCase::log_level},
      {"process-append-thread", &InteractionCase::process},
      {"process-apply-thread", &InteractionCase::process},
      {"process-ready", &InteractionCase::process},
      {"propose", &InteractionCase::propose},
      {"propose-conf-change", &InteractionCase::propose_conf_change},
      {"raft-log", &InteractionCase::raft_log},
      {"raft-state", &InteractionCase::raft_state},
      {"read-index", &InteractionCase::read_index},
      {"report-unreachable", &InteractionCase::report_unreachable},
      {"restart", &InteractionCase::restart},
      {"send-snapshot", &InteractionCase::send_snapshot},
      {"set-randomized-election-timeout", &InteractionCase::set_timeout},
      {"stabilize", &InteractionCase::stabilize},
      {"status", &InteractionCase::print_status},
      {"tick-election", &InteractionCase::tick},
      {"tick-heartbeat", &InteractionCase::tick},
      {"transfer-leadership", &InteractionCase::transfer},
  }};

  Environment environment_;
};

}  // namespace

std::unique_ptr<Case> make_interaction_case() { return std::make_unique<InteractionCase>(); }

std::unique_ptr<Case> make_case(const Script& script) {
  if (script.directives.empty()) {
    return nullptr;
  }
  const std::string& first = script.directives[0].command;
  if (first == "committed" || first == "vote") {
    return make_quorum_case();
  }
  if (first == "simple" || first == "enter-joint" || first == "leave-joint") {
    return make_conf_change_case();
  }
  return make_interaction_case();
}

}  // namespace andyx::raft::transcripts
