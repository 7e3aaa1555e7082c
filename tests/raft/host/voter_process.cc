#include "tests/raft/host/voter_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <iostream>
#include <sstream>

#include "tests/raft/host/group.h"

extern char** environ;

namespace andyx::raft {
namespace {

// ---- In the process ----

// From any thread.
void answer(std::size_t number, const std::string& text) {
  static std::mutex one_line_at_a_time;
  const std::lock_guard lock(one_line_at_a_time);
  const std::string line = std::to_string(number) + " " + text + "\n";
  if (::write(STDOUT_FILENO, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    std::_Exit(4);
  }
}

const char* name_of(ProposalOutcome outcome) {
  switch (outcome) {
    case ProposalOutcome::kApplied:
      return "applied";
    case ProposalOutcome::kNotProposed:
      return "not-proposed";
    case ProposalOutcome::kLost:
      return "lost";
    case ProposalOutcome::kIndeterminate:
      return "indeterminate";
  }
  return "unknown";
}

void handle(RaftHost& host, const TextMachine& machine, const std::string& line) {
  std::istringstream words(line);
  std::size_t number = 0;
  std::string verb, text;
  words >> number >> verb >> text;
  if (verb == "propose") {
    host.propose(bytes_of(text),
                 [number](ProposalResult result) { answer(number, name_of(result.outcome)); });
  } else if (verb == "read") {
    host.read_index([&machine, number, text](Result<Index> read) {
      if (!read) return answer(number, "refused");
      answer(number, std::ranges::count(machine.texts(), text) > 0 ? "seen" : "missing");
    });
  } else if (verb == "status") {
    host.status([number](NodeStatus status) {
      answer(number, (status.soft.role == Role::kLeader ? "leader " : "other ") +
                         std::to_string(status.hard.term) + " " +
                         std::to_string(status.soft.leader));
    });
  } else {
    std::string all;
    for (const std::string& one : machine.texts()) all += (all.empty() ? "" : " ") + one;
    answer(number, all);
  }
}

HostOptions options_of(const std::vector<std::string>& words) {
  HostOptions options;
  const PeerId self = std::stoull(words.at(0));
  options.store.path = words.at(1) + "/peer-" + words.at(0);
  options.store.identity = {.cluster_id = "test", .peer = self, .disk_id = "disk-" + words.at(0)};
  options.election_ticks = kVoterElectionMs / options.tick_ms;
  for (PeerId id = 1; id + 1 < words.size(); ++id) {
    const auto port = static_cast<std::uint16_t>(std::stoul(words.at(id + 1)));
    options.bootstrap_voters.push_back(id);
    options.peers.push_back({.id = id, .address = {.host = "127.0.0.1", .port = port}});
  }
  options.listen = options.peers.at(self - 1).address;
  return options;
}

}  // namespace

int run_voter(const std::vector<std::string>& words) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // stopped, it would stay for ever
  TextMachine machine;
  const HostOptions options = options_of(words);
  auto host = RaftHost::start(options, machine);
  while (!host && host.error().code == ErrorCode::kAddressInUse) {  // for a moment, by chance
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    host = RaftHost::start(options, machine);
  }
  if (!host) return 2;
  for (std::string line; std::getline(std::cin, line);) handle(**host, machine, line);
  return 0;
}

// ---- In the test ----

VoterProcess::VoterProcess(PeerId id, const std::string& directory,
                           const std::vector<std::uint16_t>& ports) {
  ::signal(SIGPIPE, SIG_IGN);  // one that has died fails the test, and does not end it
  std::vector<std::string> words = {"raft-voter", "--voter", std::to_string(id), directory};
  for (const auto port : ports) words.push_back(std::to_string(port));
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  std::array<int, 2> in{}, out{};
  REQUIRE(::pipe2(in.data(), O_CLOEXEC) == 0);
  REQUIRE(::pipe2(out.data(), O_CLOEXEC) == 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  const int spawned =
      ::posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(in[0]);
  ::close(out[1]);
  input_ = in[1];
  output_ = out[0];
  REQUIRE(spawned == 0);
  reader_ = std::thread([this] { read_answers(); });
}

VoterProcess::~VoterProcess() {
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  reader_.join();
  ::close(input_);
  ::close(output_);
}

void VoterProcess::read_answers() {
  std::string unread;
  std::array<char, 4096> bytes;
  for (ssize_t got; (got = ::read(output_, bytes.data(), bytes.size())) > 0;) {
    unread.append(bytes.data(), static_cast<std::size_t>(got));
    for (std::size_t end; (end = unread.find('\n')) != std::string::npos;) {
      const std::size_t blank = unread.find(' ');
      const std::lock_guard lock(mutex_);
      answers_[std::stoul(unread)] = unread.substr(blank + 1, end - blank - 1);
      unread.erase(0, end + 1);
      changed_.notify_all();
    }
  }
}

std::size_t VoterProcess::send(const std::string& question) {
  const std::string line = std::to_string(++asked_) + " " + question + "\n";
  REQUIRE(::write(input_, line.data(), line.size()) == static_cast<ssize_t>(line.size()));
  return asked_;
}

std::string VoterProcess::wait(std::size_t number) {
  std::unique_lock lock(mutex_);
  REQUIRE(changed_.wait_for(lock, kPatience, [&] { return answers_.contains(number); }));
  return answers_.at(number);
}

void VoterProcess::stop() {
  REQUIRE(::kill(pid_, SIGSTOP) == 0);
  int state = 0;
  REQUIRE(::waitpid(pid_, &state, WUNTRACED) == pid_);
  REQUIRE(WIFSTOPPED(state));
}

void VoterProcess::go_on() { REQUIRE(::kill(pid_, SIGCONT) == 0); }

}  // namespace andyx::raft
