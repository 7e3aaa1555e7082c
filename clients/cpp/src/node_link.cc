#include "clients/cpp/src/node_link.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "clients/cpp/src/backoff.h"
#include "protocol/frame/frame_verify.h"

namespace andyx::client {
namespace {

// Under the server's bounds for a connection, so that it never has to push back on requests.
constexpr std::size_t kMaxInFlight = limits::kMaxInFlightRequestsPerConnection - 64;
constexpr std::size_t kMaxInFlightBytes = limits::kMaxInFlightBytesPerConnection * 3 / 4;
constexpr std::uint32_t kLingerMs = 500;
// At a node that is silent and should not be, until it is doubted.
constexpr std::uint32_t kLooksPerDoubt = 4;
constexpr std::uint32_t kPingsPerDoubt = 2;  // so that one may be late

// For one attempt to connect, and for the answer to hello.
std::uint32_t patience_ms(const LinkOptions& options) {
  return std::min(options.connect_timeout_ms, options.ping_timeout_ms);
}

std::uint32_t until_doubted_ms(const LinkOptions& options) {
  return std::min(options.doubt_ms, options.ping_timeout_ms);
}

}  // namespace

ReplyError local_error(ErrorCode code, std::string message) {
  const auto& info = error_info(code);
  return {{code, std::move(message)}, info.stored, info.retriable, 0};
}

ReplyError error_of(const protocol::ErrorReply& reply) {
  ReplyError error{
      {static_cast<ErrorCode>(reply.code()), {}}, {}, reply.retriable(), reply.retry_after_ms()};
  error.node = reply.node();
  error.stored = reply.stored() == protocol::Storedness::not_stored ? Storedness::kNotStored
                                                                    : Storedness::kMaybeStored;
  if (reply.duplicates() != nullptr) {
    for (const auto* one : *reply.duplicates())
      error.duplicates.push_back({one->index(), one->offset()});
  }
  if (reply.message() != nullptr) error.message = reply.message()->str();
  return error;
}

NodeLink::NodeLink(net::Loop& loop, net::Address address, const LinkOptions& options)
    : loop_(loop),
      address_(std::move(address)),
      options_(options),
      random_(options.seed),
      timer_(loop.timer()),
      idle_timeout_ms_(limits::kIdleTimeoutMs) {}

NodeLink::~NodeLink() = default;

void NodeLink::add_user(LinkUser* user) {
  if (state_ == State::kShutDown) return;
  if (std::ranges::find(users_, user) == users_.end()) users_.push_back(user);
  if (state_ == State::kIdle) wait_and_reconnect();
}

void NodeLink::remove_user(LinkUser* user) { std::erase(users_, user); }

// Users may come and go while they are told.
template <typename Notify>
void NodeLink::for_each_user(Notify notify) {
  for (auto* user : std::vector(users_)) {
    if (std::ranges::find(users_, user) != users_.end()) notify(*user);
  }
}

// ---- Connecting ----

void NodeLink::wait_and_reconnect() {
  state_ = State::kWaiting;
  const auto now_ms = loop_.now_ms();
  timer_->start(not_before_ms_ > now_ms ? not_before_ms_ - now_ms : 0, 0, [this] { connect(); });
}

void NodeLink::connect() {
  state_ = State::kConnecting;
  connecting_ = net::connect(loop_, address_, patience_ms(options_),
                             [this](auto made) { connected(std::move(made)); });
}

void NodeLink::connected(Result<std::unique_ptr<net::Connection>> made) {
  const auto attempt = std::move(connecting_);
  if (!made) {
    attempt_failed(made.error());
    return;
  }
  connection_ = std::move(*made);
  connection_->set_handler(this);
  say_hello();
}

void NodeLink::say_hello() {
  state_ = State::kHello;
  timer_->start(patience_ms(options_), 0, [this] {
    lost(Error{ErrorCode::kTimedOut, address_.text() + ": no answer to hello within " +
                                         std::to_string(patience_ms(options_)) + " ms"});
  });
  connection_->send(writer_.write(next_id_++, [this](auto& builder) {
    const auto name = builder.CreateString(options_.client_name);
    const auto version = builder.CreateString(ANDYX_VERSION);
    const auto cluster = builder.CreateString(options_.cluster_id);
    protocol::HelloBuilder hello(builder);
    hello.add_client_name(name);
    hello.add_client_version(version);
    hello.add_cluster_id(cluster);
    hello.add_front_door(options_.front_door);
    return body_of(protocol::Body::Hello, hello.Finish());
  }));
}

void NodeLink::hello_answered(ReplyFrame frame) {
  if (const auto* refused = frame.frame->body_as_ErrorReply()) {
    lost(error_of(*refused));
    return;
  }
  const auto* answer = frame.frame->body_as_HelloReply();
  if (answer == nullptr) {
    lost(Error{ErrorCode::kUnsupportedVersion, address_.text() + ": the answer to hello is none"});
    return;
  }
  if (is_other_cluster(*answer)) return;
  if (users_.empty()) {  // nobody waits any more
    connection_.reset();
    timer_->stop();
    state_ = State::kIdle;
    return;
  }
  hello_ = std::move(frame);
  state_ = State::kUp;
  failures_ = 0;
  if (const auto told_ms = hello()->idle_timeout_ms(); told_ms > 0) idle_timeout_ms_ = told_ms;
  arm_keep_alive();
  for_each_user([this](LinkUser& user) { user.link_up(*this); });
}

// The server looks at the pinned id too; but it may have been pinned after our hello was sent.
bool NodeLink::is_other_cluster(const protocol::HelloReply& answer) {
  const auto* theirs = answer.cluster_id();
  if (options_.cluster_id.empty() || theirs == nullptr || theirs->size() == 0 ||
      theirs->str() == options_.cluster_id) {
    return false;
  }
  lost(Error{ErrorCode::kWrongCluster, address_.text() + " is of the cluster " + theirs->str() +
                                           ", this client is of " + options_.cluster_id});
  return true;
}

void NodeLink::ping_at_least_every(std::uint32_t ms) {
  if (ms == 0 || ms >= ping_every_ms_) return;
  ping_every_ms_ = ms;
  if (up()) arm_keep_alive();
}

void NodeLink::arm_keep_alive() {
  heard_ms_ = pinged_ms_ = loop_.now_ms();
  unsent_bytes_ = 0;
  silent_ms_ = 0;
  const auto often_ms =
      std::min<std::uint64_t>(until_doubted_ms(options_) / kLooksPerDoubt, idle_timeout_ms_ / 4);
  check_every_ms_ = std::clamp<std::uint64_t>(often_ms, 1, ping_every_ms_);
  timer_->start(check_every_ms_, check_every_ms_, [this] { keep_alive(); });
}

// Is something expected of the node? Then it is asked often whether it lives.
bool NodeLink::is_waiting() const {
  return !pending_.empty() || !streams_.empty() || !attachments_.empty();
}

// Whether nothing has moved since the last look, either way.
bool NodeLink::is_silent() {
  const auto heard_ms = connection_->last_received_ms();
  const auto unsent_bytes = connection_->queued_bytes();
  const bool moved = heard_ms > heard_ms_ || unsent_bytes < unsent_bytes_;
  heard_ms_ = heard_ms;
  unsent_bytes_ = unsent_bytes;
  return !moved;
}

void NodeLink::keep_alive() {
  const auto now_ms = loop_.now_ms();
  // The first silent look sends the ping that the next ones wait for.
  silent_ms_ = is_silent() && is_waiting() ? silent_ms_ + check_every_ms_ : 0;
  const bool gone = silent_ms_ > options_.ping_timeout_ms;
  if (gone || now_ms - connection_->last_received_ms() >= idle_timeout_ms_) {
    const auto silent_ms = gone ? options_.ping_timeout_ms : idle_timeout_ms_;
    lost(Error{ErrorCode::kConnectionLost,
               address_.text() + ": nothing received for " + std::to_string(silent_ms) + " ms"});
    return;
  }
  const auto every_ms = std::clamp<std::uint64_t>(
      silent_ms_ > 0 ? until_doubted_ms(options_) / kPingsPerDoubt : idle_timeout_ms_ / 4, 1,
      ping_every_ms_);
  if (now_ms - pinged_ms_ >= every_ms) ping();
  if (silent()) for_each_user([this](LinkUser& user) { user.link_silent(*this); });
}

void NodeLink::ping() {
  pinged_ms_ = loop_.now_ms();
  tell([](auto& builder) { return body_of(protocol::Body::Ping, protocol::CreatePing(builder)); });
}

void NodeLink::on_closed(net::Connection&, const Error& reason) { lost(reason); }

void NodeLink::lost(Error reason) {
  connection_.reset();
  fail_pending(reason);
  streams_.clear();
  attachments_.clear();
  attempt_failed(reason);
}

void NodeLink::attempt_failed(const Error& reason) {
  if (state_ == State::kShutDown) return;
  state_ = State::kIdle;
  timer_->stop();
  not_before_ms_ = loop_.now_ms() + backoff_ms(++failures_, options_.backoff_min_ms,
                                               options_.backoff_max_ms, random_);
  for_each_user([&](LinkUser& user) { user.link_down(*this, reason); });
  if (state_ == State::kIdle && !users_.empty()) wait_and_reconnect();
}

void NodeLink::shut_down(const Error& reason) {
  if (std::exchange(state_, State::kShutDown) == State::kShutDown) return;
  users_.clear();
  streams_.clear();
  attachments_.clear();
  connecting_.reset();
  timer_.reset();
  if (connection_ != nullptr) connection_->close(kLingerMs, reason);
  fail_pending(reason);
}

// ---- Requests ----

void NodeLink::call(const Fill& fill, OnReply reply) {
  const auto id = next_id_++;
  submit(id, writer_.write(id, fill), std::move(reply));
}

void NodeLink::call_with_payload(SharedBytes payload, const FillBatch& fill, OnReply reply) {
  const auto id = next_id_++;
  std::vector<SharedBytes> pieces;
  pieces.push_back(std::move(payload));
  submit(id, writer_.write_with_payload(id, std::move(pieces), fill), std::move(reply));
}

void NodeLink::tell(const Fill& fill) {
  if (up()) connection_->send(writer_.write(next_id_++, fill));
}

void NodeLink::submit(std::uint64_t id, frame::OutFrame frame, OnReply reply) {
  if (!up()) {
    loop_.at_end_of_turn([reply = std::move(reply), text = address_.text()]() mutable {
      reply(std::unexpected(local_error(ErrorCode::kConnectionLost, text + ": not connected")));
    });
    return;
  }
  const auto size_bytes = frame.size_bytes();
  pending_.emplace(id, Pending{.reply = std::move(reply), .size_bytes = size_bytes});
  if (waiting_.empty() && has_room(size_bytes)) {
    send_now(id, std::move(frame));
  } else {
    waiting_.push_back({id, std::move(frame)});
  }
}

bool NodeLink::has_room(std::size_t size_bytes) const {
  return in_flight_ == 0 ||
         (in_flight_ < kMaxInFlight && in_flight_bytes_ + size_bytes <= kMaxInFlightBytes);
}

void NodeLink::send_now(std::uint64_t id, frame::OutFrame frame) {
  auto& pending = pending_.at(id);
  pending.sent = true;
  ++in_flight_;
  in_flight_bytes_ += pending.size_bytes;
  connection_->send(std::move(frame));
}

void NodeLink::send_waiting() {
  while (up() && !waiting_.empty() && has_room(pending_.at(waiting_.front().id).size_bytes)) {
    auto next = std::move(waiting_.front());
    waiting_.pop_front();
    send_now(next.id, std::move(next.frame));
  }
}

void NodeLink::fail_pending(const Error& reason) {
  auto pending = std::exchange(pending_, {});
  waiting_.clear();
  in_flight_ = 0;
  in_flight_bytes_ = 0;
  if (state_ == State::kUp) state_ = State::kIdle;  // whoever is told finds it down
  for (auto& [id, request] : pending) {
    auto error = local_error(state_ == State::kShutDown ? reason.code : ErrorCode::kConnectionLost,
                             reason.message);
    error.stored = request.sent ? Storedness::kMaybeStored : Storedness::kNotStored;
    request.reply(std::unexpected(std::move(error)));
  }
}

// ---- Receiving ----

void NodeLink::on_frame(net::Connection&, SharedBytes bytes) {
  const auto verified = frame::verify_frame(bytes.span());
  if (!verified) {
    lost(Error{verified.error().code, address_.text() + ": " + verified.error().message});
    return;
  }
  ReplyFrame frame{std::move(bytes), *verified};
  if (state_ == State::kHello) {
    hello_answered(std::move(frame));
  } else if (frame.frame->correlation_id() == 0) {
    pushed(std::move(frame));
  } else {
    answered(std::move(frame));
  }
}

void NodeLink::answered(ReplyFrame frame) {
  const auto found = pending_.find(frame.frame->correlation_id());
  if (found == pending_.end() || !found->second.sent) return;  // a pong
  auto request = std::move(found->second);
  pending_.erase(found);
  --in_flight_;
  in_flight_bytes_ -= request.size_bytes;
  if (const auto* refused = frame.frame->body_as_ErrorReply()) {
    request.reply(std::unexpected(error_of(*refused)));
  } else {
    frame.link = this;
    request.reply(std::move(frame));
  }
  send_waiting();
}

AttachmentSink* NodeLink::attachment_sink(std::uint32_t subscription, std::uint64_t epoch) const {
  const auto found = attachments_.find({subscription, epoch});
  return found == attachments_.end() ? nullptr : found->second;
}

void NodeLink::pushed(ReplyFrame frame) {
  if (const auto* error = frame.frame->body_as_ErrorReply()) {
    lost(error_of(*error));  // the last word of a server that closes
    return;
  }
  const auto sink_of = [this](std::uint32_t stream) {
    const auto found = streams_.find(stream);
    return found == streams_.end() ? nullptr : found->second;
  };
  if (const auto* deliver = frame.frame->body_as_Deliver()) {
    if (auto* sink = sink_of(deliver->stream()))
      sink->deliver(deliver->stream(), frame.bytes, *deliver);
  } else if (const auto* closed = frame.frame->body_as_StreamClosed()) {
    auto* sink = sink_of(closed->stream());
    if (sink == nullptr) return;
    streams_.erase(closed->stream());
    sink->stream_closed(closed->stream(), closed->error() ? Error{error_of(*closed->error())}
                                                          : Error{ErrorCode::kUnknownStream,
                                                                  "the server ended the stream"});
  } else if (const auto* assigned = frame.frame->body_as_Assigned()) {
    if (auto* sink = attachment_sink(assigned->subscription_id(), assigned->attach_epoch()))
      sink->assigned(*assigned);
  } else if (const auto* detached = frame.frame->body_as_Detached()) {
    auto* sink = attachment_sink(detached->subscription_id(), detached->attach_epoch());
    if (sink == nullptr) return;
    remove_attachment(detached->subscription_id(), detached->attach_epoch());
    sink->detached(detached->error() ? Error{error_of(*detached->error())}
                                     : Error{ErrorCode::kStaleAttach, "the consumer was detached"});
  }
}

}  // namespace andyx::client
