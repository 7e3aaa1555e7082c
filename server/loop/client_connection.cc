#include "server/loop/client_connection.h"

#include <algorithm>

#include "frame_generated.h"
#include "protocol/frame/frame_verify.h"
#include "server/app/log.h"
#include "server/handlers/handlers.h"
#include "server/loop/core_loop.h"
#include "server/partition/partition.h"

namespace andyx::server {
namespace {

constexpr std::uint32_t kLingerMs = 1'000;
// Produces to partitions of one other loop, with nothing under way meanwhile, before a connection
// moves there.
constexpr std::uint32_t kProducesBeforeMove = 16;

}  // namespace

ClientConnection::ClientConnection(CoreLoop& loop, std::uint64_t id,
                                   std::unique_ptr<net::Connection> connection)
    : loop_(loop),
      id_(id),
      connection_(std::move(connection)),
      opened_ms_(loop.net_loop().now_ms()) {
  connection_->reader().set_max_frame_bytes(limits::kMaxRequestBytesBeforeHello);
  connection_->set_handler(this);
}

void ClientConnection::hello_done(std::string client_name, NodeId node_id,
                                  std::uint64_t incarnation) {
  hello_done_ = true;
  client_name_ = std::move(client_name);
  node_id_ = node_id;
  node_incarnation_ = incarnation;
  connection_->reader().set_max_frame_bytes(limits::kMaxFrameBytes);
}

void ClientConnection::begin_relay() { relay_ = std::make_unique<Relay>(*this, client_name_); }

void ClientConnection::relay_turn_ended() {
  if (relay_) relay_->turn_ended();
}

void ClientConnection::on_frame(net::Connection&, SharedBytes frame) {
  if (closing_) return;
  auto verified = frame::verify_frame(frame.span());
  if (!verified) return close_with_error(verified.error());
  const protocol::Frame& root = **verified;
  if (!hello_done_ && root.body_type() != protocol::Body::Hello) {
    return close_with_error(
        {ErrorCode::kHelloRequired, "the first frame of a connection is a hello"});
  }
  if (relay_) return relay_->on_frame(root, std::move(frame));
  if (CoreLoop* owner = better_loop(root)) {
    first_elsewhere_ = std::move(frame);
    connection_->pause_reading();
    // Not from here: the connection is in the middle of a read.
    loop_.net_loop().at_end_of_turn([&here = loop_, id = id_, owner] {
      if (auto* connection = here.find_connection(id)) connection->move_to(*owner);
    });
    return;
  }
  handle(root, std::move(frame));
}

void ClientConnection::handle(const protocol::Frame& root, SharedBytes frame) {
  std::size_t charged = frame.size();
  ++requests_in_flight_;
  bytes_in_flight_ += charged;
  loop_.node().bytes_in_flight.fetch_add(charged, std::memory_order_relaxed);
  throttle();
  handle_request(*this, root, std::move(frame), Reply(loop_, id_, root.correlation_id(), charged));
}

// One who sends a message after the other to one partition waits for two threads less on its loop.
// Where many are under way nobody waits, and one who goes round partitions is as well off anywhere.
CoreLoop* ClientConnection::better_loop(const protocol::Frame& root) {
  if (root.body_type() != protocol::Body::Produce || !may_move()) return nullptr;
  const auto* produce = root.body_as_Produce();
  const auto* record = loop_.image().find_partition(produce->topic_id(), produce->partition());
  CoreLoop* owner = record == nullptr ? &loop_ : &loop_.node().loop_of(record->partition_id);
  if (std::exchange(produces_to_, owner) != owner) in_a_row_ = 0;
  return owner != &loop_ && ++in_a_row_ >= kProducesBeforeMove ? owner : nullptr;
}

// Nothing here or elsewhere knows it by its id.
bool ClientConnection::may_move() const {
  return requests_in_flight_ == 0 && connection_->queued_bytes() == 0 && node_id_ == 0 &&
         streams_.empty() && attachments_.empty() && producers_.empty() && !paused_ &&
         !loop_.draining();
}

void ClientConnection::move_to(CoreLoop& owner) {
  if (closing_) return;
  SharedBytes frame = std::exchange(first_elsewhere_, {});
  if (auto socket = connection_->let_go()) {
    return loop_.give_away(id_, owner,
                           {std::move(*socket), std::move(client_name_), std::move(frame)});
  }
  in_a_row_ = 0;
  connection_->resume_reading();
  on_frame(*connection_, std::move(frame));
}

void ClientConnection::arrived(std::string client_name, SharedBytes frame) {
  hello_done(std::move(client_name), 0, 0);
  on_frame(*connection_, std::move(frame));
}

void ClientConnection::on_read_end(net::Connection&) {}

// What clients have in flight holds no node back: a write that waits for its replicas would then
// keep out what it waits for.
bool ClientConnection::over_budget() const {
  return requests_in_flight_ >= limits::kMaxInFlightRequestsPerConnection ||
         bytes_in_flight_ >= limits::kMaxInFlightBytesPerConnection ||
         gate_->congested.load(std::memory_order_relaxed) ||
         (node_id_ == 0 && loop_.node().over_budget()) || (relay_ && relay_->congested());
}

void ClientConnection::throttle() {
  bool pause = over_budget();
  if (pause == paused_ || closing_) return;
  paused_ = pause;
  if (pause) {
    loop_.add_throttled(id_);
    connection_->pause_reading();
  } else {
    connection_->resume_reading();
  }
}

void ClientConnection::answer(std::optional<frame::OutFrame> frame, std::size_t charged_bytes) {
  --requests_in_flight_;
  bytes_in_flight_ -= charged_bytes;
  if (closing_) return;
  if (frame) send(std::move(*frame));
  if (paused_) throttle();
}

void ClientConnection::push(frame::OutFrame frame) {
  if (!closing_) send(std::move(frame));
}

void ClientConnection::send(frame::OutFrame frame) {
  if (!connection_->send(std::move(frame))) {
    gate_->congested.store(true, std::memory_order_relaxed);
    if (relay_) relay_->client_takes(false);
    throttle();
  }
}

void ClientConnection::on_writable(net::Connection&) {
  gate_->congested.store(false, std::memory_order_relaxed);
  if (relay_) relay_->client_takes(true);
  throttle();
  wake_streams();
}

void ClientConnection::in_transit_arrived(std::size_t bytes) {
  gate_->in_transit.fetch_sub(bytes, std::memory_order_relaxed);
  if (gate_->open()) wake_streams();
}

void ClientConnection::wake_streams() {
  if (!gate_->someone_waits.exchange(false)) return;
  for (const auto& [stream, route] : streams_) loop_.wake_subscription(route);
}

void ClientConnection::close(Error reason) {
  if (std::exchange(closing_, true)) return;
  connection_->close(kLingerMs, std::move(reason));
}

void ClientConnection::close_with_error(Error reason) {
  if (closing_) return;
  log::info("connection refused",
            {{"peer", peer()}, {"error", reason.name()}, {"message", reason.message}});
  connection_->send(error_frame(0, reason));
  close(std::move(reason));
}

// Its socket has not taken a byte of what is queued for so long that its consumers count as silent.
// It is the only sign of life there is while we do not read from it.
bool ClientConnection::takes_nothing(std::uint64_t now_ms) {
  const std::size_t queued_bytes = connection_->queued_bytes();
  if (queued_bytes == 0 || queued_bytes < queued_bytes_ || stuck_since_ms_ == 0)
    stuck_since_ms_ = now_ms;
  queued_bytes_ = queued_bytes;
  return now_ms - stuck_since_ms_ > limits::kConsumerSessionMs;
}

void ClientConnection::check_idle(std::uint64_t now_ms, std::uint32_t idle_timeout_ms) {
  if (closing_) return;
  if (!hello_done_) {
    if (now_ms - opened_ms_ <= limits::kHandshakeTimeoutMs) return;
    return close_with_error(
        {ErrorCode::kIdleTimeout,
         "no hello within " + std::to_string(limits::kHandshakeTimeoutMs) + " ms"});
  }
  const bool stuck = takes_nothing(now_ms);
  const std::uint64_t allowed_ms = has_session_claims()
                                       ? std::min(idle_timeout_ms, limits::kConsumerSessionMs)
                                       : idle_timeout_ms;
  const std::uint64_t silent_ms = now_ms - std::max(connection_->last_received_ms(), opened_ms_);
  if (paused_ ? has_session_claims() && stuck && silent_ms > allowed_ms : silent_ms > allowed_ms) {
    close_with_error(
        {ErrorCode::kIdleTimeout, "nothing received for " + std::to_string(silent_ms) + " ms"});
  }
}

bool ClientConnection::has_session_claims() const {
  return !attachments_.empty() || !streams_.empty() ||
         std::ranges::any_of(producers_, &OpenProducerPlace::single);
}

void ClientConnection::on_stream_error(net::Connection&, const Error& error) {
  close_with_error(error);
}

void ClientConnection::tell_closed(std::uint32_t stream, const StreamRoute& route) {
  auto detach = [route, key = StreamKey{id_, stream}] {
    if (auto* partition = route.owner->find_partition(route.partition))
      partition->close_stream(route.subscription, key);
  };
  if (route.owner == &loop_)
    detach();
  else
    route.owner->net_loop().post(detach);
}

void ClientConnection::close_stream(std::uint32_t stream) {
  auto found = streams_.find(stream);
  if (found == streams_.end()) return;
  tell_closed(stream, found->second);
  streams_.erase(found);
}

void ClientConnection::close_streams(SubscriptionId subscription) {
  for (auto it = streams_.begin(); it != streams_.end();) {
    if (it->second.subscription != subscription) {
      ++it;
      continue;
    }
    tell_closed(it->first, it->second);
    it = streams_.erase(it);
  }
}

std::optional<Attachment> ClientConnection::remove_attachment(SubscriptionId subscription,
                                                              std::uint64_t attach_epoch,
                                                              Streams streams) {
  const auto found = std::ranges::find_if(attachments_, [&](const Attachment& attachment) {
    return attachment.subscription == subscription && attachment.attach_epoch == attach_epoch;
  });
  if (found == attachments_.end()) return std::nullopt;
  const Attachment removed = *found;
  attachments_.erase(found);
  // Streams do not say whose they are: while another consumer of the subscription is on this
  // connection, a client closes those of the one that left.
  if (streams == Streams::kEnd &&
      std::ranges::find(attachments_, subscription, &Attachment::subscription) ==
          attachments_.end())
    close_streams(subscription);
  return removed;
}

void ClientConnection::release_streams() {
  for (const auto& [stream, route] : streams_) tell_closed(stream, route);
  for (const Attachment& attachment : attachments_) {
    attachment.coordinator->net_loop().post([attachment, id = id_] {
      if (auto* coordinator = attachment.coordinator->find_coordinator(attachment.subscription))
        coordinator->connection_lost(id);
    });
  }
}

void ClientConnection::release_producers() {
  for (const OpenProducerPlace& place : producers_) {
    auto release = [place, id = id_] {
      place.home->producer_places().release({place.topic, place.name}, id, place.producer_id);
    };
    if (place.home == &loop_)
      release();
    else
      place.home->net_loop().post(std::move(release));
  }
}

void ClientConnection::tell_session_closed() {
  Node& node = loop_.node();
  node.control_loop->post([&node, id = node_id_, incarnation = node_incarnation_] {
    if (node.sessions != nullptr) node.sessions->connection_closed(id, incarnation);
  });
}

void ClientConnection::on_closed(net::Connection& connection, const Error& reason) {
  gate_->congested.store(false, std::memory_order_relaxed);  // nobody is to wait for it any more
  log::debug("connection closed",
             {{"peer", connection.peer()}, {"client", client_name_}, {"reason", reason.message}});
  if (carries_session_) tell_session_closed();
  loop_.remove_connection(id_);  // destroys this
}

}  // namespace andyx::server
