// Child processes: stdin comes from a string, stdout and stderr go to files, so that no pipe ever
// fills. Children die with the thread that started them (PR_SET_PDEATHSIG) and never see ANDYX_*
// variables except those given. Each object is used by one thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "tests/integration/support/temp_dir.h"
#include "tests/integration/support/wait_until.h"

namespace andyx::test {

struct Launch {
  std::vector<std::string> argv;
  std::vector<std::string> environment;  // "NAME=value", added to what is inherited
  std::string input;                     // stdin; /dev/null when empty
  std::string stdout_path, stderr_path;  // appended to; empty: files of the Process's own
  std::string directory;                 // working directory; empty: the Process's own
};

class Process {
 public:
  explicit Process(Launch launch);  // REQUIREs that the child starts
  ~Process();                       // SIGKILL where it still runs
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  bool running();
  void send_signal(int signal);
  // Exit status 0..255, 128 + signal for one that a signal ended, nothing while it runs on.
  std::optional<int> wait(Millis deadline = kGenerous);
  int kill_now();  // SIGKILL, reaped; the status as above

  std::string out() const { return read_file(stdout_path_); }
  std::string err() const { return read_file(stderr_path_); }
  std::size_t rss_bytes() const;  // VmRSS of /proc; 0 when it is gone

 private:
  void reap(int flags);

  TempDir directory_{TempDir::AfterFailure::kRemove};
  std::string stdout_path_, stderr_path_;
  pid_t pid_ = -1;
  std::optional<int> status_;
};

struct CommandResult {
  int exit_code = -1;  // -1: did not end before the deadline and was killed
  std::string out, err;
};

// Runs to the end.
CommandResult run_command(Launch launch, Millis deadline = kGenerous);

// Paths that meson passes in the environment; REQUIREs that they are set.
std::string server_binary();  // $ANDYX_SERVER_BIN
std::string cli_binary();     // $ANDYX_CLI_BIN

std::vector<std::string> split_lines(const std::string& text);

}  // namespace andyx::test
