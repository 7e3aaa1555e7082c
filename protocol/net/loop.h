// One event loop = one thread. Everything that is built on it (connections, listeners, timers)
// lives and dies on that thread; only post() and stop() may be called from elsewhere. Knows nothing
// of libuv's types: only the uv_*.cc files do.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "protocol/base/error.h"
#include "protocol/base/limits.h"

namespace andyx::net {

using Task = std::move_only_function<void()>;

class Loop {
 public:
  // `mailbox_messages`: bound of what try_post accepts before the loop has run it.
  static Result<std::unique_ptr<Loop>> create(
      std::uint32_t mailbox_messages = limits::kMailboxMessages);
  virtual ~Loop() = default;  // after run() has returned

  // Runs on the calling thread until stop(); then closes every handle still open and returns.
  virtual void run() = 0;
  // Any thread; idempotent. Tasks already posted still run.
  virtual void stop() = 0;

  // Any thread. For requests: false when the mailbox is full (answer kOverloaded) or the loop
  // stopped.
  virtual bool try_post(Task task) = 0;
  // Any thread. For answers and completions, whose number is bounded by the requests in flight:
  // never refused while the loop runs. False only after it stopped (the task is dropped).
  virtual bool post(Task task) = 0;
  virtual std::uint32_t queued() const = 0;  // any thread, approximate

  // Before run(): the thread that made the loop.
  virtual bool on_loop_thread() const = 0;

  // Milliseconds of a monotonic clock, cached at the start of this loop turn. Loop thread.
  virtual std::uint64_t now_ms() const = 0;

  // A timer of this loop; destroying it cancels. One is meant for a component, not for a message.
  class Timer {
   public:
    virtual ~Timer() = default;
    virtual void start(std::uint64_t after_ms, std::uint64_t repeat_ms,
                       std::function<void()> fire) = 0;
    virtual void stop() = 0;
  };
  virtual std::unique_ptr<Timer> timer() = 0;  // loop thread

  // Runs once at the end of the current loop turn, before it polls again: for coalescing writes.
  // Loop thread.
  virtual void at_end_of_turn(Task task) = 0;

  // Busy polling: for `us` microseconds from now on the loop looks at its sockets and its mailbox
  // again and again instead of sleeping until something comes. Waking a thread up takes longer than
  // a small request does. A call never shortens what an earlier one asked for. Loop thread.
  virtual void stay_awake(std::uint32_t us) = 0;
};

// Wall clock in microseconds since 1970; may jump. Any thread.
std::int64_t wall_time_us();
// Monotonic nanoseconds. Any thread.
std::uint64_t monotonic_ns();
// The same, but also while the machine sleeps (CLOCK_BOOTTIME). Any thread.
std::uint64_t boottime_ns();

}  // namespace andyx::net
