#include "tools/common/stop_signal.h"

#include <csignal>

namespace andyx::tools {
namespace {

volatile std::sig_atomic_t g_stopped = 0;

void on_signal(int signal) {
  g_stopped = 1;
  std::signal(signal, SIG_DFL);
}

}  // namespace

StopSignal::StopSignal() {
  g_stopped = 0;
  std::signal(SIGINT, &on_signal);
  std::signal(SIGTERM, &on_signal);
}

StopSignal::~StopSignal() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

bool StopSignal::stopped() const { return g_stopped != 0; }

}  // namespace andyx::tools
