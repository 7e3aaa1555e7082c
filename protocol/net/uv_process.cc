#include <sys/resource.h>

#include <csignal>
#include <utility>

#include "protocol/net/tcp.h"
#include "protocol/net/uv_owned_handle.h"

namespace andyx::net {
namespace {

class SignalState final : public OwnedHandle<uv_signal_t> {
 public:
  SignalState(UvLoop& loop, int number, std::function<void(int)> fire) : fire_(std::move(fire)) {
    uv_signal_init(loop.uv(), &handle_);
    hang_on();
    uv_signal_start(
        &handle_,
        [](uv_signal_t* handle, int caught) { of<SignalState>(handle->data).fire(caught); },
        number);
  }

 private:
  void fire(int caught) {
    if (owned()) fire_(caught);
  }

  std::function<void(int)> fire_;
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
