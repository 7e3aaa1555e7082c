#include "protocol/net/uv_connection.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

namespace andyx::net {
namespace {

constexpr std::size_t kFlushBytes = 256 * limits::kKiB;
constexpr std::size_t kSendBound = limits::kMaxQueuedSendBytesPerConnection;
constexpr std::uint32_t kLastWordsLingerMs = 1'000;
constexpr std::size_t kMaxPieces = 1'024;  // IOV_MAX

std::string peer_text(const uv_tcp_t* tcp) {
  sockaddr_storage storage{};
  int length = sizeof storage;
  if (uv_tcp_getpeername(tcp, reinterpret_cast<sockaddr*>(&storage), &length) != 0)
    return "unknown";
  char host[64] = {};
  Address address;
  if (storage.ss_family == AF_INET6) {
    const auto* in6 = reinterpret_cast<const sockaddr_in6*>(&storage);
    uv_ip6_name(in6, host, sizeof host);
    address = {.host = host, .port = ntohs(in6->sin6_port)};
  } else {
    const auto* in4 = reinterpret_cast<const sockaddr_in*>(&storage);
    uv_ip4_name(in4, host, sizeof host);
    address = {.host = host, .port = ntohs(in4->sin_port)};
  }
  return address.text();
}

}  // namespace

// What the owner holds. Everything is forwarded, so that it may be destroyed at any moment.
class UvConnection::Face final : public Connection {
 public:
  explicit Face(std::shared_ptr<UvConnection> core) : core_(std::move(core)) {}
  Face(const Face&) = delete;
  Face& operator=(const Face&) = delete;
  ~Face() override { core_->orphan(); }

  void set_handler(ConnectionHandler* handler) override { core_->set_handler(handler); }
  bool send(frame::OutFrame frame) override { return core_->send(std::move(frame)); }
  std::size_t queued_bytes() const override { return core_->queue_.bytes(); }
  void pause_reading() override { core_->pause_reading(); }
  void resume_reading() override { core_->resume_reading(); }
  void close(std::uint32_t linger_ms, Error reason) override {
    core_->close(linger_ms, std::move(reason));
  }
  std::optional<LooseConnection> let_go() override { return core_->let_go(); }
  std::uint64_t last_received_ms() const override { return core_->last_received_ms_; }
  std::size_t receive_charged_bytes() const override { return core_->reader_.charged_bytes(); }
  const std::string& peer() const override { return core_->peer_; }
  frame::FrameReader& reader() override { return core_->reader_; }

 private:
  std::shared_ptr<UvConnection> core_;
};

LooseConnection::LooseConnection(LooseConnection&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), unread_(std::move(other.unread_)) {}

LooseConnection& LooseConnection::operator=(LooseConnection&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(unread_, other.unread_);
  return *this;
}

LooseConnection::~LooseConnection() {
  if (fd_ >= 0) ::close(fd_);
}

Result<std::unique_ptr<Connection>> take_over(Loop& loop, LooseConnection loose) {
  auto core = UvConnection::make(static_cast<UvLoop&>(loop));
  if (core == nullptr) return fail(ErrorCode::kConnectionLost, "the event loop ends");
  if (const int rc = uv_tcp_open(core->tcp(), loose.fd_); rc != 0) {
    Error lost{ErrorCode::kConnectionLost, std::string("taking a socket over: ") + uv_strerror(rc)};
    core->abort(lost);
    return std::unexpected(std::move(lost));
  }
  loose.fd_ = -1;
  auto connection = core->established();
  core->receive_again(loose.unread_);
  return connection;
}

std::shared_ptr<UvConnection> UvConnection::make(UvLoop& loop) {
  if (loop.closing()) return nullptr;
  std::shared_ptr<UvConnection> core(new UvConnection(loop));
  if (uv_tcp_init(loop.uv(), &core->tcp_) != 0) return nullptr;
  core->tcp_.data = static_cast<Closable*>(core.get());
  core->self_ = core;
  return core;
}

std::unique_ptr<Connection> UvConnection::established() {
  uv_tcp_nodelay(&tcp_, 1);
  peer_ = peer_text(&tcp_);
  last_received_ms_ = loop_.now_ms();
  auto face = std::make_unique<Face>(shared_from_this());
  face_ = face.get();
  return face;
}

void UvConnection::set_handler(ConnectionHandler* handler) {
  handler_ = handler;
  if (state_ == State::kOpen && !paused_) start_reading();
}

void UvConnection::orphan() {
  face_ = nullptr;
  handler_ = nullptr;
  abort(Error{ErrorCode::kConnectionLost, "dropped by its owner"});
}

void UvConnection::loop_stops() {
  abort(Error{ErrorCode::kShuttingDown, "the event loop has stopped"});
}

// ---- Receiving ----

void UvConnection::start_reading() {
  if (reading_) return;
  const int rc = uv_read_start(
      stream(),
      [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
        const auto room = of(handle->data).reader_.receive_buffer();
        *buffer =
            uv_buf_init(reinterpret_cast<char*>(room.data()), static_cast<unsigned>(room.size()));
      },
      [](uv_stream_t* stream, ssize_t n, const uv_buf_t*) { of(stream->data).on_read(n); });
  reading_ = rc == 0;
  if (rc != 0) abort(Error{ErrorCode::kConnectionLost, peer_ + ": " + uv_strerror(rc)});
}

void UvConnection::on_read(ssize_t n) {
  if (n == 0) return;  // nothing there after all
  if (n < 0) {
    const bool ended = n == UV_EOF;
    if (ended && state_ == State::kLingering && !queue_.empty()) {
      // It may have ended its own side only, and wait for our last word.
      peer_has_ended_ = true;
      return;
    }
    Error lost{ErrorCode::kConnectionLost,
               peer_ + ": " + (ended ? "closed by the peer" : uv_strerror(static_cast<int>(n)))};
    // While lingering, the end of the peer's stream is what was waited for.
    abort(state_ == State::kLingering ? std::move(reason_) : std::move(lost));
    return;
  }
  last_received_ms_ = loop_.now_ms();
  if (state_ != State::kOpen) return;  // lingering: thrown away
  reader_.received(static_cast<std::size_t>(n));
  deliver_frames();
}

void UvConnection::deliver_frames() {
  if (delivering_ || !may_deliver()) return;
  delivering_ = true;
  const auto keep = shared_from_this();
  while (may_deliver()) {
    auto frame = reader_.next();
    if (!frame) {
      handler_->on_stream_error(*face_, frame.error());
      if (state_ == State::kOpen) close(queue_.empty() ? 0 : kLastWordsLingerMs, frame.error());
      break;
    }
    if (!*frame) break;
    handler_->on_frame(*face_, std::move(**frame));
  }
  delivering_ = false;
  if (state_ == State::kOpen && handler_ != nullptr) handler_->on_read_end(*face_);
  if (may_deliver()) start_reading();  // where it was paused and resumed from within
}

void UvConnection::pause_reading() {
  paused_ = true;
  if (state_ != State::kOpen || !std::exchange(reading_, false)) return;
  uv_read_stop(stream());
  if (peer_reads_no_more_) {  // nothing else would tell of its end
    abort(Error{ErrorCode::kConnectionLost, peer_ + ": closed by the peer"});
  }
}

void UvConnection::resume_reading() {
  if (!std::exchange(paused_, false) || state_ != State::kOpen || delivering_) return;
  loop_.at_end_of_turn([self = shared_from_this()] { self->deliver_frames(); });
}

// ---- Sending ----

bool UvConnection::send(frame::OutFrame frame) {
  if (state_ != State::kOpen || peer_reads_no_more_) return false;
  const auto before = queue_.bytes();
  queue_.push(std::move(frame));
  unflushed_bytes_ += queue_.bytes() - before;
  if (unflushed_bytes_ >= kFlushBytes) {
    flush();
  } else if (!std::exchange(flush_scheduled_, true)) {
    loop_.at_end_of_turn([self = shared_from_this()] {
      self->flush_scheduled_ = false;
      self->flush();
    });
  }
  if (queue_.bytes() > kSendBound) over_bound_ = true;
  return !over_bound_;
}

void UvConnection::flush() {
  unflushed_bytes_ = 0;
  if (state_ >= State::kClosing || writing_bytes_ > 0) return;
  if (!write_now()) return;
  if (!queue_.empty()) write_later();
  if (queue_.empty() && state_ == State::kLingering) shut_down();
}

// As much as the socket takes now; false when it is broken.
bool UvConnection::write_now() {
  uv_buf_t pieces[kMaxPieces];
  while (!queue_.empty()) {
    const auto gathered = queue_.gather(pieces);
    const int rc = uv_try_write(stream(), pieces, gathered.pieces);
    if (rc == UV_EAGAIN) return true;
    if (rc < 0) {
      cannot_write(rc);
      return false;
    }
    sent(static_cast<std::size_t>(rc));
    if (static_cast<std::size_t>(rc) < gathered.bytes) return true;
  }
  return true;
}

void UvConnection::write_later() {
  uv_buf_t pieces[kMaxPieces];
  const auto gathered = queue_.gather(pieces);
  const int rc =
      uv_write(&write_, stream(), pieces, gathered.pieces, [](uv_write_t* request, int status) {
        auto& core = of(request->handle->data);
        const auto written = std::exchange(core.writing_bytes_, 0);
        if (status == 0) {
          core.sent(written);
          core.flush();
        } else if (status != UV_ECANCELED) {
          core.cannot_write(status);
        }
      });
  if (rc != 0) {
    cannot_write(rc);
    return;
  }
  writing_bytes_ = gathered.bytes;
}

// Where the peer has closed, what it said before may still be unread, as the reason why. Reading
// comes to the end of it by itself.
void UvConnection::cannot_write(int why) {
  const bool closed_by_peer = why == UV_EPIPE || why == UV_ECONNRESET;
  if (closed_by_peer && state_ == State::kOpen && reading_) {
    peer_reads_no_more_ = true;
    queue_.clear();
    return;
  }
  abort(Error{ErrorCode::kConnectionLost, peer_ + ": " + uv_strerror(why)});
}

void UvConnection::sent(std::size_t bytes) {
  queue_.consume(bytes);
  if (!over_bound_ || queue_.bytes() >= kSendBound / 2) return;
  over_bound_ = false;
  // Not from here: the handler may be inside send().
  loop_.at_end_of_turn([self = shared_from_this()] {
    if (self->state_ == State::kOpen && self->handler_ != nullptr) {
      self->handler_->on_writable(*self->face_);
    }
  });
}

// ---- Closing ----

void UvConnection::close(std::uint32_t linger_ms, Error reason) {
  if (state_ >= State::kClosing) return;
  if (linger_ms == 0) {
    abort(state_ == State::kLingering ? std::move(reason_) : std::move(reason));
    return;
  }
  if (state_ == State::kLingering) return;
  state_ = State::kLingering;
  reason_ = std::move(reason);
  linger_ = loop_.timer();
  linger_->start(linger_ms, 0, [this] { abort(std::move(reason_)); });
  // Read on and throw away: closing a socket with unread bytes resets it, and the peer might lose
  // what was sent last.
  start_reading();
  if (state_ == State::kLingering) flush();
}

void UvConnection::shut_down() {
  if (std::exchange(shutting_down_, true)) return;
  const int rc = uv_shutdown(&shutdown_, stream(), [](uv_shutdown_t* request, int) {
    auto& core = of(request->handle->data);
    if (core.peer_has_ended_) core.abort(std::move(core.reason_));
  });
  if (rc != 0) abort(std::move(reason_));
}

std::optional<LooseConnection> UvConnection::let_go() {
  uv_os_fd_t fd = -1;
  if (state_ != State::kOpen || !queue_.empty() || peer_reads_no_more_) return std::nullopt;
  if (uv_fileno(reinterpret_cast<uv_handle_t*>(&tcp_), &fd) != 0) return std::nullopt;
  const int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (own < 0) return std::nullopt;
  handler_ = nullptr;
  abort(Error{ErrorCode::kConnectionLost, "went to another loop"});
  return LooseConnection(own, reader_.take_rest());
}

void UvConnection::receive_again(const SharedBytes& bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const auto room = reader_.receive_buffer();
    const std::size_t part = std::min(room.size(), bytes.size() - at);
    std::memcpy(room.data(), bytes.data() + at, part);
    reader_.received(part);
    at += part;
  }
  if (!bytes.empty()) loop_.at_end_of_turn([self = shared_from_this()] { self->deliver_frames(); });
}

void UvConnection::abort(Error reason) {
  if (state_ >= State::kClosing) return;
  state_ = State::kClosing;
  reason_ = std::move(reason);
  linger_.reset();
  uv_close(reinterpret_cast<uv_handle_t*>(&tcp_),
           [](uv_handle_t* handle) { of(handle->data).closed(); });
}

void UvConnection::closed() {
  state_ = State::kClosed;
  const auto keep = std::move(self_);
  queue_.clear();
  if (auto* handler = std::exchange(handler_, nullptr); handler != nullptr && face_ != nullptr) {
    handler->on_closed(*face_, reason_);
  }
}

}  // namespace andyx::net
