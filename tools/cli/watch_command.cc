// subscription describe --watch: a live view on a terminal, one table or JSON line after the other
// elsewhere.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "tools/cli/session.h"
#include "tools/cli/show.h"
#include "tools/common/output.h"
#include "tools/common/stop_signal.h"

namespace andyx::cli {
namespace {

constexpr std::chrono::milliseconds kStep{50};  // how soon a signal is noticed

// To the upper left corner, and everything below gone.
constexpr const char* kRedraw = "\x1b[H\x1b[J";

void pause(const tools::StopSignal& signal, std::chrono::milliseconds interval) {
  const auto end = std::chrono::steady_clock::now() + interval;
  while (!signal.stopped()) {
    const auto left = end - std::chrono::steady_clock::now();
    if (left <= std::chrono::nanoseconds::zero()) return;
    std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(left, kStep));
  }
}

}  // namespace

Outcome watch_subscription(Session& session, const SubscriptionDescribe& command) {
  tools::Output output(STDOUT_FILENO);
  const tools::StopSignal signal;
  const bool redraw = !session.json() && ::isatty(STDOUT_FILENO) == 1;
  for (std::uint64_t shown = 0; !signal.stopped();) {
    const auto now =
        session.client.admin().describe_subscription(command.topic, command.subscription);
    if (!now) return std::unexpected(now.error());
    if (redraw) output.buffer() += kRedraw;
    output.buffer() += session.json() ? subscription_json(*now) : subscription_table(*now);
    if (Status flushed = output.flush(); !flushed) return std::unexpected(flushed.error());
    if (output.closed() || ++shown == command.count.value_or(0)) break;
    pause(signal, std::chrono::milliseconds(command.interval_ms));
  }
  return tools::kDone;
}

}  // namespace andyx::cli
