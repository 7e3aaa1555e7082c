// A voter as a process of its own, on its real store: it can be stopped and killed as a whole. It
// is asked by lines on its standard input, and answers each with a line, in any order.
#pragma once

#include <doctest/doctest.h>
#include <sys/types.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "raft/core/types.h"

namespace andyx::raft {

// Patient, so that a busy machine changes no leader.
inline constexpr std::uint32_t kVoterElectionMs = 1'000;  // drawn up to twice

// What main() does in such a process, with the words behind --voter: its id, the directory of all
// voters, and the port of each.
int run_voter(const std::vector<std::string>& words);

class VoterProcess {
 public:
  VoterProcess(PeerId id, const std::string& directory, const std::vector<std::uint16_t>& ports);
  ~VoterProcess();  // kills it
  VoterProcess(const VoterProcess&) = delete;
  VoterProcess& operator=(const VoterProcess&) = delete;

  // Asks without waiting; answers with the number of the question. TEXT has no blanks.
  //   propose TEXT   applied | not-proposed | lost | indeterminate
  //   read TEXT      seen | missing (linearizable: whether it was applied) | refused
  //   status         ROLE TERM LEADER
  //   texts          all that was applied, in order, with a blank between
  std::size_t send(const std::string& question);
  std::string wait(std::size_t number);
  std::string ask(const std::string& question) { return wait(send(question)); }

  void stop();  // SIGSTOP; returns when it stands
  void go_on();

 private:
  void read_answers();

  pid_t pid_ = -1;
  int input_ = -1, output_ = -1;
  std::size_t asked_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::size_t, std::string> answers_;
  std::thread reader_;
};

}  // namespace andyx::raft
