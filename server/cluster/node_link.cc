#include "server/cluster/node_link.h"

#include <algorithm>

#include "protocol/base/limits.h"
#include "protocol/frame/frame_verify.h"

namespace andyx::server {
namespace {

constexpr std::uint16_t kProtocolVersion = 1;
// Under the other side's bounds for a connection, so that it never stops reading: pings and what is
// told have to pass.
constexpr std::size_t kMaxInFlight = limits::kMaxInFlightRequestsPerConnection - 64;
constexpr std::size_t kMaxInFlightBytes = limits::kMaxInFlightBytesPerConnection * 3 / 4;
// Of keep-alive ticks without anything received. Ticks, not time: after a pause of this process the
// first one comes before what was received meanwhile.
constexpr std::uint32_t kSilentTicks = 3;
// Hello, pings. No call has it.
constexpr std::uint64_t kOwnId = ~std::uint64_t{0};

Error error_of(const protocol::ErrorReply& reply) {
  Error error{static_cast<ErrorCode>(reply.code()), {}, reply.node()};
  if (reply.message() != nullptr) error.message = reply.message()->str();
  return error;
}

// splitmix64.
std::uint64_t next_random(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

// After `failures` in a row: min, 2 min, 4 min… up to max; of that a random half to whole.
std::uint64_t backoff_ms(std::uint32_t failures, const NodeLinksOptions& options,
                         std::uint64_t& random) {
  const std::uint32_t doublings = std::min(failures > 0 ? failures - 1 : 0, 20u);
  const std::uint64_t full_ms = std::min<std::uint64_t>(
      options.backoff_max_ms, std::uint64_t{options.backoff_min_ms} << doublings);
  return full_ms - next_random(random) % (full_ms / 2 + 1);
}

// A refusal that is meant for us, and not a trouble on the way.
bool is_refusal(ErrorCode code) {
  return code == ErrorCode::kWrongCluster || code == ErrorCode::kNodeConflict ||
         code == ErrorCode::kUnsupportedVersion || code == ErrorCode::kUnauthorized;
}

}  // namespace

NodeLink::NodeLink(net::Loop& loop, const NodeLinksOptions& options, net::Address address,
                   NodePin pin, Owner& owner)
    : loop_(loop),
      options_(options),
      address_(std::move(address)),
      pin_(std::move(pin)),
      owner_(owner),
      random_(options.incarnation ^ (std::uint64_t{options.self} << 32) ^ pin_.node),
      timer_(loop.timer()),
      deadline_timer_(loop.timer()) {
  connect();
}

NodeLink::~NodeLink() = default;

// ---- Connecting ----

void NodeLink::connect() {
  state_ = State::kConnecting;
  connecting_ = net::connect(loop_, address_, options_.connect_timeout_ms,
                             [this](auto made) { connected(std::move(made)); });
}

void NodeLink::connected(Result<std::unique_ptr<net::Connection>> made) {
  const auto attempt = std::move(connecting_);  // until this returns
  if (!made) return lost(made.error());
  connection_ = std::move(*made);
  connection_->set_handler(this);
  say_hello();
}

void NodeLink::say_hello() {
  state_ = State::kHello;
  timer_->start(options_.connect_timeout_ms, 0, [this] {
    lost({ErrorCode::kTimedOut, address_.text() + ": no answer to hello within " +
                                    std::to_string(options_.connect_timeout_ms) + " ms"});
  });
  connection_->send(writer_.write(kOwnId, [this](flatbuffers::FlatBufferBuilder& builder) {
    const auto name = builder.CreateString("andyx-node");
    const auto version = builder.CreateString(ANDYX_VERSION);
    const auto cluster =
        builder.CreateString(pin_.cluster_id.is_zero() ? std::string{} : pin_.cluster_id.text());
    const auto hello = protocol::CreateHello(
        builder, kProtocolVersion, kProtocolVersion, name, version, cluster, 0, 0, options_.self,
        options_.incarnation, false, 0, options_.metadata_group ? options_.metadata_group() : 0);
    return frame::Body{static_cast<std::uint8_t>(protocol::Body::Hello), hello.Union()};
  }));
}

Status NodeLink::check_hello(const protocol::Frame& frame) {
  if (const auto* refused = frame.body_as_ErrorReply()) {
    auto error = error_of(*refused);
    error.message = address_.text() + " refuses: " + error.message;
    return std::unexpected(std::move(error));
  }
  const auto* hello = frame.body_as_HelloReply();
  if (hello == nullptr || hello->version() != kProtocolVersion) {
    return fail(ErrorCode::kUnsupportedVersion, address_.text() +
                                                    ": the answer to hello is none of version " +
                                                    std::to_string(kProtocolVersion));
  }
  peer_ = {.cluster_id = hello->cluster_id() == nullptr ? "" : hello->cluster_id()->str(),
           .node = hello->node_id(),
           .incarnation = hello->incarnation()};
  return check_peer();
}

Status NodeLink::check_peer() const {
  if (!pin_.cluster_id.is_zero() && peer_.cluster_id != pin_.cluster_id.text()) {
    return fail(ErrorCode::kWrongCluster, address_.text() + " belongs to cluster " +
                                              peer_.cluster_id + ", this node to " +
                                              pin_.cluster_id.text());
  }
  if (pin_.node == 0) return {};
  // Whoever is there: the node that is meant cannot be reached there. Nobody has refused us.
  if (peer_.node != pin_.node) {
    return fail(ErrorCode::kUnreachable, address_.text() + " is node " +
                                             std::to_string(peer_.node) + ", not node " +
                                             std::to_string(pin_.node));
  }
  if (peer_.incarnation < pin_.incarnation) {
    return fail(ErrorCode::kUnreachable,
                address_.text() + ": node " + std::to_string(pin_.node) +
                    " answers as incarnation " + std::to_string(peer_.incarnation) +
                    ", which ended before " + std::to_string(pin_.incarnation) + " began");
  }
  return {};
}

void NodeLink::hello_answered(NodeFrame frame) {
  if (auto checked = check_hello(*frame.frame); !checked) return lost(checked.error());
  state_ = State::kUp;
  failures_ = 0;
  silent_ticks_ = 0;
  sent_since_tick_ = true;
  seen_received_ms_ = connection_->last_received_ms();
  timer_->start(options_.keep_alive_ms, options_.keep_alive_ms, [this] { keep_alive(); });
  owner_.link_up(*this);
  send_waiting();
}

void NodeLink::repin(net::Address address, NodePin pin) {
  if (ended()) return;
  const bool moved = address.host != address_.host || address.port != address_.port;
  const bool restarted = pin.incarnation > pin_.incarnation;
  address_ = std::move(address);
  pin_ = std::move(pin);
  if (moved && state_ == State::kConnecting) return connect();  // cancels the attempt
  if (moved && (state_ == State::kHello || up())) {
    lost({ErrorCode::kConnectionLost,
          "node " + std::to_string(pin_.node) + " is at " + address_.text() + " now"});
  } else if (up()) {
    if (auto fits = check_peer(); !fits) lost(fits.error());
  }
  if (state_ != State::kWaiting || !(moved || restarted)) return;
  failures_ = 0;
  timer_->stop();
  connect();
}

void NodeLink::keep_alive() {
  const auto received_ms = connection_->last_received_ms();
  silent_ticks_ = received_ms == seen_received_ms_ ? silent_ticks_ + 1 : 0;
  seen_received_ms_ = received_ms;
  if (silent_ticks_ >= kSilentTicks) {
    return lost({ErrorCode::kConnectionLost,
                 address_.text() + ": nothing received for " +
                     std::to_string(silent_ticks_ * options_.keep_alive_ms) + " ms"});
  }
  const bool sent = std::exchange(sent_since_tick_, false);
  if (silent_ticks_ > 0 || !sent) ping();
}

void NodeLink::ping() {
  connection_->send(writer_.write(kOwnId, [](flatbuffers::FlatBufferBuilder& builder) {
    return frame::Body{static_cast<std::uint8_t>(protocol::Body::Ping),
                       protocol::CreatePing(builder).Union()};
  }));
}

void NodeLink::lost(Error reason) {
  if (ended()) return;
  state_ = State::kWaiting;
  connection_.reset();
  timer_->start(backoff_ms(++failures_, options_, random_), 0, [this] { connect(); });
  Error not_sent = reason;
  if (!is_refusal(reason.code)) not_sent.code = ErrorCode::kUnreachable;
  Error sent{ErrorCode::kConnectionLost, reason.message};
  fail_calls(sent, not_sent);
  if (!ended()) owner_.link_down(*this, reason);
}

void NodeLink::end(const Error& reason) {
  if (std::exchange(state_, State::kEnded) == State::kEnded) return;
  connecting_.reset();
  connection_.reset();
  timer_->stop();
  fail_calls(reason, reason);
}

void NodeLink::fail_calls(const Error& sent, const Error& not_sent) {
  auto calls = std::exchange(calls_, {});
  waiting_.clear();
  deadlines_.clear();
  deadline_timer_->stop();
  waiting_bytes_ = in_flight_ = in_flight_bytes_ = 0;
  for (auto& [id, call] : calls) {
    if (call.done) call.done(std::unexpected(call.frame ? not_sent : sent));
  }
}

// ---- Requests ----

Status NodeLink::check_room() const {
  const std::size_t queued_bytes = waiting_bytes_ + (up() ? connection_->queued_bytes() : 0);
  if (calls_.size() < limits::kMaxNodeLinkCalls && queued_bytes < limits::kMaxNodeLinkQueuedBytes)
    return {};
  return fail(ErrorCode::kOverloaded, address_.text() + ": " + std::to_string(calls_.size()) +
                                          " requests are open and " + std::to_string(queued_bytes) +
                                          " bytes wait to be sent");
}

void NodeLink::call(std::uint64_t id, frame::OutFrame frame, std::uint32_t timeout_ms,
                    NodeLinks::Done done) {
  const auto size_bytes = frame.size_bytes();
  const auto deadline_ms = loop_.now_ms() + std::max(timeout_ms, 1u);
  calls_.emplace(id, Call{.done = std::move(done),
                          .frame = std::move(frame),
                          .size_bytes = size_bytes,
                          .deadline_ms = deadline_ms});
  waiting_.push_back(id);
  waiting_bytes_ += size_bytes;
  const bool soonest = deadlines_.empty() || deadline_ms < deadlines_.begin()->first;
  deadlines_.emplace(deadline_ms, id);
  if (soonest) arm_deadline();
  send_waiting();
}

bool NodeLink::can_tell() const {
  return up() && connection_->queued_bytes() < limits::kMaxNodeLinkQueuedBytes;
}

void NodeLink::tell(frame::OutFrame frame) { send(std::move(frame)); }

void NodeLink::send(frame::OutFrame frame) {
  sent_since_tick_ = true;
  connection_->send(std::move(frame));
}

bool NodeLink::window_open(std::size_t size_bytes) const {
  return in_flight_ == 0 ||
         (in_flight_ < kMaxInFlight && in_flight_bytes_ + size_bytes <= kMaxInFlightBytes);
}

void NodeLink::send_waiting() {
  while (up() && !waiting_.empty()) {
    const auto found = calls_.find(waiting_.front());
    if (found == calls_.end()) {  // its time was up
      waiting_.pop_front();
      continue;
    }
    Call& call = found->second;
    if (!window_open(call.size_bytes)) return;
    waiting_.pop_front();
    waiting_bytes_ -= call.size_bytes;
    ++in_flight_;
    in_flight_bytes_ += call.size_bytes;
    send(*std::exchange(call.frame, std::nullopt));
  }
}

void NodeLink::arm_deadline() {
  if (deadlines_.empty()) return deadline_timer_->stop();
  const auto now_ms = loop_.now_ms(), when_ms = deadlines_.begin()->first;
  deadline_timer_->start(when_ms > now_ms ? when_ms - now_ms : 0, 0, [this] { expire(); });
}

void NodeLink::expire() {
  while (!deadlines_.empty() && deadlines_.begin()->first <= loop_.now_ms()) {
    const auto id = deadlines_.begin()->second;
    deadlines_.erase(deadlines_.begin());
    Call& call = calls_.at(id);
    auto done = std::exchange(call.done, nullptr);
    Error error{ErrorCode::kTimedOut, address_.text() + ": no answer in time"};
    if (call.frame) {
      error = {ErrorCode::kUnreachable, address_.text() + ": could not be sent in time"};
      waiting_bytes_ -= call.size_bytes;
      calls_.erase(id);
    }
    done(std::unexpected(std::move(error)));
  }
  arm_deadline();
}

// ---- Receiving ----

void NodeLink::on_frame(net::Connection&, SharedBytes bytes) {
  const auto verified = frame::verify_frame(bytes.span());
  if (!verified)
    return lost({verified.error().code, address_.text() + ": " + verified.error().message});
  NodeFrame frame{std::move(bytes), *verified};
  if (state_ == State::kHello) return hello_answered(std::move(frame));
  if (frame.frame->correlation_id() != 0) return answered(std::move(frame));
  if (const auto* error = frame.frame->body_as_ErrorReply()) {
    return lost(error_of(*error));  // the last word of a node that closes
  }
  owner_.link_pushed(*this, std::move(frame));
}

void NodeLink::answered(NodeFrame frame) {
  const auto found = calls_.find(frame.frame->correlation_id());
  if (found == calls_.end() || found->second.frame) return;  // a pong, or nothing that was asked
  Call call = std::move(found->second);
  calls_.erase(found);
  --in_flight_;
  in_flight_bytes_ -= call.size_bytes;
  if (call.done) {
    deadlines_.erase({call.deadline_ms, frame.frame->correlation_id()});
    if (const auto* refused = frame.frame->body_as_ErrorReply()) {
      call.done(std::unexpected(error_of(*refused)));
    } else {
      call.done(std::move(frame));
    }
  }
  send_waiting();
}

}  // namespace andyx::server
