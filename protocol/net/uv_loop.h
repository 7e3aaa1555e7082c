// The libuv side of Loop, for the other uv_* files only. Owned and used by the loop's thread,
// except the mailbox.
#pragma once

#include <uv.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "protocol/net/loop.h"

namespace andyx::net {

// Hangs on uv_handle_t::data (null on the loop's own handles), so that a stopping loop can close
// what is still open.
class Closable {
 public:
  virtual void loop_stops() = 0;

 protected:
  ~Closable() = default;
};

class UvLoop final : public Loop {
 public:
  explicit UvLoop(std::uint32_t mailbox_messages) : mailbox_messages_(mailbox_messages) {}
  ~UvLoop() override;
  Status open();

  void run() override;
  void stop() override;
  bool try_post(Task task) override;
  bool post(Task task) override;
  std::uint32_t queued() const override { return queued_.load(std::memory_order_relaxed); }
  bool on_loop_thread() const override { return thread_.load() == std::this_thread::get_id(); }
  std::uint64_t now_ms() const override { return uv_now(&loop_); }
  std::unique_ptr<Timer> timer() override;
  void at_end_of_turn(Task task) override;
  void stay_awake(std::uint32_t us) override;

  uv_loop_t* uv() { return &loop_; }
  // From the moment that the loop closes its handles: nothing new may be started.
  bool closing() const { return closing_; }
  static UvLoop& of(Loop& loop) { return static_cast<UvLoop&>(loop); }

 private:
  bool push(Task task, bool bounded);
  void drain_mailbox();
  void run_last_tasks();
  void run_end_of_turn();
  void close_everything();

  const std::uint32_t mailbox_messages_;
  uv_loop_t loop_{};
  uv_async_t wake_{};
  uv_prepare_t before_poll_{};
  uv_check_t after_poll_{};
  uv_idle_t no_block_{};  // active while end-of-turn tasks wait, or while the loop stays awake: the
                          // poll does not block then
  bool opened_ = false;
  bool closing_ = false;
  std::atomic<std::thread::id> thread_{std::this_thread::get_id()};

  std::mutex mutex_;  // guards the three below; wake_ is only signalled under it
  std::vector<Task> mailbox_;
  bool stop_wanted_ = false;
  bool refusing_ = false;  // stopped: wake_ may be gone
  std::atomic<std::uint32_t> queued_{0};

  std::vector<Task> running_;  // taken from the mailbox, run up to next_
  std::size_t next_ = 0;
  std::vector<Task> end_of_turn_;
  std::uint64_t awake_until_ns_ = 0;
};

}  // namespace andyx::net
