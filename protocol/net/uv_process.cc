#include <sys/resource.h>

#include <csignal>
#include <utility>

#include "protocol/net/tcp.h"
#include "protocol/net/uv_loop.h"

namespace andyx::net {
namespace {

// Freed by libuv's close callback, so it outlives the watch that owns it.
class SignalState final : public Closable {
 public:
  SignalState(UvLoop& loop, int number, std::function<void(int)> fire) : fire_(std::move(fire)) {
    uv_signal_init(loop.uv(), &handle_);
    handle_.data = static_cast<Closable*>(this);
    uv_signal_start(
        &handle_, [](uv_signal_t* handle, int caught) { of(handle->data).fire(caught); }, number);
  }
  void release() {
    owned_ = false;
    if (closed_) {
      delete this;
    } else {
      loop_stops();
    }
  }
  void loop_stops() override {
    if (std::exchange(closing_, true)) return;
    uv_close(reinterpret_cast<uv_handle_t*>(&handle_), [](uv_handle_t* handle) {
      auto& state = of(handle->data);
      state.closed_ = true;
      if (!state.owned_) delete &state;
    });
  }

 private:
  static SignalState& of(void* data) {
    return *static_cast<SignalState*>(static_cast<Closable*>(data));
  }
  void fire(int caught) {
    if (owned_) fire_(caught);
  }

  uv_signal_t handle_{};
  std::function<void(int)> fire_;
  bool owned_ = true, closing_ = false, closed_ = false;
};

class UvSignalWatch final : public SignalWatch {
 public:
  UvSignalWatch(UvLoop& loop, const std::function<void(int)>& fire)
      : terminate_(new SignalState(loop, SIGTERM, fire)),
        interrupt_(new SignalState(loop, SIGINT, fire)) {}
  UvSignalWatch(const UvSignalWatch&) = delete;
  UvSignalWatch& operator=(const UvSignalWatch&) = delete;
  ~UvSignalWatch() override {
    terminate_->release();
    interrupt_->release();
  }

 private:
  SignalState* terminate_;
  SignalState* interrupt_;
};

}  // namespace

std::unique_ptr<SignalWatch> watch_termination(Loop& loop, std::function<void(int)> fire) {
  return std::make_unique<UvSignalWatch>(UvLoop::of(loop), fire);
}

std::uint64_t prepare_process() {
  std::signal(SIGPIPE, SIG_IGN);
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return 0;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  getrlimit(RLIMIT_NOFILE, &files);
  return files.rlim_cur;
}

}  // namespace andyx::net
