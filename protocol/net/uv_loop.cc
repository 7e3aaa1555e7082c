#include "protocol/net/uv_loop.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <cassert>
#include <csignal>
#include <utility>

#include "protocol/net/uv_owned_handle.h"

namespace andyx::net {
namespace {

// Tasks run for one wake-up, so that a busy mailbox does not starve sockets and timers.
constexpr int kMailboxBudget = 1024;
// An end-of-turn task may add another (a delivery adds a flush); so many rounds run in one turn.
constexpr int kEndOfTurnRounds = 8;

UvLoop& loop_of(uv_loop_t* loop) { return *static_cast<UvLoop*>(loop->data); }

void close_handle(uv_handle_t* handle, void*) {
  if (uv_is_closing(handle)) return;
  if (handle->data != nullptr) {
    static_cast<Closable*>(handle->data)->loop_stops();
  } else {
    uv_close(handle, nullptr);
  }
}

}  // namespace

Result<std::unique_ptr<Loop>> Loop::create(std::uint32_t mailbox_messages) {
  auto loop = std::make_unique<UvLoop>(mailbox_messages);
  if (auto opened = loop->open(); !opened) return std::unexpected(opened.error());
  return loop;
}

Status UvLoop::open() {
  if (const int rc = uv_loop_init(&loop_); rc != 0) {
    return fail(ErrorCode::kIo, std::string("cannot make an event loop: ") + uv_strerror(rc));
  }
  opened_ = true;
  loop_.data = this;
  const int rc = uv_async_init(&loop_, &wake_,
                               [](uv_async_t* handle) { loop_of(handle->loop).drain_mailbox(); });
  if (rc != 0) {
    return fail(ErrorCode::kIo,
                std::string("cannot make an event loop's mailbox: ") + uv_strerror(rc));
  }
  uv_prepare_init(&loop_, &before_poll_);
  uv_prepare_start(&before_poll_,
                   [](uv_prepare_t* handle) { loop_of(handle->loop).run_end_of_turn(); });
  uv_check_init(&loop_, &after_poll_);
  uv_check_start(&after_poll_, [](uv_check_t* handle) { loop_of(handle->loop).run_end_of_turn(); });
  uv_idle_init(&loop_, &no_block_);
  return {};
}

UvLoop::~UvLoop() {
  if (!opened_) return;
  {
    std::lock_guard lock(mutex_);
    refusing_ = true;
  }
  close_everything();
  const int rc = uv_loop_close(&loop_);
  assert(rc == 0);
  static_cast<void>(rc);
}

namespace {

// A peer that has gone is an error of the write, also in a program that uses the client and has not
// said what SIGPIPE means to it.
void block_sigpipe() {
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
}

}  // namespace

void UvLoop::run() {
  block_sigpipe();
  thread_.store(std::this_thread::get_id());
  uv_run(&loop_, UV_RUN_DEFAULT);
  close_everything();
}

void UvLoop::stop() {
  std::lock_guard lock(mutex_);
  if (refusing_ || std::exchange(stop_wanted_, true)) return;
  uv_async_send(&wake_);
}

bool UvLoop::try_post(Task task) { return push(std::move(task), true); }

bool UvLoop::post(Task task) { return push(std::move(task), false); }

bool UvLoop::push(Task task, bool bounded) {
  std::lock_guard lock(mutex_);
  if (refusing_) return false;
  if (bounded && queued_.load(std::memory_order_relaxed) >= mailbox_messages_) return false;
  mailbox_.push_back(std::move(task));
  queued_.fetch_add(1, std::memory_order_relaxed);
  if (mailbox_.size() == 1) uv_async_send(&wake_);
  return true;
}

void UvLoop::drain_mailbox() {
  for (int budget = kMailboxBudget; budget > 0; --budget) {
    if (next_ == running_.size()) {
      running_.clear();
      next_ = 0;
      std::lock_guard lock(mutex_);
      running_.swap(mailbox_);
    }
    if (next_ == running_.size()) break;
    queued_.fetch_sub(1, std::memory_order_relaxed);
    auto task = std::move(running_[next_++]);
    task();
  }
  bool stopping = false;
  {
    std::lock_guard lock(mutex_);
    if (next_ < running_.size() || !mailbox_.empty()) uv_async_send(&wake_);
    stopping = stop_wanted_;
  }
  if (stopping) run_last_tasks();
}

// What was posted before stop() still runs; what those tasks post is refused.
void UvLoop::run_last_tasks() {
  std::vector<Task> last;
  {
    std::lock_guard lock(mutex_);
    refusing_ = true;
    last.swap(mailbox_);
  }
  auto rest = std::exchange(running_, {});
  for (std::size_t i = std::exchange(next_, 0); i < rest.size(); ++i) rest[i]();
  for (auto& task : last) task();
  queued_.store(0, std::memory_order_relaxed);
  uv_stop(&loop_);
}

void UvLoop::at_end_of_turn(Task task) {
  assert(on_loop_thread());
  end_of_turn_.push_back(std::move(task));
}

void UvLoop::run_end_of_turn() {
  for (int round = 0; round < kEndOfTurnRounds && !end_of_turn_.empty(); ++round) {
    for (auto& task : std::exchange(end_of_turn_, {})) task();
  }
  const bool awake = awake_until_ns_ != 0 && uv_hrtime() < awake_until_ns_;
  if (!awake) awake_until_ns_ = 0;
  if (awake && end_of_turn_.empty()) sched_yield();  // who else wants this core has work to do
  if (awake || !end_of_turn_.empty()) {
    uv_idle_start(&no_block_, [](uv_idle_t*) {});
  } else {
    uv_idle_stop(&no_block_);
  }
}

void UvLoop::stay_awake(std::uint32_t us) {
  assert(on_loop_thread());
  awake_until_ns_ = std::max(awake_until_ns_, uv_hrtime() + std::uint64_t{us} * 1'000);
}

void UvLoop::close_everything() {
  closing_ = true;
  while (uv_loop_alive(&loop_) || uv_is_active(reinterpret_cast<uv_handle_t*>(&wake_))) {
    uv_walk(&loop_, close_handle, nullptr);
    uv_run(&loop_, UV_RUN_ONCE);
  }
  end_of_turn_.clear();
}

namespace {

class TimerState final : public OwnedHandle<uv_timer_t> {
 public:
  explicit TimerState(UvLoop& loop) {
    uv_timer_init(loop.uv(), &handle_);
    hang_on();
  }

  void start(std::uint64_t after_ms, std::uint64_t repeat_ms, std::function<void()> fire) {
    if (closing()) return;
    (firing_ ? next_fire_ : fire_) = std::move(fire);
    uv_update_time(handle_.loop);
    uv_timer_start(
        &handle_, [](uv_timer_t* handle) { of<TimerState>(handle->data).fire(); }, after_ms,
        repeat_ms);
  }
  void stop() {
    if (!closing()) uv_timer_stop(&handle_);
  }

 private:
  void fire() {
    firing_ = true;
    fire_();
    firing_ = false;
    if (next_fire_) fire_ = std::exchange(next_fire_, nullptr);
  }

  std::function<void()> fire_, next_fire_;  // next_: started again from within fire_
  bool firing_ = false;
};

class UvTimer final : public Loop::Timer {
 public:
  explicit UvTimer(UvLoop& loop) : state_(new TimerState(loop)) {}
  UvTimer(const UvTimer&) = delete;
  UvTimer& operator=(const UvTimer&) = delete;
  ~UvTimer() override { state_->release(); }
  void start(std::uint64_t after_ms, std::uint64_t repeat_ms, std::function<void()> fire) override {
    state_->start(after_ms, repeat_ms, std::move(fire));
  }
  void stop() override { state_->stop(); }

 private:
  TimerState* state_;
};

}  // namespace

std::unique_ptr<Loop::Timer> UvLoop::timer() { return std::make_unique<UvTimer>(*this); }

}  // namespace andyx::net
