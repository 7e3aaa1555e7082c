#include <utility>

#include "protocol/net/uv_connection.h"
#include "protocol/net/uv_resolve.h"

namespace andyx::net {
namespace {

// One attempt: resolve, then try each address in turn. Kept alive by the handle and by the request
// that is under way.
class Attempt final : public std::enable_shared_from_this<Attempt> {
 public:
  Attempt(UvLoop& loop, Address address, OnConnected done)
      : loop_(loop), address_(std::move(address)), done_(std::move(done)), timeout_(loop.timer()) {}

  void start(std::uint32_t timeout_ms) {
    timeout_->start(timeout_ms, 0, [this, timeout_ms] {
      finish(fail(ErrorCode::kTimedOut, "cannot connect to " + address_.text() + " within " +
                                            std::to_string(timeout_ms) + " ms"));
    });
    // From the loop, so that `done` never runs inside connect().
    loop_.at_end_of_turn([self = shared_from_this()] { self->resolve(); });
  }

  void cancel() {
    if (std::exchange(finished_, true)) return;
    stop_all();
    done_ = nullptr;
  }

 private:
  void resolve() {
    if (finished_ || loop_.closing()) return;
    if (auto numeric = numeric_address(address_)) {
      targets_ = {*numeric};
      try_next();
      return;
    }
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    lookup_.data = this;
    const int rc = uv_getaddrinfo(
        loop_.uv(), &lookup_,
        [](uv_getaddrinfo_t* request, int status, addrinfo* found) {
          static_cast<Attempt*>(request->data)->resolved(status, found);
        },
        address_.host.c_str(), nullptr, &hints);
    if (rc != 0) {
      last_error_ = rc;
      fail_now();
      return;
    }
    under_way_ = shared_from_this();
    looking_up_ = true;
  }

  void resolved(int status, addrinfo* found) {
    const auto keep = std::move(under_way_);
    looking_up_ = false;
    if (status == 0) targets_ = to_list(found, address_.port);
    uv_freeaddrinfo(found);
    last_error_ = status;
    if (!finished_) try_next();
  }

  void try_next() {
    if (loop_.closing()) return;
    if (next_ == targets_.size()) {
      fail_now();
      return;
    }
    const auto& target = targets_[next_++];
    core_ = UvConnection::make(loop_);
    if (core_ == nullptr) return;
    request_.data = this;
    const int rc =
        uv_tcp_connect(&request_, core_->tcp(), reinterpret_cast<const sockaddr*>(&target),
                       [](uv_connect_t* request, int status) {
                         static_cast<Attempt*>(request->data)->connected(status);
                       });
    if (rc != 0) {
      drop_and_try_next(rc);
      return;
    }
    under_way_ = shared_from_this();
  }

  void connected(int status) {
    const auto keep = std::move(under_way_);
    if (finished_ || status == UV_ECANCELED) return;  // cancelled, or the loop stops
    if (status != 0) {
      drop_and_try_next(status);
      return;
    }
    finish(std::exchange(core_, nullptr)->established());
  }

  void drop_and_try_next(int error) {
    last_error_ = error;
    std::exchange(core_, nullptr)->abort(Error{ErrorCode::kUnreachable, uv_strerror(error)});
    try_next();
  }

  void fail_now() {
    const char* why = last_error_ == 0 ? "no address" : uv_strerror(last_error_);
    finish(fail(ErrorCode::kUnreachable, "cannot connect to " + address_.text() + ": " + why));
  }

  void finish(Result<std::unique_ptr<Connection>> result) {
    if (std::exchange(finished_, true)) return;
    const auto keep = shared_from_this();
    stop_all();
    auto done = std::exchange(done_, nullptr);
    done(std::move(result));
  }

  void stop_all() {
    timeout_.reset();
    if (looking_up_) uv_cancel(reinterpret_cast<uv_req_t*>(&lookup_));
    if (core_ != nullptr) {
      std::exchange(core_, nullptr)->abort(Error{ErrorCode::kUnreachable, "cancelled"});
    }
  }

  UvLoop& loop_;
  const Address address_;
  OnConnected done_;
  std::unique_ptr<Loop::Timer> timeout_;
  uv_getaddrinfo_t lookup_{};
  uv_connect_t request_{};
  std::shared_ptr<Attempt> under_way_;
  std::shared_ptr<UvConnection> core_;
  std::vector<SocketAddress> targets_;
  std::size_t next_ = 0;
  int last_error_ = 0;
  bool finished_ = false, looking_up_ = false;
};

class UvConnecting final : public Connecting {
 public:
  explicit UvConnecting(std::shared_ptr<Attempt> attempt) : attempt_(std::move(attempt)) {}
  UvConnecting(const UvConnecting&) = delete;
  UvConnecting& operator=(const UvConnecting&) = delete;
  ~UvConnecting() override { attempt_->cancel(); }

 private:
  std::shared_ptr<Attempt> attempt_;
};

}  // namespace

std::unique_ptr<Connecting> connect(Loop& loop, const Address& address, std::uint32_t timeout_ms,
                                    OnConnected done) {
  auto attempt = std::make_shared<Attempt>(UvLoop::of(loop), address, std::move(done));
  attempt->start(timeout_ms);
  return std::make_unique<UvConnecting>(std::move(attempt));
}

}  // namespace andyx::net
